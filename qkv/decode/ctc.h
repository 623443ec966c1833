// Texts from the rows of a CTC head (qkv/ops/ctc.h): label 0 is the blank; equal neighbours are
// joined and blanks dropped. Each sequence for itself, in double, the same for any number of
// threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qkv/tensor/segments.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

struct CtcText {
  std::vector<std::int32_t> labels;
  double log_probability = 0;  // natural
};

/// What a path of labels, blanks among them, stands for.
std::vector<std::int32_t> ctc_join(std::span<const std::int32_t> path);

/// The text of the likeliest label of every row, the lowest among equals: logits [T L] of B
/// sequences -> B texts. Its probability is that of the path alone; other paths of the same text,
/// and with them the likeliest text, are not looked at.
std::vector<CtcText> ctc_best_path(const Tensor& logits, const Segments& rows);

struct CtcBeamOptions {
  std::int64_t beam = 16;   // prefixes that go on after each row
  std::int64_t n_best = 1;  // texts of each sequence, at most `beam`
};
/// Prefix beam search (Graves et al. 2006, Hannun et al. 2014): adds up the paths of a text as long
/// as its prefixes stay among the best, so a probability is a lower bound, and exact where nothing
/// is cut. B lists, best first; among equals the text that is first in order of labels.
std::vector<std::vector<CtcText>> ctc_beam(const Tensor& logits, const Segments& rows,
                                           const CtcBeamOptions& options = {});

}  // namespace qkv

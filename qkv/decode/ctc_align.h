// Where in time the labels of a known text lie: the likeliest CTC path of that text.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qkv/tensor/tensor.h"

namespace qkv {

/// The rows [begin, end) in which the path emits a label.
struct CtcPlace {
  std::int64_t begin = 0, end = 0;
};

/// logits [T L] of one sequence and labels in [1, L) -> a place for each label, in order; those of
/// equal neighbours are parted by a blank. Viterbi over the text with blanks between; among equals
/// the path that moves on later. Throws Error for a text that needs more rows (ctc_rows()) or a
/// label outside.
std::vector<CtcPlace> ctc_align(const Tensor& logits, std::span<const std::int32_t> text);

}  // namespace qkv

// Word alignments read off a cross-attention map, in the forms that other tools take, and the
// alignment error rate (Och and Ney 2003).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/tensor/tensor.h"

namespace qkv {

/// Target token `target` is aligned with source token `source`; both from 0.
struct AlignmentLink {
  int source = 0;
  int target = 0;
  float weight = 1.0f;  // the attention; not written to Pharaoh lines

  bool operator==(const AlignmentLink& other) const {
    return source == other.source && target == other.target;
  }
};

/// Each target token with the source token it attends to most (the first of equals); a row without
/// a positive weight gets no link. weights [Lt Ls]; in order of the target. Here and below a NaN
/// is a NumericError. Cut </s> off the weights first if it must not be linked.
std::vector<AlignmentLink> hard_alignment(const Tensor& weights);

/// All links of at least `threshold` (> 0), by target, then source.
std::vector<AlignmentLink> threshold_alignment(const Tensor& weights, float threshold);

/// "0-0 2-1": source-target, as Moses, fast_align and Marian write them.
std::string pharaoh(std::span<const AlignmentLink> links);

/// The opposite. "0?1" marks a possible link in hand-made files and reads as a link here. Throws
/// Error that quotes what it could not read.
std::vector<AlignmentLink> parse_pharaoh(std::string_view line);

/// One line: for each target token its weights over the source joined by commas, tokens separated
/// by spaces: "0.9,0.1 0.2,0.8".
std::string soft_alignment(const Tensor& weights, int digits = 4);

/// 1 - (|A∩S| + |A∩P|) / (|A| + |S|), in [0, 1]; sure links count as possible too. 0 when there is
/// nothing to find and nothing was found.
double alignment_error_rate(std::span<const AlignmentLink> found,
                            std::span<const AlignmentLink> sure,
                            std::span<const AlignmentLink> possible = {});

}  // namespace qkv

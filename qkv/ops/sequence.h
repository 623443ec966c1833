// Over the sequences of a packed batch: neighbours side by side (what a one-dimensional convolution
// multiplies), and one row for each sequence.
#pragma once

#include <cstdint>

#include "qkv/tensor/segments.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// Row t becomes rows t − before … t + after side by side, zeros beyond the ends of its sequence:
/// x [T C] -> [T (before+1+after)·C]. A convolution is linear(windows(x, …), W [K·C O]).
Tensor windows(const Tensor& x, const Segments& segments, std::int64_t before, std::int64_t after);

/// The mean of each sequence's rows: x [T C] -> [B C]. An empty sequence gives zeros.
Tensor segment_mean(const Tensor& x, const Segments& segments);
/// The largest number of each column: [B C]; the gradient goes to the first row that has it. An
/// empty sequence gives zeros.
Tensor segment_max(const Tensor& x, const Segments& segments);

/// As unit_rows() of heads.h, but summed in double: what vectors of texts promise. A row of zeros
/// stays: [B C] -> [B C]. Not
/// differentiable.
Tensor rows_of_length_one(const Tensor& x);

}  // namespace qkv

// Over the columns of packed rows: what batch normalisation is made of (Ioffe & Szegedy 2015), and
// convolutions' other norms. Sums are formed in double, in pieces of rows counted from the first.
#pragma once

#include <cstdint>
#include <span>

#include "qkv/tensor/tensor.h"

namespace qkv {

/// (x − mean) / √(variance + eps) by the columns' own statistics over all T rows, so that here rows
/// do depend on each other: x [T C] -> [T C]. The gradient goes through the statistics.
struct Standardised {
  Tensor out;
  Tensor mean, variance;  // [C], constants; the variance is the biased one (÷ T)
};
Standardised standardise_columns(const Tensor& x, double eps);
/// The same with statistics [C] that are given, constants.
Tensor standardise_columns(const Tensor& x, const Tensor& mean, const Tensor& variance, double eps);

/// x[t] ⊙ scale[row] + shift[row], row = rows[t], or 0 for all where `rows` is empty: x [T C],
/// scale and shift [K C] -> [T C]. Throws ShapeError when a row lies outside of [0, K).
Tensor scale_columns(const Tensor& x, const Tensor& scale, const Tensor& shift,
                     std::span<const std::int32_t> rows = {});

/// x > 0 ? x : slope·x, any rank.
Tensor leaky_relu(const Tensor& x, double slope);

}  // namespace qkv

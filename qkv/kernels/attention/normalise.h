// Normalisers of one row, as their formulas read (form.h): the definition, and the row path of the
// normalisers that cannot stream.
#pragma once

#include <cstdint>
#include <span>

#include "qkv/kernels/attention/form.h"

namespace qkv::kernels {

/// What a row leaves behind besides its weights. Zero and −inf for a row without weight.
template <class T>
struct RowResult {
  T statistic;  // softmax, sink: log Σ exp; kernel_sum: Σ κ; sparsemax, entmax: τ; else 0
  T entropy;    // softmax, sink: −Σ p log p, the sink's share included; else 0
};

/// Visible scores -> weights. A score of −inf has weight 0; a row of nothing else is an empty row.
template <class T>
RowResult<T> normalise(const NormForm<T>& form, std::int64_t head, std::span<const T> scores,
                       std::span<T> weights);

/// dscores from dweights, and for softmax and sink from the gradients of lse and entropy. Adds to
/// form.dsink[head].
template <class T>
void normalise_backward(const NormForm<T>& form, std::int64_t head, std::span<const T> scores,
                        std::span<const T> weights, const RowResult<T>& result,
                        std::span<const T> dweights, T dlse, T dentropy, std::span<T> dscores);

/// κ and ∂κ/∂s of a compact kernel at s = −u²/2; a positive s (rounding) counts as 0.
template <class T>
T window_value(WindowShape shape, T s);
template <class T>
T window_slope(WindowShape shape, T s);

}  // namespace qkv::kernels

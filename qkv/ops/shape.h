// Differentiable changes of shape and order. Numbers are copied only where their order changes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qkv/tensor/tensor.h"

namespace qkv {

/// The same numbers under another shape; no copy.
Tensor reshape(const Tensor& x, const Shape& shape);
/// Rows of x [T …] in the given order, each any number of times -> [N …].
Tensor select_rows(const Tensor& x, std::span<const std::int64_t> rows);
/// Σ of all elements, a scalar.
Tensor sum(const Tensor& x);

}  // namespace qkv

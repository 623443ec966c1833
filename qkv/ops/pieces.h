// Differentiable taking apart and putting together: rows of a tensor, rows one under the other,
// columns side by side.
#pragma once

#include <cstdint>
#include <span>

#include "qkv/tensor/tensor.h"

namespace qkv {

/// Rows [begin, end) of x [T …]; no copy.
Tensor slice_rows(const Tensor& x, std::int64_t begin, std::int64_t end);
/// Tensors [T_i …] one under the other -> [ΣT_i …]. At least one.
Tensor stack_rows(std::span<const Tensor> parts);
/// Tensors [T C_i] side by side -> [T ΣC_i]. At least one.
Tensor join_columns(std::span<const Tensor> parts);

}  // namespace qkv

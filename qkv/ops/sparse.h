// Products of rows with few numbers: a sum of rows of the weight for each, at a cost that grows
// with the entries alone.
#pragma once

#include <cstdint>
#include <memory>

#include "qkv/tensor/sparse_rows.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// x [N C] · weight [C H·O] -> [N H·O]. While recording, dropout zeroes entries of x and scales the
/// others; with several heads each draws for its own O columns. No gradient reaches x.
Tensor sparse_linear(const std::shared_ptr<const SparseRows>& x, const Tensor& weight,
                     std::int64_t heads = 1, double dropout = 0.0);

}  // namespace qkv

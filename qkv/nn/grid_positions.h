// A learned table of positions on a grid, for other grids than the one it was learned on.
#pragma once

#include "qkv/base/grid.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// The matrix [to.count() from.count()] that resizes a grid linearly with its corners aligned:
/// place i of n stands at i·(m − 1)/(n − 1) of m. As Google's Vision Transformer does ("spline
/// order 1"): 0 1 / 2 3 on 3 × 3 is 0 .5 1 / 1 1.5 2 / 2 2.5 3. A lone place of many stands at the
/// first.
Tensor grid_resizing(const Grid& from, const Grid& to, DType type = DType::f32);

/// table [from.count() C] -> [to.count() C], differentiable; the table itself for the same grid.
Tensor resized_positions(const Tensor& table, const Grid& from, const Grid& to);

}  // namespace qkv

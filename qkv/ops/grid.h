// Pictures in a packed batch: a pixel is a row, those of a picture stand row by row, one picture
// after the other.
#pragma once

#include <cstdint>

#include "qkv/base/grid.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// x [T C], T = pictures · grid.count() -> the pictures with a ring of zeros around them.
Tensor pad_grid(const Tensor& x, const Grid& grid, std::int64_t ring);

/// The two sides of the score −½ (δ − Δ_h)ᵀ S_h (δ − Δ_h), δ the way from a query's pixel to a
/// key's, as a product of six numbers (Cordonnier et al. 2020): 1, x, y, x², y², xy of the key
/// against what is left. centres Δ [H 2] (rows, cols); spread A [H] for S = A² or [H 2 2] for
/// S = AᵀA. -> [pictures · grid.count() H 6]. Differentiable in both.
Tensor quadratic_queries(const Tensor& centres, const Tensor& spread, const Grid& grid,
                         std::int64_t pictures = 1);
/// [pictures · grid.wider(ring).count() 1 6]
Tensor quadratic_keys(const Grid& grid, std::int64_t ring = 0, std::int64_t pictures = 1,
                      DType type = DType::f32);

}  // namespace qkv

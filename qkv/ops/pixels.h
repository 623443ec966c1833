// What changes the number or the order of the pixels of packed pictures (tensor/grids.h), none of
// it with weights. Everything stays within its own picture.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "qkv/tensor/grids.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// Sub-pixel convolution's second half (Shi et al. 2016): channel c·r² + i·r + j of pixel (y, x)
/// becomes channel c of pixel (r·y + i, r·x + j): x [T C·r²] -> [T·r² C] on grids.times(r).
Tensor pixel_shuffle(const Tensor& x, const Grids& grids, std::int64_t factor);

/// Each pixel `factor`² times: x [T C] -> [T·factor² C] on grids.times(factor).
Tensor upsample_nearest(const Tensor& x, const Grids& grids, std::int64_t factor);

/// The mean over a window: x [T C] -> [T' C] on grids.over(window). Without a margin: whether its
/// zeros should count is nowhere agreed, so that a window with one is refused.
Tensor mean_pool(const Tensor& x, const Grids& grids, const PixelWindow& window);

/// The largest number of a window, its margin left aside (it must be smaller than the window); the
/// gradient goes to the first pixel that has it. A NaN stays.
Tensor max_pool(const Tensor& x, const Grids& grids, const PixelWindow& window);

/// Enlarged `factor` times on both axes by bicubic interpolation as MATLAB has it: Keys' kernel
/// with a = −½, the border mirrored with its edge; no rounding: x [T C] -> [T·factor² C] on
/// grids.times(factor).
Tensor enlarge_bicubic(const Tensor& x, const Grids& grids, std::int64_t factor);

/// Whole pictures are zeroed with this probability and the others scaled, while recording; else x
/// itself. x [T C], of_rows [T]: the picture that a row belongs to, in any order.
Tensor drop_pictures(const Tensor& x, std::span<const std::int32_t> of_rows, double probability);

/// An order of T rows, every one once: row i of what is permuted is row from(i) of what was.
class Permutation {
 public:
  /// Throws ShapeError where a row is missing.
  explicit Permutation(std::vector<std::int64_t> from);
  std::int64_t count() const { return static_cast<std::int64_t>(from_->size()); }
  std::int64_t from(std::int64_t row) const { return (*from_)[static_cast<std::size_t>(row)]; }
  Permutation inverse() const;
  /// This one after `first`.
  Permutation after(const Permutation& first) const;

 private:
  std::shared_ptr<const std::vector<std::int64_t>> from_;
};
/// x [T …]. Its gradient is the other way round.
Tensor permute_rows(const Tensor& x, const Permutation& order);

}  // namespace qkv

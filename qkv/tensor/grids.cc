#include "qkv/tensor/grids.h"

#include <utility>

#include "qkv/base/error.h"

namespace qkv {
namespace {

Segments counts(const std::vector<Grid>& grids) {
  std::vector<std::int64_t> lengths;
  for (const Grid& grid : grids) {
    if (grid.rows < 0 || grid.cols < 0) {
      fail<ShapeError>("grids: a picture of {} × {}", grid.rows, grid.cols);
    }
    lengths.push_back(grid.count());
  }
  return Segments(lengths);
}

template <class F>
Grids changed(const Grids& from, F&& f) {
  std::vector<Grid> grids;
  for (const Grid& grid : from.all()) grids.push_back(f(grid));
  return Grids(std::move(grids));
}

}  // namespace

Grids::Grids(std::vector<Grid> grids)
    : grids_(std::make_shared<const std::vector<Grid>>(std::move(grids))),
      segments_(counts(*grids_)) {}

Grids Grids::of(std::int64_t count, const Grid& grid) {
  return Grids(std::vector<Grid>(static_cast<std::size_t>(count), grid));
}

Grids Grids::lines(const Segments& segments) {
  std::vector<Grid> grids;
  for (std::int64_t b = 0; b < segments.count(); ++b) grids.push_back({1, segments.length(b)});
  return Grids(std::move(grids));
}

Grids Grids::over(const PixelWindow& window) const {
  if (!window.valid()) {
    fail<ShapeError>("grids: a window of {} × {}, strides {} and {}, margins {} and {}",
                     window.rows, window.cols, window.row_stride, window.col_stride, window.row_pad,
                     window.col_pad);
  }
  return changed(*this, [&](const Grid& grid) { return window.over(grid); });
}

Grids Grids::times(std::int64_t factor) const {
  if (factor < 1) fail<ShapeError>("grids: {} times as many pixels", factor);
  return changed(*this, [&](const Grid& grid) { return grid.times(factor); });
}

bool operator==(const Grids& a, const Grids& b) { return *a.grids_ == *b.grids_; }

}  // namespace qkv

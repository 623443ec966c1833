// Grids of pixels and what moves over them: plain values. A picture is rows × cols pixels, row by
// row; a sequence in time is a grid of one row.
#pragma once

#include <algorithm>
#include <cstdint>

namespace qkv {

struct Grid {
  std::int64_t rows = 0, cols = 0;
  std::int64_t count() const { return rows * cols; }
  /// With `ring` more pixels on every side.
  Grid wider(std::int64_t ring) const { return {rows + 2 * ring, cols + 2 * ring}; }
  /// With `factor` times as many on both axes.
  Grid times(std::int64_t factor) const { return {rows * factor, cols * factor}; }
  friend bool operator==(const Grid& a, const Grid& b) {
    return a.rows == b.rows && a.cols == b.cols;
  }
};

/// What a place of the output sees: rows × cols pixels. Place (r, c) begins `pad` pixels before
/// pixel (r, c) · stride; pixels outside of the grid are zeros.
struct PixelWindow {
  std::int64_t rows = 1, cols = 1;
  std::int64_t row_stride = 1, col_stride = 1;
  std::int64_t row_pad = 0, col_pad = 0;

  /// The same on both axes, for pictures.
  static PixelWindow square(std::int64_t size, std::int64_t stride = 1, std::int64_t pad = 0) {
    return {size, size, stride, stride, pad, pad};
  }
  /// For sequences, grids of one row.
  static PixelWindow line(std::int64_t size, std::int64_t stride = 1, std::int64_t pad = 0) {
    return {1, size, 1, stride, 0, pad};
  }
  std::int64_t count() const { return rows * cols; }
  bool valid() const {
    return rows > 0 && cols > 0 && row_stride > 0 && col_stride > 0 && row_pad >= 0 && col_pad >= 0;
  }
  /// The places of the output: ⌊(n + 2·pad − size) / stride⌋ + 1 an axis, and none where the grid
  /// with its margin is smaller than the window or has no pixel.
  Grid over(const Grid& grid) const {
    if (grid.count() == 0) return {};
    return {places(grid.rows, rows, row_stride, row_pad),
            places(grid.cols, cols, col_stride, col_pad)};
  }

 private:
  static std::int64_t places(std::int64_t n, std::int64_t size, std::int64_t stride,
                             std::int64_t pad) {
    const std::int64_t room = n + 2 * pad - size;
    return room < 0 ? 0 : room / stride + 1;
  }
};

}  // namespace qkv

// Grids: which pixels each picture of a packed batch has. Pictures of any sizes stand end to end,
// x [T C]: a row is a pixel, those of a picture stand row by row. A batch of sequences is one of
// grids with a single row each, so that one convolution serves both.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "qkv/base/grid.h"
#include "qkv/tensor/segments.h"

namespace qkv {

class Grids {
 public:
  Grids() : Grids(std::vector<Grid>{}) {}
  /// In order; a grid without a pixel is allowed, negative sides throw ShapeError.
  explicit Grids(std::vector<Grid> grids);
  Grids(std::initializer_list<Grid> grids) : Grids(std::vector<Grid>(grids)) {}
  /// As many pictures of one size.
  static Grids of(std::int64_t count, const Grid& grid);
  /// Sequences in time: one row of length(b) pixels each.
  static Grids lines(const Segments& segments);

  /// B, the number of pictures, and T, that of all pixels.
  std::int64_t count() const { return segments_.count(); }
  std::int64_t total() const { return segments_.total(); }
  const Grid& operator[](std::int64_t b) const { return (*grids_)[static_cast<std::size_t>(b)]; }
  std::span<const Grid> all() const { return *grids_; }
  /// Where each begins and ends.
  const Segments& segments() const { return segments_; }
  std::int64_t begin(std::int64_t b) const { return segments_.begin(b); }

  /// What a window leaves of each.
  Grids over(const PixelWindow& window) const;
  /// Each with `factor` times as many pixels on both axes.
  Grids times(std::int64_t factor) const;

  friend bool operator==(const Grids& a, const Grids& b);

 private:
  std::shared_ptr<const std::vector<Grid>> grids_;  // copies of a batch are cheap
  Segments segments_;
};

}  // namespace qkv

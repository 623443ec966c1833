// Attention within windows of pixels that move between layers (Liu et al. 2021, "Swin"). The
// published code rolls the picture by `shift`, cuts it into windows and adds −100 where two pixels
// of a window come from different sides of the seam. The pieces between the seams are the same
// thing without roll and mask: each axis is cut at shift, shift + w, shift + 2w …, every rectangle
// of pieces is a sequence of its own, and a bias is found by the way from one pixel to the other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qkv/attention/mask.h"
#include "qkv/nn/multi_head.h"
#include "qkv/nn/state_dict.h"
#include "qkv/ops/pixels.h"
#include "qkv/tensor/grids.h"

namespace qkv {

/// Lengths of the pieces of an axis of n pixels, a multiple of `window`: shift (unless 0), window
/// …, what is left. 0 ≤ shift < window.
std::vector<std::int64_t> window_pieces(std::int64_t n, std::int64_t window, std::int64_t shift);

/// How windows cut the pictures of a batch: their order and their sequences.
struct Windows {
  /// Pieces with rows of one length: among them a bias has one table.
  struct Group {
    std::int64_t cols = 0;
    std::int64_t begin = 0;  // the first of its rows
    Segments pieces;
    Mask mask = everything();
  };
  std::int64_t window = 0;
  std::vector<Group> groups;
  Permutation order;                   // from pixels row by row to piece after piece
  Permutation reverse;                 // and back
  std::vector<std::int32_t> pictures;  // that the rows in `order` belong to

  /// Sides of pictures must be multiples of `window`: ShapeError.
  static Windows of(const Grids& grids, std::int64_t window, std::int64_t shift);
  /// The same of rows [first, last) of one picture, which must be whole pieces of its axis:
  /// ShapeError. Each piece is one of those of the whole picture.
  static Windows strip(const Grid& picture, std::int64_t window, std::int64_t shift,
                       std::int64_t first, std::int64_t last);

  /// Pairs of pixels that see each other.
  std::int64_t pairs() const;
};

struct WindowAttention {
  struct Config {
    std::int64_t width = 0;  // C
    std::int64_t heads = 0;
    std::int64_t window = 8;  // w
  };
  Config config;
  Tensor table;  // [(2w−1)² H]: row (Δy + w − 1)(2w − 1) + Δx + w − 1, Δ = query − key
  MultiHead heads;

  /// The table N(0, .02²) within two deviations.
  static WindowAttention make(Initialiser& init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("relative_position_bias_table", m.table);
    visit("heads", m.heads);
  }
  /// x [T C] in windows.order -> [T C], likewise.
  Tensor operator()(const Tensor& x, const Windows& windows) const;

  /// The bias of pixels that stand in rows of `cols`, `rows` of them at most: [H N N], N =
  /// rows·cols.
  Tensor bias(std::int64_t rows, std::int64_t cols) const;
};

/// "relative_position_bias_table", "qkv", "proj", as published.
void list_state(const WindowAttention& m, const std::string& prefix, StateEntries& entries);

}  // namespace qkv

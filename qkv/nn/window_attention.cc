#include "qkv/nn/window_attention.h"

#include <algorithm>
#include <map>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/nn/timm_names.h"
#include "qkv/ops/features.h"
#include "qkv/ops/pieces.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

/// A rectangle of pieces, its first pixel in the batch, and its picture's width.
struct Piece {
  std::int64_t rows, cols, first, stride, picture;
};

/// By their width, widest first; within one as they came.
using Pieces = std::map<std::int64_t, std::vector<Piece>, std::greater<>>;

/// Those of a picture, or of some of its rows, whose first pixel is `begin`.
void add_pieces(Pieces& found, const std::vector<std::int64_t>& down,
                const std::vector<std::int64_t>& across, std::int64_t begin, std::int64_t stride,
                std::int64_t picture) {
  for (const std::int64_t rows : down) {
    std::int64_t left = begin;
    for (const std::int64_t cols : across) {
      found[cols].push_back({rows, cols, left, stride, picture});
      left += cols;
    }
    begin += rows * stride;
  }
}

Windows windows_of(const Pieces& found, std::int64_t window, std::int64_t total) {
  std::vector<std::int64_t> order;
  order.reserve(static_cast<std::size_t>(total));
  std::vector<std::int32_t> pictures;
  pictures.reserve(order.capacity());
  std::vector<Windows::Group> groups;
  for (const auto& [cols, pieces] : found) {
    Windows::Group group;
    group.cols = cols;
    group.begin = static_cast<std::int64_t>(order.size());
    std::vector<std::int64_t> lengths;
    for (const Piece& p : pieces) {
      lengths.push_back(p.rows * p.cols);
      pictures.insert(pictures.end(), static_cast<std::size_t>(p.rows * p.cols),
                      static_cast<std::int32_t>(p.picture));
      for (std::int64_t r = 0; r < p.rows; ++r) {
        for (std::int64_t c = 0; c < p.cols; ++c) order.push_back(p.first + r * p.stride + c);
      }
    }
    group.pieces = Segments(lengths);
    group.mask = segments(group.pieces);
    groups.push_back(std::move(group));
  }
  const Permutation all(std::move(order));
  return {window, std::move(groups), all, all.inverse(), std::move(pictures)};
}

}  // namespace

std::vector<std::int64_t> window_pieces(std::int64_t n, std::int64_t window, std::int64_t shift) {
  if (window < 1 || shift < 0 || shift >= window || n < 0 || n % window != 0) {
    fail<ShapeError>("windows: {} pixels in windows of {} shifted by {}; pad to a multiple", n,
                     window, shift);
  }
  std::vector<std::int64_t> pieces;
  if (n == 0) return pieces;
  if (shift > 0) pieces.push_back(shift);
  for (std::int64_t at = shift; at + window <= n; at += window) pieces.push_back(window);
  if (shift > 0) pieces.push_back(window - shift);
  return pieces;
}

Windows Windows::of(const Grids& grids, std::int64_t window, std::int64_t shift) {
  Pieces found;
  for (std::int64_t b = 0; b < grids.count(); ++b) {
    add_pieces(found, window_pieces(grids[b].rows, window, shift),
               window_pieces(grids[b].cols, window, shift), grids.begin(b), grids[b].cols, b);
  }
  return windows_of(found, window, grids.total());
}

Windows Windows::strip(const Grid& picture, std::int64_t window, std::int64_t shift,
                       std::int64_t first, std::int64_t last) {
  std::vector<std::int64_t> down;
  std::int64_t at = 0, begins = -1, ends = -1;
  for (const std::int64_t rows : window_pieces(picture.rows, window, shift)) {
    if (at == first) begins = at;
    if (at >= first && at + rows <= last) down.push_back(rows);
    at += rows;
    if (at == last) ends = at;
  }
  if (begins != first || ends != last) {
    fail<ShapeError>(
        "windows: rows {} to {} are no whole pieces of {} in windows of {} shifted by "
        "{}",
        first, last, picture.rows, window, shift);
  }
  Pieces found;
  add_pieces(found, down, window_pieces(picture.cols, window, shift), 0, picture.cols, 0);
  return windows_of(found, window, (last - first) * picture.cols);
}

std::int64_t Windows::pairs() const {
  std::int64_t sum = 0;
  for (const Group& group : groups) {
    for (std::int64_t b = 0; b < group.pieces.count(); ++b) {
      sum += group.pieces.length(b) * group.pieces.length(b);
    }
  }
  return sum;
}

WindowAttention WindowAttention::make(Initialiser& init, const Config& c) {
  if (c.window < 1) fail<ShapeError>("window attention: windows of {}", c.window);
  WindowAttention m;
  m.config = c;
  const std::int64_t side = 2 * c.window - 1;
  m.table = init.truncated_normal({side * side, c.heads}, 0.02);
  m.heads = MultiHead::make(init, {.width = c.width, .heads = c.heads});
  return m;
}

Tensor WindowAttention::bias(std::int64_t rows, std::int64_t cols) const {
  const std::int64_t w = config.window, side = 2 * w - 1, positions = rows * cols;
  if (rows > w || cols > w) {
    fail<ShapeError>("window attention: {} × {} pixels in windows of {}", rows, cols, w);
  }
  std::vector<std::int64_t> ways;
  ways.reserve(static_cast<std::size_t>(positions * positions));
  for (std::int64_t i = 0; i < positions; ++i) {
    for (std::int64_t j = 0; j < positions; ++j) {
      const std::int64_t down = i / cols - j / cols, across = i % cols - j % cols;
      ways.push_back((down + w - 1) * side + across + w - 1);
    }
  }
  return reshape(transposed(select_rows(table, ways)), {table.dim(1), positions, positions});
}

Tensor WindowAttention::operator()(const Tensor& x, const Windows& windows) const {
  if (windows.window != config.window || x.dim(0) != windows.order.count()) {
    fail<ShapeError>("window attention: x {} in windows of {}, made for {} rows in windows of {}",
                     to_string(x.shape()), config.window, windows.order.count(), windows.window);
  }
  if (x.dim(0) == 0) return x;
  const Tensor q = heads.queries(x), k = heads.keys(x), v = heads.values(x);
  std::vector<Tensor> parts;
  for (const Windows::Group& group : windows.groups) {
    const std::int64_t end = group.begin + group.pieces.total();
    Attention how = heads.how(group.mask);
    how.bias.push_back(TensorBias{bias(group.pieces.longest() / group.cols, group.cols)});
    parts.push_back(attend(slice_rows(q, group.begin, end), slice_rows(k, group.begin, end),
                           slice_rows(v, group.begin, end), how));
  }
  return heads.joined(stack_rows(parts));
}

void list_state(const WindowAttention& m, const std::string& prefix, StateEntries& entries) {
  entries.push_back({prefix + "relative_position_bias_table", {m.table}, StateLayout::same});
  list_timm_attention(m.heads, prefix, entries);
}

}  // namespace qkv

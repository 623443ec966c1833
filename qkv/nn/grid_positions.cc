#include "qkv/nn/grid_positions.h"

#include <algorithm>
#include <vector>

#include "qkv/base/error.h"
#include "qkv/ops/linear.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

/// What place i of `to` takes of place j of `from`.
double share(std::int64_t i, std::int64_t j, std::int64_t from, std::int64_t to) {
  const double at =
      to < 2 ? 0.0 : static_cast<double>(i * (from - 1)) / static_cast<double>(to - 1);
  return std::max(0.0, 1.0 - std::abs(at - static_cast<double>(j)));
}

}  // namespace

Tensor grid_resizing(const Grid& from, const Grid& to, DType type) {
  if (from.count() < 1) fail<ShapeError>("grid_resizing: a grid of {} × {}", from.rows, from.cols);
  return generated({to.count(), from.count()}, type, [&](std::int64_t i) {
    const std::int64_t there = i / from.count(), here = i % from.count();
    return share(there / to.cols, here / from.cols, from.rows, to.rows) *
           share(there % to.cols, here % from.cols, from.cols, to.cols);
  });
}

Tensor resized_positions(const Tensor& table, const Grid& from, const Grid& to) {
  if (table.shape().rank() != 2 || table.dim(0) != from.count()) {
    fail<ShapeError>("resized_positions: a table {} for a grid of {} × {}",
                     to_string(table.shape()), from.rows, from.cols);
  }
  if (from == to) return table;
  return matmul(grid_resizing(from, to, table.dtype()), table);
}

}  // namespace qkv

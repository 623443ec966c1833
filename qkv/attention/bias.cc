#include "qkv/attention/bias.h"

#include <algorithm>
#include <cmath>

#include "qkv/base/dims.h"
#include "qkv/ops/features.h"
#include "qkv/ops/shape.h"

namespace qkv {

std::vector<double> alibi_slopes(std::int64_t heads, double bias_max) {
  std::int64_t power = 1;
  while (power < heads) power *= 2;
  const auto slope = [&](std::int64_t i) {  // i = 1 … power
    return std::exp2(-bias_max * static_cast<double>(i) / static_cast<double>(power));
  };
  std::vector<double> slopes;
  if (power == heads) {
    for (std::int64_t i = 1; i <= power; ++i) slopes.push_back(slope(i));
    return slopes;
  }
  for (std::int64_t i = 2; i <= power; i += 2) slopes.push_back(slope(i));
  for (std::int64_t i = 1; i <= power; i += 2) slopes.push_back(slope(i));
  slopes.resize(static_cast<std::size_t>(heads));
  return slopes;
}

DistanceBias::Bucket t5_buckets(std::int64_t buckets, std::int64_t max_distance,
                                bool bidirectional) {
  const std::int64_t side = bidirectional ? buckets / 2 : buckets, exact = side / 2;
  if (exact < 1 || max_distance <= exact) {
    fail<ShapeError>(
        "t5_buckets: {} buckets up to distance {}: needs at least {} buckets and a "
        "distance above {}",
        buckets, max_distance, bidirectional ? 4 : 2, exact);
  }
  return [=](std::int64_t distance) {
    // T5 counts back from the query: later keys take the second half, or bucket 0 when one-sided.
    const std::int64_t start = bidirectional && distance > 0 ? side : 0;
    const std::int64_t far =
        bidirectional ? std::abs(distance) : std::max<std::int64_t>(0, -distance);
    if (far < exact) return start + far;
    const double share = std::log(static_cast<double>(far) / static_cast<double>(exact)) /
                         std::log(static_cast<double>(max_distance) / static_cast<double>(exact));
    const auto step = static_cast<std::int64_t>(share * static_cast<double>(side - exact));
    return start + std::min(side - 1, exact + step);
  };
}

Tensor window_bias(const Tensor& table, std::int64_t rows, std::int64_t cols) {
  const Dims d("window_bias", {{"table", table.shape(), "H R"}});
  if (d["R"] != (2 * rows - 1) * (2 * cols - 1)) {
    fail<ShapeError>("window_bias: table {} for windows of {} × {} needs R = {}",
                     to_string(table.shape()), rows, cols, (2 * rows - 1) * (2 * cols - 1));
  }
  const std::int64_t positions = rows * cols;
  std::vector<std::int64_t> columns;
  columns.reserve(static_cast<std::size_t>(positions * positions));
  for (std::int64_t i = 0; i < positions; ++i) {
    for (std::int64_t j = 0; j < positions; ++j) {
      const std::int64_t down = i / cols - j / cols + rows - 1;
      const std::int64_t across = i % cols - j % cols + cols - 1;
      columns.push_back(down * (2 * cols - 1) + across);
    }
  }
  return reshape(select_columns(table, columns), {d["H"], positions, positions});
}

}  // namespace qkv

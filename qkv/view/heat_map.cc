#include "qkv/view/heat_map.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using Kind = AttentionMap::Kind;

std::string title_of(const AttentionMaps& maps, const AttentionMap& map) {
  std::string title = maps.title.empty() ? std::string() : maps.title + " · ";
  title += fmt::format("{} attention, layer {}, ", name_of(map.kind), map.layer);
  if (map.head != kMeanHead) return title + fmt::format("head {}", map.head);
  const auto heads = heads_of(maps, map.kind, map.layer);
  const auto count = std::count_if(heads.begin(), heads.end(), [](int h) { return h >= 0; });
  return title + (count > 0 ? fmt::format("mean of {} head{}", count, count == 1 ? "" : "s")
                            : "mean of heads");
}

}  // namespace

HeatMap heat_map(const AttentionMaps& maps, Kind kind, int layer, int head) {
  const AttentionMap chosen = select(maps, kind, layer, head);
  HeatMap map{.title = title_of(maps, chosen),
              .rows = row_labels(maps, kind),
              .columns = column_labels(maps, kind),
              .values = chosen.weights,
              .row_name = kind == Kind::encoder_self ? "source queries" : "target queries",
              .column_name = kind == Kind::decoder_self ? "target keys" : "source keys"};
  check(map);
  return map;
}

void check(const HeatMap& map) {
  const Shape expected{static_cast<std::int64_t>(map.rows.size()),
                       static_cast<std::int64_t>(map.columns.size())};
  if (!map.values.defined() || !(map.values.shape() == expected)) {
    fail<ShapeError>("heat map: values are {}, labels {}",
                     map.values.defined() ? to_string(map.values.shape()) : "missing",
                     to_string(expected));
  }
  const auto values = map.values.values();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      fail<NumericError>("heat map: the value in row {}, column {} is {}", i / map.columns.size(),
                         i % map.columns.size(), values[i]);
    }
  }
}

HeatMap shrink(const HeatMap& map, std::int64_t max_rows, std::int64_t max_columns) {
  check(map);
  if (map.values.dim(0) <= max_rows && map.values.dim(1) <= max_columns) return map;
  const Groups rows = even_groups(map.rows, max_rows);
  const Groups columns = even_groups(map.columns, max_columns);
  HeatMap small = map;
  small.rows = rows.labels;
  small.columns = columns.labels;
  small.values = merge_weights(map.values, rows.of_token, columns.of_token);
  small.title +=
      fmt::format("{}{} × {} shown as {} × {}", map.title.empty() ? "" : " · ", map.rows.size(),
                  map.columns.size(), small.rows.size(), small.columns.size());
  return small;
}

double colour_scale(const HeatMap& map, std::optional<double> wanted) {
  if (wanted) {
    if (!(*wanted > 0.0) || !std::isfinite(*wanted)) {
      fail("heat map: the end of the colour scale is {}, it must be positive", *wanted);
    }
    return *wanted;
  }
  float largest = 0.0f;
  for (float value : map.values.values()) largest = std::max(largest, value);
  return largest > 0.0f ? static_cast<double>(largest) : 1.0;
}

}  // namespace qkv

// One labelled matrix, the common input of the terminal, SVG and PNG pictures. Any matrix will do;
// attention is what it is made for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "qkv/tensor/tensor.h"
#include "qkv/view/attention_maps.h"

namespace qkv {

struct HeatMap {
  std::string title;
  std::vector<std::string> rows;     // R labels (queries)
  std::vector<std::string> columns;  // C labels (keys)
  Tensor values;                     // [R C] f32, finite
  std::string row_name = "queries";
  std::string column_name = "keys";

  float at(std::size_t row, std::size_t column) const {
    return values.values()[row * columns.size() + column];
  }
};

/// The map chosen by select(), with a title that names it and labels "source" or "target".
HeatMap heat_map(const AttentionMaps& maps, AttentionMap::Kind kind, int layer,
                 int head = kMeanHead);

/// Throws ShapeError when values and labels do not fit, NumericError when a value is not finite.
void check(const HeatMap& map);

/// At most so many rows and columns, as shrink(AttentionMaps) does; the title then says so.
HeatMap shrink(const HeatMap& map, std::int64_t max_rows, std::int64_t max_columns);

/// The value that gets the last colour of the ramp: `wanted` (> 0, or Error), or else the largest
/// value (1 when none is positive).
double colour_scale(const HeatMap& map, std::optional<double> wanted = {});

}  // namespace qkv

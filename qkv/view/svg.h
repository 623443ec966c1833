// Heat maps as a standalone SVG, rows = queries, columns = keys, in the manner of matplotlib:
// labels, a colour bar, and the exact value of each cell as a tooltip.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "qkv/view/colour.h"
#include "qkv/view/heat_map.h"

namespace qkv {

struct SvgOptions {
  Ramp ramp = Ramp::paper;
  std::optional<double> scale = {};  // the value of the last colour; default: the largest of all
  int max_tokens = 200;              // longer maps are shrunk; at least 1
  int panels_across = 4;             // heat maps in one line, when there are several
};

/// Labels are escaped; any text may stand in them.
std::string svg_heat_map(const HeatMap& map, const SvgOptions& options = {});

/// Several maps (the heads of a layer) on one sheet with one colour scale. None gives an empty
/// sheet.
std::string svg_heat_maps(std::span<const HeatMap> maps, const SvgOptions& options = {});

}  // namespace qkv

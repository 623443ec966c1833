// Heat maps as PNG, for places that show no SVG. Cells are exact; labels are drawn in a small font
// of our own (font.h). A label with other characters (Chinese) is drawn as its number, "#3", and
// all labels stand in the file as the text chunks "Rows" and "Columns".
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "qkv/view/colour.h"
#include "qkv/view/heat_map.h"

namespace qkv {

struct PngOptions {
  Ramp ramp = Ramp::paper;
  std::optional<double> scale = {};  // the value of the last colour; default: the largest
  int max_tokens = 200;              // longer maps are shrunk; at least 1
  int cell = 0;                      // pixels of a cell, up to 200; 0: as large as fits a page
};

/// Where the cells lie in a picture: cell (r, c) fills [x + c·cell, x + (c+1)·cell) and likewise
/// down.
struct PngLayout {
  int x = 0, y = 0, cell = 0;
  int width = 0, height = 0;  // of the picture
};
PngLayout png_layout(const HeatMap& map, const PngOptions& options = {});

/// The bytes of the file.
std::string png_heat_map(const HeatMap& map, const PngOptions& options = {});

}  // namespace qkv

// A heat map for a terminal or a log file: rows and columns labelled, one block a weight.
#pragma once

#include <optional>
#include <string>

#include "qkv/view/colour.h"
#include "qkv/view/heat_map.h"

namespace qkv {

enum class TerminalColour {
  none,     // shades only: ░▒▓█
  palette,  // 256 colours
  truecolour
};

struct TerminalOptions {
  int width = 80;  // columns; at least 20
  TerminalColour colour = TerminalColour::none;
  Ramp ramp = Ramp::night;           // which end of the ramp is 0; nothing to do with shades
  std::optional<double> scale = {};  // the value of the last colour; default: the largest
  bool numbers = true;               // per cent in the blocks, where they are wide enough
};

/// Lines end in "\n"; no line is wider than asked for. Column labels stand across when they fit and
/// down otherwise; maps too wide even for that are shrunk. A legend closes the picture.
std::string terminal_heat_map(const HeatMap& map, const TerminalOptions& options = {});

}  // namespace qkv

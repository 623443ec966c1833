#include "qkv/view/terminal.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/text/normalise.h"
#include "qkv/view/label.h"

namespace qkv {
namespace {

constexpr int kMinWidth = 20;
constexpr int kMaxDown = 8;     // lines of column labels that stand down
constexpr int kMaxAcross = 9;   // columns of a label that stands across
constexpr int kNumberCell = 4;  // columns of a block that takes "100" and a margin
constexpr std::int64_t kMaxRows = 200;

constexpr std::array<std::string_view, 5> kShades = {" ", "░", "▒", "▓", "█"};
constexpr std::string_view kReset = "\x1b[0m";

struct Layout {
  int label = 0;        // columns of row labels, without the space after them
  int cell = 2;         // columns of a block
  bool across = false;  // column labels stand across
};

std::vector<std::string> cleaned(const std::vector<std::string>& labels) {
  std::vector<std::string> clean;
  clean.reserve(labels.size());
  for (const std::string& label : labels) clean.push_back(clean_label(label));
  return clean;
}

int widest(const std::vector<std::string>& labels) {
  int width = 0;
  for (const std::string& label : labels) width = std::max(width, display_width(label));
  return width;
}

// Columns that row labels may take.
int label_limit(int width) { return std::clamp(width / 4, 6, 20); }

// What is left of the width after row labels goes to the blocks: wide ones with labels across when
// all of them fit, else two columns (a square, and room for a Han character), else one.
Layout lay_out(const HeatMap& map, int width) {
  Layout layout;
  layout.label = std::min(widest(map.rows), label_limit(width));
  const int room = width - layout.label - 1;
  const int columns = static_cast<int>(map.columns.size());
  const int across = std::clamp(widest(map.columns), 3, kMaxAcross) + 1;
  layout.across = columns * across <= room;
  layout.cell = layout.across ? across : columns * 2 <= room ? 2 : 1;
  return layout;
}

// Sets the background, and a foreground that can be read on it.
std::string paint(const TerminalOptions& options, double t) {
  const Colour back = ramp_colour(options.ramp, t), front = readable_on(back);
  if (options.colour == TerminalColour::palette) {
    return fmt::format("\x1b[48;5;{};38;5;{}m", palette_index(back), palette_index(front));
  }
  return fmt::format("\x1b[48;2;{};{};{};38;2;{};{};{}m", back.red, back.green, back.blue,
                     front.red, front.green, front.blue);
}

// Evenly spaced shades, so that a quarter of the scale is the first one that is more than nothing.
std::string_view shade(double t) {
  return kShades[static_cast<std::size_t>(std::lround(std::clamp(t, 0.0, 1.0) * 4))];
}

std::string block(double value, double scale, int cell, const TerminalOptions& options) {
  const double t = value / scale;
  const long percent = std::lround(value * 100);
  const bool number = options.numbers && cell >= kNumberCell && percent >= 1 && percent <= 999;
  if (options.colour != TerminalColour::none) {
    const std::string inside = number ? fmt::format("{}", percent) : std::string();
    const int left = (cell - static_cast<int>(inside.size())) / 2;
    return paint(options, t) +
           pad_right(std::string(static_cast<std::size_t>(left), ' ') + inside, cell);
  }
  // One column stays free, so that neighbours in wide blocks can be told apart.
  const std::string inside = number ? fmt::format("{:>3}", percent) : std::string();
  const int shades = (cell > 2 ? cell - 1 : cell) - static_cast<int>(inside.size());
  std::string text;
  for (int i = 0; i < shades; ++i) text += shade(t);
  return text + inside + (cell > 2 ? " " : "");
}

// Labels that stand down, one character a line, from the bottom up to kMaxDown lines. Where a
// block is one column and a label has a wide character, numbers stand in for all of them.
void draw_down(std::string& picture, const std::vector<std::string>& labels, const Layout& layout) {
  const bool narrow = layout.cell == 1;
  bool wide = false;
  std::vector<std::vector<std::string>> letters;
  for (const std::string& label : labels) {
    auto& own = letters.emplace_back();
    for (std::string_view c : characters(label)) {
      wide = wide || display_width(c) > 1;
      own.emplace_back(c);
    }
  }
  if (narrow && wide) {
    for (std::size_t i = 0; i < letters.size(); ++i) {
      letters[i].clear();
      for (char digit : std::to_string(i)) letters[i].emplace_back(1, digit);
    }
  }
  std::size_t lines = 0;
  for (auto& own : letters) {
    if (own.size() > kMaxDown) {
      own.resize(kMaxDown);
      own.back() = "…";
    }
    lines = std::max(lines, own.size());
  }
  for (std::size_t line = 0; line < lines; ++line) {
    std::string text(static_cast<std::size_t>(layout.label + 1), ' ');
    for (const auto& own : letters) {
      const std::size_t above = lines - own.size();
      text += pad_right(line < above ? std::string_view() : own[line - above], layout.cell);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    picture += text + "\n";
  }
}

void draw_across(std::string& picture, const std::vector<std::string>& labels,
                 const Layout& layout) {
  std::string text(static_cast<std::size_t>(layout.label + 1), ' ');
  for (const std::string& label : labels) {
    text += pad_right(fit_label(label, layout.cell - 1), layout.cell);
  }
  text.erase(text.find_last_not_of(' ') + 1);
  picture += text + "\n";
}

// From "0 " to the last colour: 12 columns of shades or 18 of colours.
std::string ramp_legend(const TerminalOptions& options) {
  std::string text = "0 ";
  if (options.colour == TerminalColour::none) {
    for (std::string_view s : kShades) text += fmt::format("{0}{0}", s);
    return text;
  }
  for (int i = 0; i < 16; ++i) text += paint(options, i / 15.0) + " ";
  return text + std::string(kReset);
}

}  // namespace

std::string terminal_heat_map(const HeatMap& full, const TerminalOptions& options) {
  if (options.width < kMinWidth) {
    fail("heat map: a terminal of {} columns, at least {} are needed", options.width, kMinWidth);
  }
  HeatMap map = full;
  check(map);
  map.rows = cleaned(map.rows);
  map.columns = cleaned(map.columns);
  // Merged rows get wider labels; the columns must fit beside them.
  const int label = static_cast<std::int64_t>(map.rows.size()) > kMaxRows
                        ? label_limit(options.width)
                        : lay_out(map, options.width).label;
  map = shrink(map, kMaxRows, options.width - label - 1);
  const double scale = colour_scale(map, options.scale);

  std::string picture;
  if (!map.title.empty()) picture += fit_label(clean_label(map.title), options.width) + "\n";
  if (map.rows.empty() || map.columns.empty()) {
    return picture +
           fmt::format("(empty: {} rows, {} columns)\n", map.rows.size(), map.columns.size());
  }
  const Layout layout = lay_out(map, options.width);
  if (layout.across) {
    draw_across(picture, map.columns, layout);
  } else {
    draw_down(picture, map.columns, layout);
  }
  for (std::size_t r = 0; r < map.rows.size(); ++r) {
    picture += pad_left(map.rows[r], layout.label) + " ";
    std::string line;
    for (std::size_t c = 0; c < map.columns.size(); ++c) {
      line += block(static_cast<double>(map.at(r, c)), scale, layout.cell, options);
    }
    if (options.colour == TerminalColour::none) {
      line.erase(line.find_last_not_of(' ') + 1);
    } else {
      line += kReset;
    }
    picture += line + "\n";
  }
  const std::string numbers = fmt::format(" {:.3g}", scale);
  const int left = options.width - (options.colour == TerminalColour::none ? 12 : 18) -
                   static_cast<int>(numbers.size()) - 3;
  const std::string axes = fmt::format("rows: {}, columns: {}", map.row_name, map.column_name);
  picture += ramp_legend(options) + numbers;
  if (left >= 12) picture += "   " + fit_label(clean_label(axes), left);
  return picture + "\n";
}

}  // namespace qkv

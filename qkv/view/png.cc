#include "qkv/view/png.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/text/normalise.h"
#include "qkv/view/canvas.h"
#include "qkv/view/font.h"
#include "qkv/view/label.h"

namespace qkv {
namespace {

constexpr int kPage = 960;  // pixels for the cells when their size is free
constexpr int kMargin = 16, kGap = 8;
constexpr int kBarWidth = 20, kBarRoom = 110;
constexpr int kLetters = 16;  // longer labels are cut
constexpr int kDot = 2;       // pixels of a dot of the font, for titles and axes
constexpr Colour kInk{34, 34, 34}, kSoft{120, 120, 120};

// Labels as they are drawn: cut, or a number where the font lacks a character.
std::vector<std::string> drawable(const std::vector<std::string>& labels) {
  std::vector<std::string> drawn;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::string label = fit_label(clean_label(labels[i]), kLetters);
    drawn.push_back(text_pixels(label, 1) >= 0 ? label : fmt::format("#{}", i));
  }
  return drawn;
}

int widest(const std::vector<std::string>& drawn, int dot) {
  int pixels = 0;
  for (const std::string& label : drawn) pixels = std::max(pixels, text_pixels(label, dot));
  return pixels;
}

struct Layout : PngLayout {
  int dot = 1;    // pixels of a dot of the labels' font
  int every = 1;  // which labels are drawn
  std::vector<std::string> rows, columns;
  std::string title;
};

std::string drawable_title(const HeatMap& map) {
  std::string title = clean_label(map.title);
  if (text_pixels(title, 1) >= 0) return title;
  // What can be drawn of it, a question mark for the rest.
  std::string drawn;
  for (std::string_view c : characters(title)) {
    drawn += text_pixels(c, 1) >= 0 ? std::string(c) : "?";
  }
  return drawn;
}

Layout lay_out(const HeatMap& map, const PngOptions& options) {
  if (options.cell < 0 || options.cell > 200) fail("heat map: cells of {} pixels", options.cell);
  const int rows = static_cast<int>(map.rows.size()),
            columns = static_cast<int>(map.columns.size());
  Layout l;
  l.cell =
      options.cell > 0 ? options.cell : std::clamp(kPage / std::max({rows, columns, 1}), 4, 48);
  l.dot = l.cell >= 20 ? 2 : 1;
  const int line = static_cast<int>(kGlyphRows) * l.dot;
  l.every = (line + l.cell - 1) / l.cell;
  l.rows = drawable(map.rows);
  l.columns = drawable(map.columns);
  l.title = drawable_title(map);
  const int text = static_cast<int>(kGlyphRows) * kDot;
  l.x = kMargin + text + kGap + widest(l.rows, l.dot) + kGap;
  l.y =
      kMargin + (l.title.empty() ? 0 : text + kGap) + text + kGap + widest(l.columns, l.dot) + kGap;
  const int right = l.x + columns * l.cell + kGap + kBarWidth + kBarRoom;
  l.width = std::max(right, 2 * kMargin + text_pixels(l.title, kDot));
  l.height = l.y + std::max(rows * l.cell, 120) + kMargin;
  return l;
}

void draw_labels(Canvas& canvas, const HeatMap& map, const Layout& l) {
  const int text = static_cast<int>(kGlyphRows) * kDot, half = static_cast<int>(kGlyphHeight) / 2;
  int y = kMargin + static_cast<int>(kGlyphAbove) * kDot;
  if (!l.title.empty()) {
    canvas.text(kMargin, y, l.title, kInk, kDot);
    y += text + kGap;
  }
  const int width = l.cell * static_cast<int>(l.columns.size());
  const int height = l.cell * static_cast<int>(l.rows.size());
  const auto centred = [&](const std::string& name, int begin, int size) {
    return begin + (size - std::max(0, text_pixels(name, kDot))) / 2;
  };
  canvas.text(std::max(l.x, centred(map.column_name, l.x, width)), y, map.column_name, kSoft, kDot);
  const int length = std::max(0, text_pixels(map.row_name, kDot));
  canvas.text(kMargin, std::max(l.y + (height + length) / 2, length + kMargin), map.row_name, kSoft,
              kDot, Canvas::Turn::up);
  for (std::size_t r = 0; r < l.rows.size(); r += static_cast<std::size_t>(l.every)) {
    const int middle = l.y + static_cast<int>(r) * l.cell + l.cell / 2;
    canvas.text(l.x - kGap - text_pixels(l.rows[r], l.dot), middle - half * l.dot, l.rows[r], kInk,
                l.dot);
  }
  for (std::size_t c = 0; c < l.columns.size(); c += static_cast<std::size_t>(l.every)) {
    const int middle = l.x + static_cast<int>(c) * l.cell + l.cell / 2;
    canvas.text(middle - half * l.dot, l.y - kGap, l.columns[c], kInk, l.dot, Canvas::Turn::up);
  }
}

void draw_cells(Canvas& canvas, const HeatMap& map, const Layout& l, double scale, Ramp ramp) {
  const int width = l.cell * static_cast<int>(l.columns.size());
  const int height = l.cell * static_cast<int>(l.rows.size());
  canvas.fill(l.x - 1, l.y - 1, width + 2, height + 2, kSoft);
  for (std::size_t r = 0; r < l.rows.size(); ++r) {
    for (std::size_t c = 0; c < l.columns.size(); ++c) {
      canvas.fill(l.x + static_cast<int>(c) * l.cell, l.y + static_cast<int>(r) * l.cell, l.cell,
                  l.cell, ramp_colour(ramp, static_cast<double>(map.at(r, c)) / scale));
    }
  }
}

void draw_bar(Canvas& canvas, const Layout& l, double scale, Ramp ramp) {
  const int x = l.x + l.cell * static_cast<int>(l.columns.size()) + 2 * kGap;
  const int height = l.height - l.y - kMargin;
  for (int i = 0; i < height; ++i) {
    canvas.fill(x, l.y + i, kBarWidth, 1,
                ramp_colour(ramp, (height - 1 - i) / std::max(1.0, height - 1.0)));
  }
  for (int i = 0; i <= 4; ++i) {
    const int y = l.y + (height - 1) * (4 - i) / 4;
    canvas.fill(x + kBarWidth, y, 4, 1, kSoft);
    canvas.text(x + kBarWidth + kGap, y - static_cast<int>(kGlyphHeight) / 2 * kDot,
                fmt::format("{:.3g}", scale * i / 4), kInk, kDot);
  }
}

std::string lines(const std::vector<std::string>& labels) {
  std::string text;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    text += fmt::format("{}#{} {}", i == 0 ? "" : "\n", i, clean_label(labels[i]));
  }
  return text;
}

}  // namespace

PngLayout png_layout(const HeatMap& map, const PngOptions& options) {
  return lay_out(shrink(map, options.max_tokens, options.max_tokens), options);
}

std::string png_heat_map(const HeatMap& full, const PngOptions& options) {
  const HeatMap map = shrink(full, options.max_tokens, options.max_tokens);
  const Layout layout = lay_out(map, options);
  const double scale = colour_scale(map, options.scale);
  Canvas canvas(layout.width, layout.height);
  draw_labels(canvas, map, layout);
  if (!map.rows.empty() && !map.columns.empty()) {
    draw_cells(canvas, map, layout, scale, options.ramp);
    draw_bar(canvas, layout, scale, options.ramp);
  }
  const std::vector<PngText> texts = {{"Title", clean_label(map.title)},
                                      {"Rows", lines(map.rows)},
                                      {"Columns", lines(map.columns)}};
  return canvas.png(texts);
}

}  // namespace qkv

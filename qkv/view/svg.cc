#include "qkv/view/svg.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/view/label.h"

namespace qkv {
namespace {

constexpr double kLetter = 6.8;      // pixels of a narrow character at font size 12, about
constexpr int kLabelColumns = 16;    // longer labels are cut; the tooltip has all of it
constexpr double kSlant = 0.707107;  // cos 45° = sin 45°
constexpr double kMargin = 14, kGap = 6;
constexpr double kTitleHeight = 26, kCaptionHeight = 18;
constexpr double kBarWidth = 12, kBarRoom = 78;
constexpr std::size_t kMaxTooltips =
    10000;  // cells of a panel; beyond, tooltips would be most of it

struct Panel {
  double x = 0, y = 0;           // of the first cell
  double cell = 0;               // pixels
  double left = 0, above = 0;    // room for labels, captions and title
  double width = 0, height = 0;  // all of it
};

double label_pixels(const std::vector<std::string>& labels) {
  int columns = 0;
  for (const std::string& label : labels) {
    columns = std::max(columns, std::min(display_width(clean_label(label)), kLabelColumns));
  }
  return columns * kLetter;
}

Panel lay_out(const HeatMap& map, bool alone) {
  const auto rows = static_cast<double>(map.rows.size());
  const auto columns = static_cast<double>(map.columns.size());
  Panel panel;
  panel.cell =
      std::clamp(std::floor((alone ? 640 : 280) / std::max({rows, columns, 1.0})), 3.0, 30.0);
  const double slanted = label_pixels(map.columns) * kSlant;
  panel.left = kCaptionHeight + label_pixels(map.rows) + kGap;
  panel.above = (map.title.empty() ? 0 : kTitleHeight) + kCaptionHeight + slanted + 2 * kGap;
  const double title = display_width(clean_label(map.title)) * kLetter * 1.15;
  panel.width = panel.left + std::max(columns * panel.cell + slanted, title - panel.left) + kGap;
  panel.height = panel.above + rows * panel.cell + kGap;
  return panel;
}

std::string text(double x, double y, std::string_view anchor, std::string_view words,
                 std::string_view more = {}) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y,
                     anchor, more, escape_xml(words));
}

// A label, cut when long; then its tooltip has all of it.
std::string label(double x, double y, std::string_view anchor, double size, std::string_view words,
                  std::string_view turn) {
  const std::string clean = clean_label(words), fitted = fit_label(clean, kLabelColumns);
  const std::string whole =
      fitted == clean ? "" : fmt::format("<title>{}</title>", escape_xml(clean));
  return fmt::format(
      "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{:g}\"{}>{}{}</text>\n", x, y,
      anchor, size, turn, whole, escape_xml(fitted));
}

void draw_labels(std::string& svg, const HeatMap& map, const Panel& p) {
  // Small cells get small labels, and only every n-th of them.
  const double size = std::clamp(p.cell - 1.0, 8.0, 12.0);
  const auto every = static_cast<std::size_t>(std::ceil(size / p.cell - 1e-9));
  for (std::size_t r = 0; r < map.rows.size(); r += every) {
    const double y = p.y + (static_cast<double>(r) + 0.5) * p.cell;
    svg += label(p.x - kGap, y + size * 0.35, "end", size, map.rows[r], "");
  }
  for (std::size_t c = 0; c < map.columns.size(); c += every) {
    const double x = p.x + (static_cast<double>(c) + 0.5) * p.cell + size * 0.2, y = p.y - kGap;
    svg += label(x, y, "start", size, map.columns[c],
                 fmt::format(" transform=\"rotate(-45 {:.1f} {:.1f})\"", x, y));
  }
}

// Neighbours of one colour become one rectangle where there are no tooltips to keep apart.
void draw_cells(std::string& svg, const HeatMap& map, const Panel& p, double scale, Ramp ramp) {
  const bool tooltips = map.rows.size() * map.columns.size() <= kMaxTooltips;
  const std::string background = hex(ramp_colour(ramp, 0));
  svg += fmt::format(
      "<g shape-rendering=\"crispEdges\">\n<rect x=\"{:g}\" y=\"{:g}\" width=\"{:g}\" "
      "height=\"{:g}\" fill=\"{}\"/>\n",
      p.x, p.y, p.cell * static_cast<double>(map.columns.size()),
      p.cell * static_cast<double>(map.rows.size()), background);
  const auto colour = [&](std::size_t r, std::size_t c) {
    return hex(ramp_colour(ramp, static_cast<double>(map.at(r, c)) / scale));
  };
  for (std::size_t r = 0; r < map.rows.size(); ++r) {
    const std::string row = escape_xml(map.rows[r]);
    for (std::size_t c = 0; c < map.columns.size();) {
      const std::string own = colour(r, c);
      std::size_t end = c + 1;
      while (!tooltips && end < map.columns.size() && colour(r, end) == own) ++end;
      if (tooltips || own != background) {
        svg += fmt::format("<rect x=\"{:g}\" y=\"{:g}\" width=\"{:g}\" height=\"{:g}\" fill=\"{}\"",
                           p.x + p.cell * static_cast<double>(c),
                           p.y + p.cell * static_cast<double>(r),
                           p.cell * static_cast<double>(end - c), p.cell, own);
        svg += !tooltips ? "/>\n"
                         : fmt::format("><title>{} → {}: {:.4g}</title></rect>\n", row,
                                       escape_xml(map.columns[c]), map.at(r, c));
      }
      c = end;
    }
  }
  svg += "</g>\n";
  svg += fmt::format(
      "<rect x=\"{:g}\" y=\"{:g}\" width=\"{:g}\" height=\"{:g}\" fill=\"none\" "
      "stroke=\"#888\" stroke-width=\"0.8\"/>\n",
      p.x, p.y, p.cell * static_cast<double>(map.columns.size()),
      p.cell * static_cast<double>(map.rows.size()));
}

void draw_panel(std::string& svg, const HeatMap& map, Panel p, double scale, Ramp ramp) {
  const double left = p.x, top = p.y;
  p.x += p.left;
  p.y += p.above;
  const double width = p.cell * static_cast<double>(map.columns.size());
  const double height = p.cell * static_cast<double>(map.rows.size());
  double y = top;
  if (!map.title.empty()) {
    svg += text(left, y + 15, "start", map.title, " font-size=\"14\" font-weight=\"600\"");
    y += kTitleHeight;
  }
  constexpr std::string_view kCaption = " fill=\"#777\" font-size=\"11\"";
  svg += text(p.x + width / 2, y + 11, "middle", map.column_name, kCaption);
  svg += text(left + 10, p.y + height / 2, "middle", map.row_name,
              fmt::format("{} transform=\"rotate(-90 {:.1f} {:.1f})\"", kCaption, left + 10,
                          p.y + height / 2));
  if (map.rows.empty() || map.columns.empty()) {
    svg += text(p.x, p.y + 12, "start",
                fmt::format("empty: {} rows, {} columns", map.rows.size(), map.columns.size()));
    return;
  }
  draw_labels(svg, map, p);
  draw_cells(svg, map, p, scale, ramp);
}

void draw_bar(std::string& svg, double x, double y, double height, double scale, Ramp ramp) {
  constexpr int kSteps = 64;
  svg += "<g shape-rendering=\"crispEdges\">\n";
  for (int i = 0; i < kSteps; ++i) {
    svg += fmt::format(
        "<rect x=\"{:g}\" y=\"{:.2f}\" width=\"{:g}\" height=\"{:.2f}\" fill=\"{}\"/>\n", x,
        y + height * (kSteps - 1 - i) / kSteps, kBarWidth, height / kSteps + 0.5,
        hex(ramp_colour(ramp, i / (kSteps - 1.0))));
  }
  svg += "</g>\n";
  for (int i = 0; i <= 4; ++i) {
    const double at = y + height * (4 - i) / 4;
    svg += fmt::format("<path d=\"M{:g} {:.1f}h4\" stroke=\"#888\"/>\n", x + kBarWidth, at);
    svg += text(x + kBarWidth + 7, at + 4, "start", fmt::format("{:.3g}", scale * i / 4));
  }
}

}  // namespace

std::string svg_heat_map(const HeatMap& map, const SvgOptions& options) {
  return svg_heat_maps(std::span(&map, 1), options);
}

std::string svg_heat_maps(std::span<const HeatMap> maps, const SvgOptions& options) {
  if (options.panels_across < 1) fail("heat map: {} panels in a line", options.panels_across);
  std::vector<HeatMap> small;
  std::vector<Panel> panels;
  double scale = options.scale.value_or(0.0), x = kMargin, y = kMargin, line = 0, right = 0;
  for (const HeatMap& map : maps) {
    small.push_back(shrink(map, options.max_tokens, options.max_tokens));
    const double own = colour_scale(small.back(), options.scale);
    scale = small.size() == 1 ? own : std::max(scale, own);
    Panel panel = lay_out(small.back(), maps.size() == 1);
    if (!panels.empty() && panels.size() % static_cast<std::size_t>(options.panels_across) == 0) {
      x = kMargin;
      y += line + kMargin;
      line = 0;
    }
    panel.x = x;
    panel.y = y;
    x += panel.width + kMargin;
    line = std::max(line, panel.height);
    right = std::max(right, x);
    panels.push_back(panel);
  }
  const double bar_top = panels.empty() ? y : panels.front().y + panels.front().above;
  const double bar =
      panels.empty() ? 0 : std::max(60.0, panels.front().height - panels.front().above - kGap);
  const double width = panels.empty() ? 60 : right + kBarRoom;
  const double height = panels.empty() ? 60 : std::max(y + line, bar_top + bar + kGap) + kMargin;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 "
      "0 "
      "{0:.0f} {1:.0f}\" font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#222\">\n"
      "<rect width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"#fff\"/>\n",
      width, height);
  for (std::size_t i = 0; i < panels.size(); ++i) {
    draw_panel(svg, small[i], panels[i], scale, options.ramp);
  }
  if (!panels.empty()) draw_bar(svg, right, bar_top, bar, scale, options.ramp);
  return svg + "</svg>\n";
}

}  // namespace qkv

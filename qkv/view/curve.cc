#include "qkv/view/curve.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <string_view>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/view/label.h"

namespace qkv {
namespace {

// Told apart by colour-blind readers too (after Okabe and Ito 2008).
constexpr std::array<std::string_view, 6> kColours = {"#0072b2", "#d55e00", "#009e73",
                                                      "#cc79a7", "#e69f00", "#56b4e9"};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  // Never empty, never of size zero.
  Range usable() const {
    if (!(low <= high)) return {0.0, 1.0};
    if (low < high) return *this;
    const double half = low == 0.0 ? 1.0 : std::abs(low) / 2;
    return {low - half, high + half};
  }
  // A little air above and below the line; a quantity that is never negative keeps to zero.
  Range widened() const {
    const Range r = usable();
    const double air = 0.05 * (r.high - r.low);
    return {low >= 0.0 ? std::max(0.0, r.low - air) : r.low - air, r.high + air};
  }
};

struct Axis {
  Range range;      // of the logarithms, when log
  double from, to;  // pixels of range.low and range.high
  bool log = false;

  double operator()(double value) const {
    const double v = log ? std::log10(value) : value;
    return from + (v - range.low) / (range.high - range.low) * (to - from);
  }
};

bool finite(const Series::Point& p) { return std::isfinite(p.x) && std::isfinite(p.y); }
bool drawn(const Series::Point& p, bool log_x) { return finite(p) && (!log_x || p.x > 0.0); }

std::string number(double value, double step) {
  if (std::abs(value) < step * 1e-6) return "0";
  const double size = std::abs(value);
  if (size >= 1e6 || size < 1e-4) return fmt::format("{:g}", value);
  const int digits = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  return fmt::format("{:.{}f}", value, digits);
}

// The points of one unbroken stretch, at most two (lowest and highest) a pixel column.
std::string path_of(std::span<const Series::Point> points, const Axis& x, const Axis& y) {
  std::string path;
  const auto add = [&](const Series::Point& p) {
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : " L", x(p.x), y(p.y));
  };
  const bool thin = static_cast<double>(points.size()) > 2 * (x.to - x.from);
  for (std::size_t i = 0; i < points.size();) {
    std::size_t end = i + 1, low = i, high = i;
    while (thin && end < points.size() &&
           std::floor(x(points[end].x)) == std::floor(x(points[i].x))) {
      if (points[end].y < points[low].y) low = end;
      if (points[end].y > points[high].y) high = end;
      ++end;
    }
    add(points[std::min(low, high)]);
    if (low != high) add(points[std::max(low, high)]);
    i = end;
  }
  return path;
}

void draw_bar(std::string& svg, const Series::Point& p, std::string_view colour, const Axis& x,
              const Axis& y) {
  if (!(p.spread > 0.0) || !std::isfinite(p.spread)) return;
  const double at = x(p.x), low = y(p.y - p.spread), high = y(p.y + p.spread);
  svg += fmt::format(
      "<path d=\"M{0:.1f} {1:.1f}h6m-3 0V{2:.1f}m-3 0h6\" fill=\"none\" stroke=\"{3}\"/>\n", at - 3,
      low, high, colour);
}

void draw_series(std::string& svg, const Series& s, std::string_view colour, const Axis& x,
                 const Axis& y) {
  const std::string_view dash = s.second_axis ? " stroke-dasharray=\"5 3\"" : "";
  const std::span<const Series::Point> all = s.points;
  for (std::size_t i = 0; i < all.size();) {
    std::size_t end = i;
    while (end < all.size() && drawn(all[end], x.log)) ++end;
    const auto part = all.subspan(i, end - i);
    for (const Series::Point& p : part) draw_bar(svg, p, colour, x, y);
    if (part.size() > 1 && !s.dots) {
      svg += fmt::format(
          "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" "
          "stroke-linejoin=\"round\"{}/>\n",
          path_of(part, x, y), colour, dash);
    }
    // Few points are measurements worth seeing one by one; a lone one would be invisible.
    if (part.size() <= 40 || s.dots) {
      for (const Series::Point& p : part) {
        svg += fmt::format(
            "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\" fill=\"{}\"><title>{}: {:g} at "
            "{:g}</title></circle>\n",
            x(p.x), y(p.y), colour, escape_xml(s.name), p.y, p.x);
      }
    }
    i = std::max(end, i + 1);
  }
}

void draw_text(std::string& svg, double x, double y, std::string_view anchor, std::string_view text,
               std::string_view more = {}) {
  svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y,
                     anchor, more, escape_xml(text));
}

double step_of(const std::vector<double>& ticks) {
  return ticks.size() > 1 ? ticks[1] - ticks[0] : 1;
}

/// Lines and numbers for the left axis, marks and numbers for the lower one.
void draw_axes(std::string& svg, const Axis& x, const Axis& y) {
  const auto y_ticks = axis_ticks(y.range.low, y.range.high, 6);
  for (double tick : y_ticks) {
    svg += fmt::format("<path d=\"M{:.1f} {:.1f}H{:.1f}\" stroke=\"#e4e4e4\"/>\n", x.from, y(tick),
                       x.to);
    draw_text(svg, x.from - 7, y(tick) + 4, "end", number(tick, step_of(y_ticks)));
  }
  const auto x_ticks = x.log ? log_ticks(std::pow(10.0, x.range.low), std::pow(10.0, x.range.high))
                             : axis_ticks(x.range.low, x.range.high, 8);
  for (double tick : x_ticks) {
    svg += fmt::format("<path d=\"M{:.1f} {:.1f}v5\" stroke=\"#888\"/>\n", x(tick), y.from);
    draw_text(svg, x(tick), y.from + 18, "middle",
              x.log ? fmt::format("{:g}", tick) : number(tick, step_of(x_ticks)));
  }
}

/// Marks, numbers and the label of the axis on the right of a picture.
void draw_second_axis(std::string& svg, const Axis& x, const Axis& y, int width,
                      std::string_view label) {
  const auto ticks = axis_ticks(y.range.low, y.range.high, 6);
  for (double tick : ticks) {
    svg += fmt::format("<path d=\"M{:.1f} {:.1f}h5\" stroke=\"#888\"/>\n", x.to, y(tick));
    draw_text(svg, x.to + 8, y(tick) + 4, "start", number(tick, step_of(ticks)));
  }
  const double at = width - 10.0, middle = (y.to + y.from) / 2;
  draw_text(svg, at, middle, "middle", label,
            fmt::format(" transform=\"rotate(-90 {:.1f} {:.1f})\"", at, middle));
}

void draw_name(std::string& svg, const Series& s, std::string_view colour, double at, double top) {
  if (s.dots) {
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\" fill=\"{}\"/>\n", at + 9,
                       top - 14, colour);
  } else {
    svg += fmt::format("<path d=\"M{:.1f} {:.1f}h18\" stroke=\"{}\" stroke-width=\"2\"{}/>\n", at,
                       top - 14, colour, s.second_axis ? " stroke-dasharray=\"5 3\"" : "");
  }
  draw_text(svg, at + 23, top - 10, "start", s.name);
}

}  // namespace

std::vector<double> axis_ticks(double low, double high, int count) {
  if (!(low < high) || count < 1 || !std::isfinite(high - low)) return {};
  const double raw = (high - low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (double factor : {5.0, 2.0, 1.0}) {
    if (factor * power >= raw * (1 - 1e-9)) step = factor * power;
  }
  std::vector<double> ticks;
  // Multiplied, not added up, so that 0.3 is not 0.30000000000000004; bounded, because a step may
  // be lost beside a huge number.
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1.0) {
    ticks.push_back(i * step);
    if (ticks.size() > 4 * static_cast<std::size_t>(count)) break;
  }
  return ticks;
}

std::vector<double> log_ticks(double low, double high) {
  std::vector<double> ticks;
  if (!(low > 0.0) || !std::isfinite(high)) return ticks;
  for (double power = std::floor(std::log10(low)); power <= std::log10(high); power += 1.0) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double tick = factor * std::pow(10.0, power);
      if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push_back(tick);
    }
  }
  return ticks;
}

std::string curve_svg(std::span<const Series> series, const CurveOptions& options) {
  if (options.width < 200 || options.height < 200) {
    fail("curve: {} × {} pixels are too few, at least 200 × 200", options.width, options.height);
  }
  Range xs, left, right;
  bool second = false;
  std::string second_label = options.second_label;
  for (const Series& s : series) {
    for (const Series::Point& p : s.points) {
      if (!drawn(p, options.log_x)) continue;
      xs.add(options.log_x ? std::log10(p.x) : p.x);
      Range& ys = s.second_axis ? right : left;
      ys.add(p.y);
      if (p.spread > 0.0 && std::isfinite(p.spread)) {
        ys.add(p.y - p.spread);
        ys.add(p.y + p.spread);
      }
    }
    if (!s.second_axis) continue;
    second = true;
    if (options.second_label.empty()) {
      second_label += fmt::format("{}{}", second_label.empty() ? "" : ", ", s.name);
    }
  }
  const double top = options.title.empty() ? 34 : 56, bottom = options.height - 46.0;
  const double first = 62, last = options.width - (second ? 62.0 : 22.0);
  const Axis x{xs.usable(), first, last, options.log_x}, y{left.widened(), bottom, top},
      y2{right.widened(), bottom, top};

  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} "
      "{1}\" font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#333\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"#fff\"/>\n",
      options.width, options.height);
  if (!options.title.empty()) {
    draw_text(svg, (first + last) / 2, 22, "middle", options.title,
              " font-size=\"15\" font-weight=\"600\"");
  }
  draw_axes(svg, x, y);
  svg += fmt::format(
      "<path d=\"M{0:.1f} {1:.1f}V{2:.1f}H{3:.1f}{4}\" fill=\"none\" stroke=\"#888\"/>\n", first,
      top, bottom, last, second ? fmt::format("V{:.1f}", top) : "");
  if (second) draw_second_axis(svg, x, y2, options.width, second_label);
  draw_text(svg, (first + last) / 2, options.height - 10.0, "middle", options.x_label);
  draw_text(svg, 14, (top + bottom) / 2, "middle", options.y_label,
            fmt::format(" transform=\"rotate(-90 14 {:.1f})\"", (top + bottom) / 2));
  double legend = first;
  for (std::size_t i = 0; i < series.size(); ++i) {
    const Series& s = series[i];
    const std::string_view colour = kColours[i % kColours.size()];
    draw_series(svg, s, colour, x, s.second_axis ? y2 : y);
    draw_name(svg, s, colour, legend, top);
    legend += 23 + 7.2 * display_width(clean_label(s.name)) + 18;
  }
  return svg + "</svg>\n";
}

}  // namespace qkv

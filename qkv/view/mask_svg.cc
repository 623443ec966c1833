#include "qkv/view/mask_svg.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "qkv/attention/explain.h"
#include "qkv/base/error.h"
#include "qkv/view/colour.h"
#include "qkv/view/label.h"

namespace qkv {
namespace {

constexpr double kMargin = 12, kTop = 30, kLegend = 26;
constexpr std::size_t kMostRectangles = 20000;
constexpr int kTitleColumns = 44;
constexpr Colour kOutside{255, 255, 255}, kSkipped{238, 238, 234}, kPartial{253, 224, 184},
    kFull{190, 216, 240}, kPair{38, 70, 112};

struct Rectangle {
  std::int64_t top, bottom, left, right;
};

/// The visible pairs as rectangles: intervals that rows below each other share become one. Empty
/// when there are too many.
std::vector<Rectangle> pairs_of(const AttendPlan& plan) {
  std::vector<Rectangle> all;
  std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> open;  // that end at this row
  for (std::int64_t i = 0; i < plan.queries; ++i) {
    std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> next;
    for (auto x = plan.row_offsets[static_cast<std::size_t>(i)];
         x < plan.row_offsets[static_cast<std::size_t>(i) + 1]; ++x) {
      const Interval seen = plan.intervals[static_cast<std::size_t>(x)];
      const std::pair<std::int64_t, std::int64_t> key{seen.begin, seen.end};
      const auto above = open.find(key);
      const std::size_t at = above == open.end() ? all.size() : above->second;
      if (above == open.end()) all.push_back({i, i, seen.begin, seen.end});
      all[at].bottom = i + 1;
      next[key] = at;
      if (all.size() > kMostRectangles) return {};
    }
    open = std::move(next);
  }
  return all;
}

class Drawing {
 public:
  Drawing(const AttendPlan& plan, const MaskSvgOptions& o) : plan_(plan), o_(o) {
    const auto longer = static_cast<double>(std::max<std::int64_t>({plan.queries, plan.keys, 1}));
    scale_ = o.pixels / longer;
    width_ = scale_ * static_cast<double>(plan.keys);
    height_ = scale_ * static_cast<double>(plan.queries);
  }

  std::string draw() {
    const double across = std::max(width_, 300.0) + 2 * kMargin;
    const double down = kTop + height_ + kLegend + kMargin;
    svg_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
        "viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"system-ui, sans-serif\" font-size=\"12\" "
        "fill=\"#222\">\n<rect width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"#fff\"/>\n"
        "<text x=\"{2:g}\" y=\"20\" font-weight=\"600\"><title>{5}</title>{3}</text>\n"
        "<g transform=\"translate({2:g} {4:g})\">\n<g shape-rendering=\"crispEdges\">\n",
        across, down, kMargin, escape_xml(fit_label(clean_label(o_.title), kTitleColumns)), kTop,
        escape_xml(o_.title));
    shade({0, plan_.queries, 0, plan_.keys}, kOutside);
    tiles();
    pairs();
    svg_ += fmt::format(
        "</g>\n<rect width=\"{:.1f}\" height=\"{:.1f}\" fill=\"none\" stroke=\"#888\" "
        "stroke-width=\"0.8\"/>\n</g>\n",
        width_, height_);
    legend(kTop + height_ + 18);
    return svg_ + "</svg>\n";
  }

 private:
  void shade(const Rectangle& r, Colour colour, std::string_view more = "") {
    svg_ += fmt::format(
        "<rect x=\"{:.4g}\" y=\"{:.4g}\" width=\"{:.4g}\" height=\"{:.4g}\" fill=\"{}\"{}/>\n",
        scale_ * static_cast<double>(r.left), scale_ * static_cast<double>(r.top),
        scale_ * static_cast<double>(r.right - r.left),
        scale_ * static_cast<double>(r.bottom - r.top), hex(colour), more);
  }
  void tiles() {
    for (const ScheduledTile& t : tiles_of(plan_, o_.query_tile, o_.key_tile)) {
      ++(t.visible == 0 ? skipped_ : t.visible == t.pairs() ? full_ : partial_);
      const Colour colour = t.visible == 0 ? kSkipped : t.visible == t.pairs() ? kFull : kPartial;
      shade({t.queries.begin, t.queries.end, t.keys.begin, t.keys.end}, colour,
            " stroke=\"#fff\" stroke-width=\"1\"");
    }
  }
  void pairs() {
    std::string path;
    for (const Rectangle& r : pairs_of(plan_)) {
      path += fmt::format("M{} {}h{}v{}h-{}z", r.left, r.top, r.right - r.left, r.bottom - r.top,
                          r.right - r.left);
    }
    if (path.empty()) return;
    svg_ += fmt::format(
        "<path transform=\"scale({:.5g})\" fill=\"{}\" fill-opacity=\"0.55\" d=\"{}\"/>\n", scale_,
        hex(kPair), path);
  }
  void legend(double y) {
    double x = kMargin;
    const auto entry = [&](Colour colour, const std::string& words) {
      svg_ += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"11\" height=\"11\" fill=\"{}\" "
          "stroke=\"#888\" stroke-width=\"0.5\"/>\n<text x=\"{:.1f}\" y=\"{:.1f}\" "
          "font-size=\"11\">{}</text>\n",
          x, y - 10, hex(colour), x + 15, y, words);
      x += 30 + 6.2 * static_cast<double>(words.size());
    };
    entry(kFull, fmt::format("{} full", full_));
    entry(kPartial, fmt::format("{} partial", partial_));
    entry(kSkipped, fmt::format("{} skipped", skipped_));
    entry(kPair, "visible");
  }

  const AttendPlan& plan_;
  const MaskSvgOptions& o_;
  double scale_, width_, height_;
  std::int64_t full_ = 0, partial_ = 0, skipped_ = 0;
  std::string svg_;
};

}  // namespace

std::string svg_mask(const AttendPlan& plan, const MaskSvgOptions& options) {
  if (options.query_tile < 1 || options.key_tile < 1 || options.pixels < 1) {
    fail("svg_mask: tiles of {} × {} in {} pixels", options.query_tile, options.key_tile,
         options.pixels);
  }
  return Drawing(plan, options).draw();
}

}  // namespace qkv

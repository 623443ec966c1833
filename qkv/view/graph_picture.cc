#include "qkv/view/graph_picture.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/view/canvas.h"
#include "qkv/view/colour.h"
#include "qkv/view/label.h"

namespace qkv {
namespace {

constexpr std::size_t kRing = 24;           // nodes of the inner ring, where there are two
constexpr int kRadius = 190, kOuter = 285;  // pixels from the middle
constexpr int kLabelColumns = 14;
constexpr int kLabelRoom = 130;  // beside the rings

double at(const Tensor& weights, std::size_t row, std::size_t column) {
  const auto n = static_cast<std::size_t>(weights.dim(1));
  return static_cast<double>(weights.values()[row * n + column]);
}

double largest(const GraphPicture& picture) {
  double most = 0;
  for (const auto& node : picture.nodes) most = std::max(most, node.weight);
  return most > 0 ? most : 1;
}

double line_width(double share) { return 1 + 9 * share; }

}  // namespace

GraphPicture graph_picture(const AttentionMaps& maps, int layer, int head, std::size_t middle) {
  constexpr auto kKind = AttentionMap::Kind::encoder_self;
  const AttentionMap map = select(maps, kKind, layer, head);
  const std::size_t count = maps.source.size();
  if (middle >= count) fail("a picture of {} nodes has no node {}", count, middle);
  GraphPicture picture;
  picture.title =
      fmt::format("{}  layer {}, {}", maps.title, map.layer + 1,
                  map.head == kMeanHead ? "mean of heads" : fmt::format("head {}", map.head + 1));
  const bool two = count - 1 > kRing;
  const double radius = two ? kOuter : kRadius, centre = radius + kLabelRoom;
  picture.width = picture.height = static_cast<int>(2 * centre);
  picture.nodes.push_back({maps.source[middle], at(map.weights, middle, middle), centre, centre});
  std::vector<std::size_t> shown = {middle};
  for (std::size_t n = 0; n < count; ++n) {
    if (n != middle) shown.push_back(n);
  }
  for (std::size_t i = 1; i < count; ++i) {
    const bool outer = two && i > kRing;
    const std::size_t ring = outer ? count - 1 - kRing : std::min(count - 1, kRing);
    const auto step = static_cast<double>(outer ? i - 1 - kRing : i - 1);
    const double angle =
        2 * std::numbers::pi * (step + (outer ? 0.5 : 0.0)) / static_cast<double>(ring);
    const double r = outer ? kOuter : kRadius;
    picture.nodes.push_back({maps.source[shown[i]], at(map.weights, middle, shown[i]),
                             centre + r * std::sin(angle), centre - r * std::cos(angle)});
  }
  for (std::size_t i = 1; i < count; ++i) {
    for (std::size_t j = i + 1; j < count; ++j) {
      if (at(map.weights, shown[i], shown[j]) > 0 || at(map.weights, shown[j], shown[i]) > 0) {
        picture.edges.emplace_back(static_cast<int>(i), static_cast<int>(j));
      }
    }
  }
  return picture;
}

std::string svg_graph(const GraphPicture& p) {
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} "
      "{1}\" "
      "font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#222\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"#fff\"/>\n"
      "<text x=\"14\" y=\"24\" font-size=\"14\" font-weight=\"600\">{2}</text>\n",
      p.width, p.height, escape_xml(p.title));
  const double most = largest(p);
  const auto colour = [&](double weight) {
    return hex(ramp_colour(Ramp::paper, 0.25 + 0.75 * weight / most));
  };
  const auto line = [&](const GraphPicture::Node& a, const GraphPicture::Node& b, double width,
                        std::string_view stroke) {
    svg += fmt::format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" "
        "stroke-width=\"{:.1f}\"/>\n",
        a.x, a.y, b.x, b.y, stroke, width);
  };
  const auto& nodes = p.nodes;
  for (const auto& [i, j] : p.edges) {
    line(nodes[static_cast<std::size_t>(i)], nodes[static_cast<std::size_t>(j)], 1, "#ccc");
  }
  for (const auto& node : std::span(nodes).subspan(1)) {
    if (node.weight > 0) line(nodes[0], node, line_width(node.weight / most), colour(node.weight));
  }
  for (const auto& node : nodes) {
    const bool middle = &node == nodes.data();
    const std::string label = clean_label(node.label);
    const double side = node.x - nodes[0].x;
    const std::string_view anchor = std::abs(side) < 30 ? "middle" : side > 0 ? "start" : "end";
    const double dx = anchor == "middle" ? 0 : side > 0 ? 13 : -13;
    const double dy = anchor != "middle" ? 4 : node.y < nodes[0].y ? -14 : 24;
    svg += fmt::format(
        "<g><title>{}: {:.4g}</title><circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\" "
        "stroke=\"#555\"/><text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{} "
        "{:.2f}</text></g>\n",
        escape_xml(label), node.weight, node.x, node.y, middle ? 13 : 9,
        node.weight > 0 ? colour(node.weight) : "#eee", node.x + dx, node.y + dy, anchor,
        middle ? " font-weight=\"600\"" : "", escape_xml(fit_label(label, kLabelColumns)),
        node.weight);
  }
  return svg + "</svg>\n";
}

std::string png_graph(const GraphPicture& p) {
  Canvas canvas(p.width, p.height);
  const double most = largest(p);
  const Colour ink{34, 34, 34}, thin{204, 204, 204};
  const auto colour = [&](double weight) {
    return ramp_colour(Ramp::paper, 0.25 + 0.75 * weight / most);
  };
  const auto& nodes = p.nodes;
  for (const auto& [i, j] : p.edges) {
    const auto& a = nodes[static_cast<std::size_t>(i)];
    const auto& b = nodes[static_cast<std::size_t>(j)];
    canvas.line(a.x, a.y, b.x, b.y, 1, thin);
  }
  for (const auto& node : std::span(nodes).subspan(1)) {
    if (node.weight <= 0) continue;
    canvas.line(nodes[0].x, nodes[0].y, node.x, node.y, line_width(node.weight / most),
                colour(node.weight));
  }
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    const auto& node = nodes[n];
    const double radius = n == 0 ? 13 : 9;
    canvas.line(node.x, node.y, node.x, node.y, 2 * radius + 2, {85, 85, 85});
    canvas.line(node.x, node.y, node.x, node.y, 2 * radius,
                node.weight > 0 ? colour(node.weight) : Colour{238, 238, 238});
    std::string label =
        fmt::format("{} {:.2f}", fit_label(clean_label(node.label), kLabelColumns), node.weight);
    if (text_pixels(label, 1) < 0) label = fmt::format("#{} {:.2f}", n, node.weight);
    const int width = text_pixels(label, 1), side = static_cast<int>(node.x - nodes[0].x);
    const bool above = std::abs(side) < 30;
    const int x = static_cast<int>(node.x) + (above ? -width / 2 : side > 0 ? 13 : -13 - width);
    const int y = static_cast<int>(node.y) + (!above ? -3 : node.y < nodes[0].y ? -22 : 16);
    canvas.text(x, y, label, ink, 1);
  }
  if (text_pixels(p.title, 2) > 0) canvas.text(14, 14, p.title, ink, 2);
  return canvas.png();
}

}  // namespace qkv

#include "qkv/view/graph_picture.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

/// A path a – b – c in which b also sees itself; layer 0 has two heads, layer 1 one.
AttentionMaps path_of_three() {
  AttentionMaps maps;
  maps.title = "b";
  maps.source = {"b", "a", "<c>"};
  constexpr auto kKind = AttentionMap::Kind::encoder_self;
  const auto map = [&](int layer, int head, std::vector<float> w) {
    maps.maps.push_back({kKind, layer, head, Tensor::of(w, {3, 3})});
  };
  map(0, 0, {0.5f, 0.25f, 0.25f, 0.5f, 0.5f, 0, 0.5f, 0, 0.5f});
  map(0, 1, {0.1f, 0.75f, 0.15f, 0.5f, 0.5f, 0, 0.5f, 0, 0.5f});
  map(1, 0, {0, 0, 1, 0, 1, 0, 0.5f, 0, 0.5f});
  return maps;
}

TEST(GraphPicture, PutsTheNodeInTheMiddleAndItsWeightsAround) {
  const GraphPicture p = graph_picture(path_of_three(), 0, kMeanHead);
  ASSERT_EQ(p.nodes.size(), 3u);
  EXPECT_EQ(p.title, "b  layer 1, mean of heads");
  EXPECT_EQ(p.nodes[0].label, "b");
  EXPECT_DOUBLE_EQ(p.nodes[0].x, p.width / 2.0);
  EXPECT_FLOAT_EQ(static_cast<float>(p.nodes[0].weight), 0.3f);
  EXPECT_FLOAT_EQ(static_cast<float>(p.nodes[1].weight), 0.5f);
  EXPECT_FLOAT_EQ(static_cast<float>(p.nodes[2].weight), 0.2f);
  EXPECT_TRUE(p.edges.empty());  // a and c do not see each other
  const GraphPicture a = graph_picture(path_of_three(), -1, 0, 2);
  EXPECT_EQ(a.nodes[0].label, "<c>");
  EXPECT_FLOAT_EQ(static_cast<float>(a.nodes[1].weight), 0.5f);  // of b
  EXPECT_EQ(a.nodes[2].weight, 0);
}

TEST(GraphPicture, JoinsNeighboursThatSeeEachOther) {
  const GraphPicture p = graph_picture(path_of_three(), 0, 0, 1);  // around a: b and c are joined
  ASSERT_EQ(p.edges.size(), 1u);
  EXPECT_EQ(p.edges[0], (std::pair{1, 2}));
}

TEST(GraphPicture, SvgHasALineForEachWeightAndEscapesLabels) {
  const std::string svg = svg_graph(graph_picture(path_of_three(), 1, 0));
  EXPECT_NE(svg.find("&lt;c&gt; 1.00"), std::string::npos) << svg;
  EXPECT_EQ(svg.find("<c>"), std::string::npos);
  std::size_t lines = 0;
  for (std::size_t at = svg.find("<line"); at != std::string::npos;
       at = svg.find("<line", at + 1)) {
    ++lines;
  }
  EXPECT_EQ(lines, 1u);  // to c alone
  EXPECT_NE(svg.find("stroke-width=\"10.0\""), std::string::npos);
}

TEST(GraphPicture, PngIsOfTheSameSize) {
  const GraphPicture p = graph_picture(path_of_three(), 0, 0);
  const std::string png = png_graph(p);
  EXPECT_EQ(png.substr(1, 3), "PNG");
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(png[at]); };
  EXPECT_EQ(byte(18) * 256 + byte(19), p.width);
}

TEST(GraphPicture, ManyNodesStandOnTwoRings) {
  AttentionMaps maps;
  for (int n = 0; n < 41; ++n) maps.source.push_back(std::to_string(n));
  maps.maps.push_back({AttentionMap::Kind::encoder_self, 0, 0, Tensor::zeros({41, 41})});
  const GraphPicture p = graph_picture(maps, 0, 0);
  const auto radius = [&](std::size_t n) {
    return std::hypot(p.nodes[n].x - p.nodes[0].x, p.nodes[n].y - p.nodes[0].y);
  };
  EXPECT_LT(radius(24) + 50, radius(25));
  EXPECT_NO_THROW(svg_graph(p));  // no weight at all divides nothing by zero
  EXPECT_THROW(graph_picture(maps, 0, 0, 41), Error);
  EXPECT_THROW(graph_picture(maps, 0, 3), Error);
}

TEST(GraphPicture, ThePageHoldsTheDataHarmlessly) {
  const std::string page = html_graph(path_of_three());
  EXPECT_NE(page.find("\\u003cc\\u003e"), std::string::npos);
  EXPECT_EQ(page.find("<c>"), std::string::npos);
  EXPECT_EQ(page.find("{{"), std::string::npos);
}

}  // namespace
}  // namespace qkv

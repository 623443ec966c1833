#include "qkv/view/mask_svg.h"

#include <gtest/gtest.h>

#include "qkv/attention/mask.h"
#include "qkv/base/error.h"

namespace qkv {
namespace {

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(MaskSvg, TilesInThreeShadesAndPairsInside) {
  const auto plan = compile(causal(), 6, 6);
  const std::string svg =
      svg_mask(*plan, {.title = "a < b", .query_tile = 2, .key_tile = 2, .pixels = 60});
  EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
  EXPECT_NE(svg.find(">3 full<"), std::string::npos) << svg;
  EXPECT_NE(svg.find(">3 partial<"), std::string::npos);
  EXPECT_NE(svg.find(">3 skipped<"), std::string::npos);
  EXPECT_EQ(count(svg, "stroke-width=\"1\""), 9U) << "one rectangle a tile";
  EXPECT_EQ(count(svg, "M0 "), 6U) << "one rectangle a row of a triangle";
  EXPECT_EQ(svg, svg_mask(*plan, {.title = "a < b", .query_tile = 2, .key_tile = 2, .pixels = 60}));
}

TEST(MaskSvg, RowsThatSeeTheSameAreOneRectangle) {
  const std::string svg = svg_mask(*compile(prefix(2), 50, 6), {});
  EXPECT_NE(svg.find("d=\"M0 0h2v50h-2z\""), std::string::npos) << svg;
}

TEST(MaskSvg, NothingAndTooMuch) {
  EXPECT_NE(svg_mask(*compile(everything(), 0, 0), {}).find("</svg>"), std::string::npos);
  EXPECT_EQ(svg_mask(*compile(dilated(400, 2), 800, 800), {}).find("<path"), std::string::npos);
  EXPECT_THROW(svg_mask(*compile(everything(), 1, 1), {.query_tile = 0}), Error);
}

}  // namespace
}  // namespace qkv

#include "qkv/view/svg.h"

#include "view/sample.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(Svg, HasCellsLabelsTooltipsAndColourBar) {
  HeatMap map = map_of({"狗", "</s>"}, {"the", "dog"}, {0.25f, 0.5f, 0, 1});
  map.title = "A & B";
  const std::string svg = svg_heat_map(map);
  EXPECT_THAT(svg, StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_THAT(svg, HasSubstr(">A &amp; B</text>"));
  EXPECT_THAT(svg, HasSubstr("fill=\"#67041c\"><title>&lt;/s&gt; → dog: 1</title></rect>"));
  EXPECT_THAT(svg, HasSubstr("fill=\"#f69264\"><title>狗 → dog: 0.5</title></rect>"));
  EXPECT_THAT(svg, HasSubstr("fill=\"#fff9f3\"><title>&lt;/s&gt; → the: 0</title></rect>"));
  EXPECT_THAT(svg, HasSubstr("rotate(-45"));
  EXPECT_THAT(svg, HasSubstr(">0.75</text>"));  // a tick of the bar
  EXPECT_EQ(count_of(svg, "<svg"), 1);
  EXPECT_EQ(count_of(svg, "</svg>"), 1);
  EXPECT_EQ(count_of(svg, "<text"), count_of(svg, "</text>"));
  EXPECT_EQ(count_of(svg, "<title>"), 4);
}

TEST(Svg, LabelsAreNeverMarkup) {
  HeatMap map = map_of({"<script>alert(1)</script>"}, {"\"><a b='\x02"}, {1});
  map.title = "</svg>";
  const std::string svg = svg_heat_map(map);
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
  EXPECT_THAT(svg, Not(HasSubstr("<a b")));
  EXPECT_THAT(svg, Not(HasSubstr("\x02")));
  EXPECT_EQ(count_of(svg, "</svg>"), 1);
  // Cut on the picture, whole in the tooltip.
  EXPECT_THAT(
      svg, HasSubstr("<title>&lt;script&gt;alert(1)&lt;/script&gt;</title>&lt;script&gt;alert(1…"));
}

TEST(Svg, LongMapsShrinkAndStaySmall) {
  const std::string svg = svg_heat_map(diagonal(450));
  EXPECT_THAT(svg, HasSubstr("450 × 450 shown as 200 × 200"));
  EXPECT_THAT(svg, HasSubstr("r0…r2"));
  EXPECT_LT(svg.size(), 200'000U);  // zero cells are the background
}

TEST(Svg, EmptySingleAndNone) {
  EXPECT_THAT(svg_heat_map(map_of({}, {}, {})), HasSubstr("empty: 0 rows, 0 columns"));
  EXPECT_THAT(svg_heat_map(map_of({"a"}, {"b"}, {1})), HasSubstr("<title>a → b: 1</title>"));
  EXPECT_THAT(svg_heat_maps({}), HasSubstr("</svg>"));
}

TEST(Svg, PanelsShareOneScale) {
  const std::vector<HeatMap> maps = {map_of({"a"}, {"b"}, {0.5f}), map_of({"a"}, {"b"}, {1})};
  const std::string svg = svg_heat_maps(maps, {.panels_across = 1});
  EXPECT_THAT(svg, HasSubstr("fill=\"#f69264\"><title>a → b: 0.5"));
  EXPECT_THAT(svg, HasSubstr("fill=\"#67041c\"><title>a → b: 1<"));
  EXPECT_THROW(svg_heat_maps(maps, {.panels_across = 0}), Error);
}

TEST(Svg, RefusesNan) {
  EXPECT_THROW(svg_heat_map(map_of({"a"}, {"b"}, {kNan})), NumericError);
  EXPECT_THROW(svg_heat_map(map_of({"a"}, {"b"}, {1}), {.max_tokens = 0}), Error);
}

}  // namespace
}  // namespace qkv

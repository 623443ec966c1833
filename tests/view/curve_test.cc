#include "qkv/view/curve.h"

#include <limits>

#include "view/sample.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinite = std::numeric_limits<double>::infinity();

TEST(Ticks, AreRoundNumbersWithin) {
  EXPECT_THAT(axis_ticks(0, 10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(axis_ticks(0.13, 0.52, 4),
              ElementsAre(DoubleEq(0.2), DoubleEq(0.3), DoubleEq(0.4), DoubleEq(0.5)));
  EXPECT_THAT(axis_ticks(-1, 1, 4), ElementsAre(-1, -0.5, 0, 0.5, 1));
  EXPECT_THAT(axis_ticks(0, 20000, 8), testing::SizeIs(5));  // 5000 apart
  EXPECT_THAT(axis_ticks(1, 1, 5), IsEmpty());
  EXPECT_THAT(axis_ticks(2, 1, 5), IsEmpty());
  EXPECT_THAT(axis_ticks(0, kNotANumber, 5), IsEmpty());
  EXPECT_LE(axis_ticks(1e15, 1e15 + 1, 5).size(), 21U);
}

TEST(Curve, DrawsLinesLegendAndAxes) {
  const std::vector<Series> series = {
      {.name = "train <loss>", .points = {{0, 4}, {10, 2}}},
      {.name = "BLEU", .points = {{5, 20}, {10, 40}}, .second_axis = true}};
  const std::string svg =
      curve_svg(series, {.title = "a & b", .x_label = "update", .y_label = "nats"});
  for (const char* text :
       {">a &amp; b</text>", ">update</text>", ">nats</text>", ">train &lt;loss&gt;</text>",
        ">BLEU</text>", "<title>BLEU: 40 at 10</title>"}) {
    EXPECT_THAT(svg, HasSubstr(text));
  }
  // Left to right over the whole width; loss falls, so y grows downwards.
  EXPECT_THAT(svg, HasSubstr("<path d=\"M62.0 69.5 L658.0 340.5\""));
  EXPECT_THAT(svg, HasSubstr("stroke-dasharray"));
  EXPECT_EQ(count_of(svg, "</svg>"), 1);
}

TEST(Curve, NotFinitePointsBreakTheLine) {
  const std::vector<Series> series = {
      {.name = "a", .points = {{0, 1}, {1, 2}, {2, kNotANumber}, {3, 1}, {4, 2}, {5, kInfinite}}}};
  const std::string svg = curve_svg(series);
  EXPECT_EQ(count_of(svg, "stroke-linejoin"), 2);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(Curve, EmptySingleAndConstant) {
  EXPECT_THAT(curve_svg({}), HasSubstr("</svg>"));
  EXPECT_THAT(curve_svg(std::vector<Series>{{.name = "none", .points = {}}}),
              HasSubstr(">none</text>"));
  EXPECT_THAT(curve_svg(std::vector<Series>{{.name = "one", .points = {{3, 7}}}}),
              HasSubstr("<circle"));
  const std::string flat =
      curve_svg(std::vector<Series>{{.name = "flat", .points = {{0, 0}, {1, 0}}}});
  EXPECT_THAT(flat, Not(HasSubstr("nan")));
}

TEST(Curve, LongSeriesAreThinnedButKeepTheirPeaks) {
  Series series{.name = "long", .points = {}};
  for (int i = 0; i < 100'000; ++i)
    series.points.push_back({static_cast<double>(i), i == 54'321 ? 100.0 : 1.0});
  const std::string svg = curve_svg(std::vector<Series>{series});
  EXPECT_LT(svg.size(), 60'000U);
  // Axis from 0 to 100 + 5 % of 99, drawn from 354 up to 34: the peak stands at 354 - 320/1.0495.
  EXPECT_THAT(svg, HasSubstr(" 49.1 L"));
}

TEST(Curve, RefusesTinyPictures) { EXPECT_THROW(curve_svg({}, {.width = 100}), Error); }

TEST(Curve, BarsDotsAndALogarithmicAxis) {
  const std::vector<Series> series = {
      {.name = "mean", .points = {{10, 1, 0.5}, {100, 2, 0}, {1000, 3, 0.25}, {0, 9}}},
      {.name = "data", .points = {{10, 1}, {1000, 2}}, .dots = true}};
  const std::string svg = curve_svg(series, {.log_x = true});
  // Equal steps for equal factors: 62, 380, 698; x = 0 has no place.
  EXPECT_THAT(svg, HasSubstr("<path d=\"M62.0 "));
  EXPECT_THAT(svg, HasSubstr(" L380.0 "));
  EXPECT_THAT(svg, HasSubstr(" L698.0 "));
  EXPECT_THAT(svg, Not(HasSubstr("9 at 0")));
  EXPECT_EQ(count_of(svg, "h6m-3 0V"), 2);         // no bar without a spread
  EXPECT_EQ(count_of(svg, "stroke-linejoin"), 1);  // dots have no line
  EXPECT_THAT(svg, HasSubstr(">500</text>"));
  EXPECT_THAT(log_ticks(9, 210),
              ElementsAre(DoubleEq(10), DoubleEq(20), DoubleEq(50), DoubleEq(100), DoubleEq(200)));
  EXPECT_THAT(log_ticks(0, 10), IsEmpty());
}

}  // namespace
}  // namespace qkv

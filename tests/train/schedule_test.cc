#include "qkv/train/schedule.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

TEST(Schedule, InverseSquareRootOfTheSmallDataRecipe) {
  const Schedule s{.kind = Schedule::Kind::inverse_sqrt, .rate = 5e-3, .warm_up = 2000};
  EXPECT_NEAR(s.at(1), 2.59995e-6, 1e-11);
  EXPECT_NEAR(s.at(1000), 2.50005e-3, 1e-8);
  EXPECT_NEAR(s.at(2000), 5e-3, 1e-12);
  EXPECT_NEAR(s.at(8000), 2.5e-3, 1e-12);
}

TEST(Schedule, ThePapersRate) {
  const Schedule s{
      .kind = Schedule::Kind::inverse_sqrt, .rate = 6.987712e-4, .warm_up = 4000, .initial = 0};
  EXPECT_NEAR(s.at(1), 1.746928e-7, 1e-13);
  EXPECT_NEAR(s.at(4000), 6.987712e-4, 1e-12);
  EXPECT_NEAR(s.at(100000), 1.397542e-4, 1e-10);
}

TEST(Schedule, ATransformersRatesAreTheFormula) {
  const auto formula = [](double width, double warm_up, double step) {
    return std::pow(width, -0.5) * std::min(std::pow(step, -0.5), step * std::pow(warm_up, -1.5));
  };
  for (const std::int64_t width : {1, 64, 512}) {
    for (const std::int64_t warm_up : {1, 2, 7, 4000}) {
      const Schedule s = Schedule::transformer(width, warm_up);
      for (std::int64_t step = 1; step < 3 * warm_up + 5; step += 1 + warm_up / 200) {
        const double want = formula(static_cast<double>(width), static_cast<double>(warm_up),
                                    static_cast<double>(step));
        EXPECT_NEAR(s.at(step) / want, 1.0, 1e-14) << width << ' ' << warm_up << ' ' << step;
      }
    }
  }
  EXPECT_NEAR(Schedule::transformer(512).at(4000), 6.987712e-4, 5e-11);  // the digits of the peak
  EXPECT_NEAR(Schedule::transformer(4, 0).at(16), 0.125, 1e-15);         // no rise: (4 · 16)^−½
  EXPECT_THROW((void)Schedule::transformer(0), Error);
  EXPECT_THROW((void)Schedule::transformer(8, -1), Error);
}

TEST(Schedule, CosineAndLinearEndAtTheFloor) {
  Schedule s{.kind = Schedule::Kind::cosine, .rate = 1, .warm_up = 10, .floor = 0.1, .steps = 110};
  EXPECT_NEAR(s.at(10), 1.0, 1e-12);
  EXPECT_NEAR(s.at(60), 0.55, 1e-12);
  EXPECT_NEAR(s.at(110), 0.1, 1e-12);
  EXPECT_NEAR(s.at(500), 0.1, 1e-12);
  s.kind = Schedule::Kind::linear;
  EXPECT_NEAR(s.at(60), 0.55, 1e-12);
  s.kind = Schedule::Kind::constant;
  s.warm_up = 0;
  EXPECT_EQ(s.at(1), 1.0);
}

}  // namespace
}  // namespace qkv

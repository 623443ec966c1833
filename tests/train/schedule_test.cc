#include "qkv/train/schedule.h"

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

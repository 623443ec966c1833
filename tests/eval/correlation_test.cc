// Correlations against values known from elsewhere.
#include "qkv/eval/correlation.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using ::testing::ElementsAre;
using Numbers = std::vector<double>;

TEST(Correlation, EqualNumbersShareTheMeanOfTheirRanks) {
  EXPECT_THAT(mean_ranks(Numbers{30, 10, 20}), ElementsAre(3, 1, 2));
  EXPECT_THAT(mean_ranks(Numbers{2, 1, 2, 5, 2}), ElementsAre(3, 1, 3, 5, 3));
  EXPECT_THAT(mean_ranks(Numbers{7, 7}), ElementsAre(1.5, 1.5));
  EXPECT_TRUE(mean_ranks(Numbers{}).empty());
}

// Anscombe's quartet (1973): four sets of one correlation, by hand 0.81642 and 0.81624.
TEST(Correlation, AnscombesQuartet) {
  const Numbers x = {10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5};
  EXPECT_NEAR(
      pearson(x, Numbers{8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68}),
      0.81642051634484, 1e-13);
  EXPECT_NEAR(pearson(x, Numbers{9.14, 8.14, 8.74, 8.77, 9.26, 8.10, 6.13, 3.10, 9.13, 7.26, 4.74}),
              0.81623650600024, 1e-13);
}

// The textbook's example of Spearman's coefficient: 1 − 6·194/(10·99) = −29/165.
TEST(Correlation, SpearmanWithoutTies) {
  const Numbers iq = {106, 100, 86, 101, 99, 103, 97, 113, 112, 110},
                hours = {7, 27, 2, 50, 28, 29, 20, 12, 6, 17};
  EXPECT_NEAR(spearman(iq, hours), -29.0 / 165, 1e-14);
}

// Ranks 1 2.5 2.5 4 and 1 3 2 4: deviations' products 4.5 over √(4.5·5).
TEST(Correlation, SpearmanWithTies) {
  EXPECT_NEAR(spearman(Numbers{1, 2, 2, 9}, Numbers{1, 5, 3, 7}), 4.5 / std::sqrt(22.5), 1e-15);
}

TEST(Correlation, LinesAndMonotoneCurves) {
  const Numbers x = {1, 2, 3, 4, 5}, up = {1e9 + 2, 1e9 + 4, 1e9 + 6, 1e9 + 8, 1e9 + 10},
                curve = {1, 8, 27, 64, 125}, down = {5, 4, 3, 2, 1}, flat = {3, 3, 3, 3, 3};
  EXPECT_NEAR(pearson(x, up), 1, 1e-12) << "a far mean costs no digits";
  EXPECT_LT(pearson(x, curve), 0.95);
  EXPECT_DOUBLE_EQ(spearman(x, curve), 1);
  EXPECT_DOUBLE_EQ(pearson(x, down), -1);
  EXPECT_EQ(pearson(x, flat), 0);
  EXPECT_EQ(spearman(flat, x), 0);
}

TEST(Correlation, ReportOfNumbers) {
  const NumberReport r = score_numbers(Numbers{1, 2, 3, 6}, Numbers{2, 2, 3, 4});
  EXPECT_DOUBLE_EQ(r.squared_error, 1.25);
  EXPECT_DOUBLE_EQ(r.absolute_error, 0.75);
  EXPECT_DOUBLE_EQ(r.explained, 1 - 5.0 / 14);
  EXPECT_EQ(nlohmann::json::parse(r.json())["mean_squared_error"], 1.25);
  EXPECT_NE(r.text().find("R2: 0.6429"), std::string::npos) << r.text();
}

TEST(Correlation, WhatMakesNone) {
  EXPECT_THROW(pearson(Numbers{}, Numbers{}), Error);
  EXPECT_THROW(spearman(Numbers{1}, Numbers{1, 2}), Error);
  EXPECT_THROW(pearson(Numbers{1, std::numeric_limits<double>::quiet_NaN()}, Numbers{1, 2}), Error);
  EXPECT_EQ(pearson(Numbers{1}, Numbers{2}), 0);
}

}  // namespace
}  // namespace qkv

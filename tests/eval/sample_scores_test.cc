#include "qkv/eval/sample_scores.h"

#include <cmath>

#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

FeatureRows rows(std::size_t width, std::vector<double> values) {
  return {.rows = values.size() / width, .width = width, .values = std::move(values)};
}

FeatureRows normal_rows(std::size_t count, std::size_t width, std::uint64_t seed, double mean = 0) {
  Philox random(seed);
  FeatureRows f{.rows = count, .width = width, .values = {}};
  for (std::size_t i = 0; i < count * width; ++i) f.values.push_back(mean + random.normal());
  return f;
}

TEST(ClassScore, GoldenAndItsEnds) {
  EXPECT_NEAR(class_score(rows(3, {.7, .2, .1, .1, .8, .1, .2, .2, .6, .1, .1, .8})), 1.389961,
              1e-6);
  EXPECT_NEAR(class_score(rows(2, {.5, .5, .5, .5})), 1, 1e-12);
  EXPECT_NEAR(class_score(rows(2, {1, 0, 0, 1})), 2, 1e-12);
  EXPECT_THROW((void)class_score(rows(2, {1, 1})), Error);
  EXPECT_THROW((void)class_score(rows(2, {-.5, 1.5})), Error);
  EXPECT_THROW((void)class_score(rows(2, {})), Error);
}

TEST(FrechetDistance, Golden) {
  const FeatureMoments a{{1, 2}, {2, .5, .5, 1}}, b{{0, 0}, {1, 0, 0, 3}};
  EXPECT_NEAR(frechet_distance(a, b), 5.808853, 1e-6);
  EXPECT_NEAR(frechet_distance(b, a), 5.808853, 1e-6);
  EXPECT_NEAR(frechet_distance(a, a), 0, 1e-12);
  EXPECT_THROW((void)frechet_distance(a, {{0}, {1}}), ShapeError);
}

TEST(FrechetDistance, OfManyColumnsAndOfTooFewRows) {
  // Diagonal: Σ (√a − √b)².
  constexpr std::size_t kWidth = 40;
  FeatureMoments a{std::vector<double>(kWidth), std::vector<double>(kWidth * kWidth)}, b = a;
  double expected = 0;
  for (std::size_t i = 0; i < kWidth; ++i) {
    a.covariance[i * kWidth + i] = 1 + static_cast<double>(i);
    b.covariance[i * kWidth + i] = 4;
    expected += std::pow(std::sqrt(1 + static_cast<double>(i)) - 2, 2);
  }
  EXPECT_NEAR(frechet_distance(a, b), expected, 1e-9);
  const FeatureMoments flat = moments_of(normal_rows(5, 12, 1));  // a covariance without full rank
  EXPECT_NEAR(frechet_distance(flat, flat), 0, 1e-6);
}

TEST(MomentsOf, DividesByOneLess) {
  const FeatureMoments g = moments_of(rows(2, {0, 1, 2, 5}));
  EXPECT_EQ(g.mean, (std::vector<double>{1, 3}));
  EXPECT_EQ(g.covariance, (std::vector<double>{2, 4, 4, 8}));
  EXPECT_THROW((void)moments_of(rows(2, {0, 1})), Error);
}

TEST(KernelDistance, ByHandAndUnbiased) {
  // Kernels: within a (1·3 + 1)³ = 64, within b (0 + 1)³ = 1; between 1, 1 + 2, … of width one.
  const double between =
      (std::pow(0 + 1, 3) + std::pow(2 + 1, 3) + std::pow(0 + 1, 3) + std::pow(6 + 1, 3)) / 4;
  EXPECT_NEAR(kernel_distance(rows(1, {1, 3}), rows(1, {0, 2})), 64 + 1 - 2 * between, 1e-12);
  double mean = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    mean += kernel_distance(normal_rows(10, 4, 2 * seed), normal_rows(10, 4, 2 * seed + 1)) / 200;
  }
  EXPECT_NEAR(mean, 0, 0.05);
  EXPECT_GT(kernel_distance(normal_rows(10, 4, 1), normal_rows(10, 4, 2, 3)), 1);
  EXPECT_THROW((void)kernel_distance(rows(1, {1}), rows(1, {1, 2})), Error);
  EXPECT_THROW((void)kernel_distance(rows(1, {1, 2}), rows(2, {1, 2, 3, 4})), ShapeError);
}

TEST(Coverage, CountsRealRowsThatAMadeOneIsNearTo) {
  const FeatureRows real = rows(1, {0, 1, 10, 11});
  EXPECT_EQ(coverage(real, real), 1);
  EXPECT_EQ(coverage(real, rows(1, {0.5})), 0.5);
  EXPECT_EQ(coverage(real, rows(1, {50})), 0);
  EXPECT_EQ(coverage(real, rows(1, {2})), 0) << "as near as the neighbour is not nearer";
  EXPECT_THROW((void)coverage(rows(1, {1}), real), Error);
}

}  // namespace
}  // namespace qkv

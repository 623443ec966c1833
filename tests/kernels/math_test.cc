// The vector mathematics of qkv/kernels/math-inl.h and loops-inl.h against libm in double, on every
// target.
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/fixtures.h"
#include <gtest/gtest.h>

#ifndef QKV_TESTS_KERNELS_MATH_TEST_  // this file is read once for every target
#define QKV_TESTS_KERNELS_MATH_TEST_
namespace qkv::kernels {
enum class Function { exp, exp_non_positive, tanh, sigmoid, sigmoid_slope, normal };
}
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/math_test.cc"
#include "qkv/kernels/targets.h"
// foreach_target re-includes this file for every target, so it comes before the rest.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// y[i] = f(x[i]), one element at a time.
void MapMath(Function f, std::int64_t n, const float* x, float* y) {
  const F d;
  for (std::int64_t i = 0; i < n; ++i) {
    const VF v = hn::Set(d, x[i]);
    VF r = v, slope = v;
    switch (f) {
      case Function::exp:
        r = Exp(d, v);
        break;
      case Function::exp_non_positive:
        r = ExpNonPositive(d, v);
        break;
      case Function::tanh:
        r = Tanh(d, v);
        break;
      case Function::sigmoid:
        r = Sigmoid(d, v);
        break;
      case Function::sigmoid_slope:
        Sigmoid(d, v, slope);
        r = slope;
        break;
      case Function::normal:
        r = NormalDistribution(d, v, slope);
        break;
    }
    y[i] = hn::GetLane(r);
  }
}

void FactorPairs(const Dropout& drop, std::uint64_t index, std::int64_t pairs, float* y) {
  const F d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t i = 0; i < pairs; ++i) {
    VF lo, hi;
    DropoutFactors(d, drop, index + static_cast<std::uint64_t>(2 * i * lanes), lo, hi);
    hn::StoreU(lo, d, y + 2 * i * lanes);
    hn::StoreU(hi, d, y + (2 * i + 1) * lanes);
  }
}

std::int64_t LaneCount() { return static_cast<std::int64_t>(hn::Lanes(F())); }

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {
HWY_EXPORT(MapMath);
HWY_EXPORT(FactorPairs);
HWY_EXPORT(LaneCount);
namespace {

std::vector<float> map_math(Function f, const std::vector<float>& x) {
  std::vector<float> y(x.size());
  HWY_DYNAMIC_DISPATCH(MapMath)(f, static_cast<std::int64_t>(x.size()), x.data(), y.data());
  return y;
}

/// The largest relative error over x where `want` is a normal number, on every target.
void check_relative(Function f, const std::vector<float>& x, double (*want)(double), double bound) {
  on_every_target([&] {
    const auto y = map_math(f, x);
    double worst = 0;
    float where = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double w = want(static_cast<double>(x[i]));
      if (!(std::abs(w) > 1.2e-38)) continue;
      const double error = std::abs(static_cast<double>(y[i]) / w - 1);
      if (error > worst) worst = error, where = x[i];
    }
    EXPECT_LT(worst, bound) << "function " << static_cast<int>(f) << " at " << where;
  });
}

std::vector<float> range(float from, float to, float step) {
  std::vector<float> x;
  for (float v = from; v < to; v += step) x.push_back(v);
  return x;
}

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(Exp, IsAccurateWhereItIsNormal) {
  check_relative(Function::exp, range(-87.33f, 88.72f, 0.00731f), std::exp, 1.5e-7);
  check_relative(Function::exp_non_positive, range(-87.33f, 0.0f, 0.00731f), std::exp, 1.5e-7);
  on_every_target([&] {
    EXPECT_EQ(map_math(Function::exp, {0.0f})[0], 1.0f);
    EXPECT_EQ(map_math(Function::exp_non_positive, {0.0f})[0], 1.0f);
  });
}

TEST(Exp, HasTheRightEnds) {
  on_every_target([&] {
    EXPECT_EQ(map_math(Function::exp, {-kInf, kInf, 88.73f, 1e30f, -200.0f, -1e30f, -104.0f}),
              (std::vector<float>{0, kInf, kInf, kInf, 0, 0, 0}));
    EXPECT_EQ(map_math(Function::exp_non_positive, {-kInf, -1e30f, -104.0f, -0.0f, -3e38f}),
              (std::vector<float>{0, 0, 0, 1, 0}));
    for (Function f : {Function::exp, Function::exp_non_positive}) {
      for (float bad : {kNan, -kNan, std::nanf("0x1234"), std::nanf("0x1ff")}) {
        EXPECT_TRUE(std::isnan(map_math(f, {bad})[0]));
      }
      const float small = map_math(f, {-95.0f})[0];  // denormal or flushed, never garbage
      EXPECT_GE(small, 0.0f);
      EXPECT_LT(small, 1e-40f);
    }
  });
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double sigmoid_slope(double x) { return 1 / (2 + std::exp(-x) + std::exp(x)); }
double normal(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

TEST(Tanh, IsAccurate) {
  check_relative(Function::tanh, range(-12.0f, 12.0f, 0.00137f), std::tanh, 4e-7);
  check_relative(Function::tanh, {1e-30f, -1e-10f, 1e-4f, -1e30f, kInf, -kInf}, std::tanh, 4e-7);
  on_every_target([&] { EXPECT_TRUE(std::isnan(map_math(Function::tanh, {kNan})[0])); });
}

TEST(Sigmoid, IsAccurateWithItsSlope) {
  check_relative(Function::sigmoid, range(-87.0f, 30.0f, 0.00937f), sigmoid, 4e-7);
  check_relative(Function::sigmoid_slope, range(-86.0f, 86.0f, 0.00937f), sigmoid_slope, 6e-7);
  on_every_target([&] {
    EXPECT_EQ(map_math(Function::sigmoid, {-kInf, kInf, 0.0f}), (std::vector<float>{0, 1, 0.5f}));
    EXPECT_EQ(map_math(Function::sigmoid_slope, {-kInf, kInf}), (std::vector<float>{0, 0}));
    EXPECT_TRUE(std::isnan(map_math(Function::sigmoid, {kNan})[0]));
  });
}

TEST(NormalDistribution, IsAccurateInBothTails) {
  check_relative(Function::normal, range(-2.0f, 9.0f, 0.00037f), normal, 7e-7);
  // Further out the argument of the exponential, x²/2, is rounded: up to 80 times the error.
  check_relative(Function::normal, range(-12.0f, -2.0f, 0.00137f), normal, 8e-6);
  on_every_target([&] {
    EXPECT_EQ(map_math(Function::normal, {-kInf, kInf, 1e30f}), (std::vector<float>{0, 1, 1}));
    EXPECT_TRUE(std::isnan(map_math(Function::normal, {kNan})[0]));
  });
}

TEST(DropoutFactors, AreTheScalarOnesNearTheWrapOfTheCounterToo) {
  on_every_target([] {
    const Dropout drop = Dropout::make(0.4, key_of(8));
    const std::int64_t lanes = HWY_DYNAMIC_DISPATCH(LaneCount)();
    for (std::uint64_t index : {std::uint64_t{0}, std::uint64_t{2}, std::uint64_t{1} << 20,
                                (std::uint64_t{1} << 33) - 8, (std::uint64_t{1} << 32) - 6}) {
      std::vector<float> y(static_cast<std::size_t>(6 * lanes));
      HWY_DYNAMIC_DISPATCH(FactorPairs)(drop, index, 3, y.data());
      for (std::size_t i = 0; i < y.size(); ++i)
        ASSERT_EQ(y[i], dropout_factor(drop, index + i)) << i;
    }
  });
}

}  // namespace
}  // namespace qkv::kernels
#endif

#include "experiments/regression.h"

#include <cmath>

#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

TEST(Regression, TheErrorLeavesEachKeyOut) {
  const Tensor x = Tensor::of(std::vector<double>{0, 1, 3}, {3, 1}),
               y = Tensor::of(std::vector<double>{1, 2, 5}, {3, 1});
  const KernelRegression m{.inverse_width = Tensor::full({1}, 0.7, DType::f64)};
  double expected = 0;
  for (int i = 0; i < 3; ++i) {
    double total = 0, sum = 0;
    for (int j = 0; j < 3; ++j) {
      const double u = 0.7 * (x.data<double>()[i] - x.data<double>()[j]);
      const double a = j == i ? 0.0 : std::exp(-0.5 * u * u);
      total += a;
      sum += a * y.data<double>()[j];
    }
    expected += std::pow(sum / total - y.data<double>()[i], 2) / 3;
  }
  EXPECT_NEAR(left_out_error(m, x, y), expected, 1e-12);
}

TEST(Regression, TheLearnedWidthIsTheBestNearby) {
  const RegressionExample made = regression_example(50, 1);
  const BandwidthFit fit = fit_bandwidths(made.keys, made.values);
  EXPECT_TRUE(fit.converged);
  EXPECT_NEAR(fit.error, left_out_error(fit.model, made.keys, made.values), 1e-12);
  for (const double factor : {0.5, 0.9, 0.99, 1.01, 1.1, 2.0}) {
    const KernelRegression other{
        .inverse_width = Tensor::full({1}, factor * fit.model.inverse_width.item(), DType::f64)};
    EXPECT_GT(left_out_error(other, made.keys, made.values), fit.error) << factor;
  }
  // Noise of variance 1/4 is what a good curve leaves; the mean leaves the curve, too.
  const KernelRegression average{.inverse_width = Tensor::zeros({1}, DType::f64)};
  EXPECT_LT(fit.error, 0.4);
  EXPECT_GT(left_out_error(average, made.keys, made.values), 2 * fit.error);
}

TEST(Regression, AFeatureThatSaysNothingGetsAWideKernel) {
  Philox random(3);
  std::vector<double> keys, values;
  for (int i = 0; i < 60; ++i) {
    const double x = random.uniform(0, 5), idle = random.uniform(0, 100);
    keys.insert(keys.end(), {x, idle});
    values.push_back(std::sin(2 * x) + 0.1 * random.normal());
  }
  const Tensor k = Tensor::of(keys, {60, 2}), v = Tensor::of(values, {60, 1});
  const BandwidthFit each = fit_bandwidths(k, v, {.per_feature = true}), one = fit_bandwidths(k, v);
  EXPECT_LT(each.error, 0.5 * one.error);  // the scales differ twentyfold
  const double* w = each.model.inverse_width.data<double>();
  EXPECT_GT(1 / w[1], 30);  // of a range of 100
  EXPECT_LT(1 / w[0], 0.6);
  // Measured in other units the fit is the same.
  for (std::size_t i = 1; i < keys.size(); i += 2) keys[i] *= 1000;
  const BandwidthFit scaled = fit_bandwidths(Tensor::of(keys, {60, 2}), v, {.per_feature = true});
  EXPECT_NEAR(scaled.error, each.error, 1e-6 * each.error);
}

TEST(Regression, WhatHasNoBandwidthIsRefused) {
  const Tensor two = Tensor::of(std::vector<double>{0, 1}, {2, 1}),
               flat = Tensor::full({4, 1}, 7.0, DType::f64), y = Tensor::zeros({4, 1}, DType::f64);
  EXPECT_THROW((void)fit_bandwidths(two, two), Error);
  EXPECT_THROW((void)fit_bandwidths(flat, y), Error);
  EXPECT_THROW((void)fit_bandwidths(two, y), ShapeError);
  EXPECT_THROW((void)regression_example(0, 1), Error);
}

}  // namespace
}  // namespace qkv

// Attention that is a convolution (Cordonnier, Loukas & Jaggi 2020).
#include "qkv/nn/quadratic_attention.h"

#include <cmath>
#include <cstring>

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using testing::distance;
using testing::random_tensor;

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() &&
         std::memcmp(a.data(), b.data(), sizeof(float) * a.values().size()) == 0;
}

/// Zero-padded convolution as a product of gathered pixels, kernel entry by kernel entry.
Tensor convolution(const Tensor& x, const Grid& grid, const Tensor& kernel, const Tensor& bias,
                   std::int64_t dilation) {
  const std::int64_t size = kernel.dim(0), in = kernel.dim(2), before = (size - 1) / 2;
  const std::int64_t width = size * size * in;
  Tensor gathered = Tensor::zeros({x.dim(0), width}, x.dtype());
  for (std::int64_t t = 0; t < x.dim(0); ++t) {
    const std::int64_t pixel = t % grid.count(), first = t - pixel;
    for (std::int64_t entry = 0; entry < size * size; ++entry) {
      const std::int64_t r = pixel / grid.cols + (entry / size - before) * dilation;
      const std::int64_t c = pixel % grid.cols + (entry % size - before) * dilation;
      if (r < 0 || c < 0 || r >= grid.rows || c >= grid.cols) continue;
      const std::int64_t from = (first + r * grid.cols + c) * in, to = t * width + entry * in;
      for (std::int64_t i = 0; i < in; ++i) {
        if (x.dtype() == DType::f64) {
          gathered.data<double>()[to + i] = x.data<double>()[from + i];
        } else {
          gathered.data()[to + i] = x.data()[from + i];
        }
      }
    }
  }
  return linear(gathered, kernel.reshaped({width, kernel.dim(3)}), bias);
}

TEST(QuadraticAttention, IsAConvolutionBitForBit) {
  const Grid grid{7, 9};
  for (const std::int64_t size : {1, 2, 3, 5}) {
    for (const std::int64_t dilation : {1, 2}) {
      for (const bool biased : {false, true}) {
        SCOPED_TRACE(::testing::Message() << size << " dilation " << dilation);
        const Tensor x = random_tensor({2 * grid.count(), 3}, 1);
        const Tensor kernel = random_tensor({size, size, 3, 4}, 2);
        const Tensor bias = biased ? random_tensor({4}, 3) : Tensor();
        const auto layer = QuadraticAttention::of_convolution(kernel, bias, {.dilation = dilation});
        EXPECT_EQ(layer.config.heads, size * size);
        const Tensor want = convolution(x, grid, kernel, bias, dilation);
        EXPECT_TRUE(same_bits(layer(x, grid), want)) << distance(layer(x, grid), want);
      }
    }
  }
}

// The gathered product itself against the formula.
TEST(QuadraticAttention, TheConvolutionIsTheFormula) {
  const Grid grid{5, 6};
  const Tensor x = random_tensor({30, 2}, 1, DType::f64);
  const Tensor kernel = random_tensor({3, 3, 2, 3}, 2, DType::f64);
  const Tensor y = QuadraticAttention::of_convolution(kernel, {})(x, grid);
  for (std::int64_t r = 0; r < 5; ++r) {
    for (std::int64_t c = 0; c < 6; ++c) {
      for (std::int64_t o = 0; o < 3; ++o) {
        double sum = 0;
        for (std::int64_t i = -1; i <= 1; ++i) {
          for (std::int64_t j = -1; j <= 1; ++j) {
            if (r + i < 0 || r + i >= 5 || c + j < 0 || c + j >= 6) continue;
            for (std::int64_t a = 0; a < 2; ++a) {
              sum += x.data<double>()[((r + i) * 6 + c + j) * 2 + a] *
                     kernel.data<double>()[(((i + 1) * 3 + j + 1) * 2 + a) * 3 + o];
            }
          }
        }
        EXPECT_NEAR(y.data<double>()[(r * 6 + c) * 3 + o], sum, 1e-12);
      }
    }
  }
}

// 5 × 5 pixels, 2 to 3 channels, 3 × 3, interior, in double: about 8e-2 at α = 5, 5.5e-4 at 10 and
// nothing from 46 on; how much exactly depends on the numbers.
TEST(QuadraticAttention, ErrorFallsWithTheSteepness) {
  const Grid grid{5, 5};
  const Tensor x = random_tensor({25, 2}, 1, DType::f64);
  const Tensor kernel = random_tensor({3, 3, 2, 3}, 2, DType::f64);
  const Tensor want = convolution(x, grid, kernel, {}, 1);
  const auto error = [&](double alpha) {
    auto layer = QuadraticAttention::of_convolution(kernel, {}, {.alpha = alpha});
    layer.config.ring = 0;  // then only the interior has all it needs
    const Tensor y = layer(x, grid);
    double most = 0;
    for (std::int64_t r = 1; r < 4; ++r) {
      for (std::int64_t c = 1; c < 4; ++c) {
        const std::int64_t t = r * 5 + c;
        most = std::max(most, distance(y.rows(t, t + 1), want.rows(t, t + 1)));
      }
    }
    return most;
  };
  const double at5 = error(5), at10 = error(10), at20 = error(20);
  EXPECT_GT(at5, 1e-2);
  EXPECT_LT(at5, 5e-1);
  // The nearest wrong pixels weigh e^−α.
  EXPECT_NEAR(std::log(at5 / at10), 5.0, 0.3);
  EXPECT_NEAR(std::log(at10 / at20), 10.0, 0.3);
  EXPECT_LT(error(46), 1e-14);
  EXPECT_EQ(error(128), error(1000));
}

TEST(QuadraticAttention, ParametersAreCentresSpreadsAndValues) {
  Initialiser init(1);
  const auto one = QuadraticAttention::make(init, {.in = 5, .out = 7});
  EXPECT_EQ(parameter_count(one), 9 * 2 + 9 + 9 * 5 * 7 + 7);
  const auto full = QuadraticAttention::make(
      init, {.in = 5, .out = 7, .heads = 4, .isotropic = false, .bias = false});
  EXPECT_EQ(parameter_count(full), 4 * 2 + 4 * 4 + 4 * 5 * 7);
  EXPECT_NEAR(full.spread.data()[0], 1.0, 0.05);
  EXPECT_NEAR(full.spread.data()[1], 0.0, 0.05);
  EXPECT_NE(full.spread.data()[1], 0.0f);
  EXPECT_THROW(QuadraticAttention::make(init, {.in = 5}), ShapeError);
}

TEST(QuadraticAttention, AFullSpreadIsTheFormula) {
  const Grid grid{4, 3};
  Initialiser init(1, DType::f64);
  auto layer = QuadraticAttention::make(init, {.in = 2, .out = 2, .heads = 1, .isotropic = false});
  layer.centres = random_tensor({1, 2}, 2, DType::f64);
  layer.spread = random_tensor({1, 2, 2}, 3, DType::f64);
  layer.value.weight = Tensor::of(std::vector<double>{1, 0, 0, 1}, {2, 2});
  const Tensor x = random_tensor({12, 2}, 4, DType::f64);
  const Tensor y = layer(x, grid);
  const double *a = layer.spread.data<double>(), *centre = layer.centres.data<double>();
  for (std::int64_t t = 0; t < 12; ++t) {
    double total = 0, sum[2] = {};
    for (std::int64_t j = 0; j < 12; ++j) {
      const std::int64_t below = j / 3 - t / 3;
      const double r = static_cast<double>(below) - centre[0];
      const double c = static_cast<double>(j % 3 - t % 3) - centre[1];
      const double u = a[0] * r + a[1] * c, v = a[2] * r + a[3] * c;  // ‖A δ‖² = δᵀ AᵀA δ
      const double weight = std::exp(-0.5 * (u * u + v * v));
      total += weight;
      for (int i = 0; i < 2; ++i) sum[i] += weight * x.data<double>()[2 * j + i];
    }
    EXPECT_NEAR(y.data<double>()[2 * t], sum[0] / total, 1e-12);
    EXPECT_NEAR(y.data<double>()[2 * t + 1], sum[1] / total, 1e-12);
  }
}

TEST(QuadraticAttention, IsotropicIsTheSpecialCase) {
  const Grid grid{6, 5};
  Initialiser init(3);
  const auto one = QuadraticAttention::make(init, {.in = 2, .out = 3, .heads = 4, .ring = 1});
  auto full = one;
  full.config.isotropic = false;
  full.spread = Tensor::zeros({4, 2, 2});
  for (std::int64_t h = 0; h < 4; ++h) {
    full.spread.data()[4 * h] = full.spread.data()[4 * h + 3] = one.spread.data()[h];
  }
  const Tensor x = random_tensor({grid.count(), 2}, 4);
  EXPECT_TRUE(same_bits(one(x, grid), full(x, grid)));
}

TEST(QuadraticAttention, PicturesDoNotSeeEachOther) {
  const Grid grid{4, 5};
  Initialiser init(1);
  const auto layer = QuadraticAttention::make(init, {.in = 3, .out = 2, .ring = 1});
  const Tensor x = random_tensor({3 * grid.count(), 3}, 1), y = layer(x, grid);
  for (std::int64_t p = 0; p < 3; ++p) {
    const std::int64_t first = p * grid.count(), last = first + grid.count();
    EXPECT_TRUE(same_bits(layer(x.rows(first, last), grid), y.rows(first, last)));
  }
  EXPECT_THROW((void)layer(x.rows(0, 19), grid), ShapeError);
}

// The other direction: attention that may look at 3 × 3 pixels sees no more than a convolution.
TEST(QuadraticAttention, MaskedToNeighboursItSeesNoMoreThanAConvolution) {
  const Grid grid{5, 5};
  Initialiser init(1);
  const auto layer = QuadraticAttention::make(init, {.in = 1, .out = 1, .heads = 2});
  const Mask near = Mask::of("3 × 3", [&](const MaskRow& row, Intervals& keys) {
    const std::int64_t r = row.position / 5, c = row.position % 5;
    for (std::int64_t i = std::max<std::int64_t>(0, r - 1); i <= std::min<std::int64_t>(4, r + 1);
         ++i) {
      keys.push_back({row.k_begin + i * 5 + std::max<std::int64_t>(0, c - 1),
                      row.k_begin + i * 5 + std::min<std::int64_t>(4, c + 1) + 1});
    }
  });
  const Tensor x = random_tensor({25, 1}, 2), y = layer(x, grid, near);
  for (std::int64_t changed = 0; changed < 25; ++changed) {
    Tensor other = x.clone();
    other.data()[changed] += 1.0f;
    const Tensor z = layer(other, grid, near);
    for (std::int64_t t = 0; t < 25; ++t) {
      const bool neighbours =
          std::abs(t / 5 - changed / 5) <= 1 && std::abs(t % 5 - changed % 5) <= 1;
      EXPECT_EQ(z.data()[t] != y.data()[t], neighbours) << changed << " in " << t;
    }
  }
}

TEST(QuadraticAttention, LearnsWhereToLook) {
  const Grid grid{8, 8};
  Initialiser init(1);
  auto layer = QuadraticAttention::make(
      init, {.in = 1, .out = 1, .heads = 1, .centre_deviation = 0.1, .bias = false, .ring = 1});
  layer.value.weight.data()[0] = 1.0f;
  const Tensor x = random_tensor({8 * 64, 1}, 5);
  Tensor kernel = Tensor::zeros({3, 3, 1, 1});
  kernel.data()[2] = 1.0f;  // one row up, one column to the right
  const Tensor want = scale(convolution(x, grid, kernel, {}, 1), -1.0);
  double loss = 0;
  for (int step = 0; step < 60; ++step) {
    Tape tape;
    Tensor total;
    {
      const Recording on(tape);
      const Tensor error = add(layer(x, grid), want);
      total = scale(sum(multiply(error, error)), 1.0 / 512);
    }
    loss = total.item();
    tape.backward(total);
    for (Tensor* p : {&layer.centres, &layer.spread}) {
      const Tensor g = gradient_of(*p);
      for (std::int64_t i = 0; i < p->count(); ++i) p->data()[i] -= 2.0f * g.data()[i];
      clear_gradient(*p);
      parameter_changed(*p);
    }
  }
  EXPECT_NEAR(layer.centres.data()[0], -1.0, 0.05);
  EXPECT_NEAR(layer.centres.data()[1], 1.0, 0.05);
  EXPECT_GT(std::abs(layer.spread.data()[0]), 2.0);
  EXPECT_LT(loss, 0.05);
}

}  // namespace
}  // namespace qkv

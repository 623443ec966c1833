// Convolution and what changes the number of pixels, on packed pictures and packed time.
#include "qkv/ops/convolve.h"

#include <cstring>
#include <functional>

#include "golden/fill.h"
#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/ops/pixels.h"

namespace qkv {
namespace {

using testing::distance;
using testing::Fill;
using testing::random_tensor;

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() &&
         std::memcmp(a.data(), b.data(), sizeof(float) * a.values().size()) == 0;
}

/// The axes of x [A B C] as [B C A] or of [A B] as [B A]: published kernels and pictures.
Tensor last_first(const Tensor& x, std::int64_t first) {
  const std::int64_t rest = x.count() / first;
  return generated({rest, first}, x.dtype(),
                   [&](std::int64_t i) { return number(x, i % first * rest + i / first); });
}

/// [O I K K] as [K K I O].
Tensor kernel_of(const Tensor& w) {
  const std::int64_t out = w.dim(0), in = w.dim(1), taps = w.count() / (out * in);
  Shape shape;
  for (int axis = 2; axis < w.shape().rank(); ++axis) shape.push_back(w.dim(axis));
  shape.push_back(in);
  shape.push_back(out);
  return generated(shape, w.dtype(), [&](std::int64_t i) {
    return number(w, (i % out * in + i / out % in) * taps + i / (in * out));
  });
}

double sum_of(const Tensor& x, const std::function<double(double)>& f) {
  double sum = 0;
  for (std::int64_t i = 0; i < x.count(); ++i) sum += f(number(x, i));
  return sum;
}

TEST(Convolve, GoldenPicture) {
  for (const DType type : {DType::f64, DType::f32}) {
    Fill fill(17, 2.0);
    const Tensor x = last_first(fill.tensor({2, 5, 4}), 2).to(type);
    const Tensor kernel = kernel_of(fill.tensor({3, 2, 3, 3})).to(type);
    const Tensor bias = fill.tensor({3}, 1.0, 0.0).to(type);
    const Tensor y = convolve(x, Grids{{5, 4}}, kernel, bias, PixelWindow::square(3, 1, 1));
    ASSERT_EQ(y.shape(), (Shape{20, 3}));
    const double first[] = {-2.213860, .436595, -1.330614, .969163};
    const double last[] = {.995685, -1.327048, 1.786930, 2.081982};
    for (std::int64_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(number(y, 3 * i), first[i], 1e-6);
      EXPECT_NEAR(number(y, 3 * (16 + i) + 2), last[i], 1e-6);
    }
    EXPECT_NEAR(sum_of(y, [](double v) { return v; }), -7.720928, 1e-5);
    EXPECT_NEAR(sum_of(y, [](double v) { return v * v; }), 63.063581, 1e-5);
  }
}

TEST(Convolve, GoldenTime) {
  Fill fill(18, 2.0);
  const Tensor x = fill.tensor({9, 2});
  const Tensor kernel = kernel_of(fill.tensor({3, 2, 3}));
  const Tensor bias = fill.tensor({3}, 1.0, 0.0);
  const Grids grids = Grids::lines(Segments({5, 4}));
  const PixelWindow window = PixelWindow::line(3, 2, 1);
  const Tensor y = convolve(x, grids, kernel, bias, window);
  ASSERT_EQ(grids.over(window), Grids::lines(Segments({3, 2})));
  const double wanted[] = {-1.326192, -.231425,  -1.383676, -1.740629, 1.921551,
                           -.306897,  -1.084399, .779280,   -.669963,  -.847670,
                           .926594,   1.109234,  -1.392148, .624024,   -1.636925};
  ASSERT_EQ(y.count(), 15);
  for (std::int64_t i = 0; i < 15; ++i) EXPECT_NEAR(number(y, i), wanted[i], 1e-6) << i;
}

TEST(Convolve, PlacesFollowTheFormula) {
  for (const std::int64_t n : {0, 1, 2, 5, 6, 7}) {
    EXPECT_EQ(PixelWindow::line(3, 2, 1).over({1, n}).cols, n == 0 ? 0 : (n + 1) / 2) << n;
  }
  EXPECT_EQ(PixelWindow::square(5).over({4, 9}).count(), 0);
  EXPECT_EQ(PixelWindow::square(4, 4).over({9, 8}), (Grid{2, 2}));
}

const Grids kMixed{{5, 4}, {1, 1}, {0, 7}, {17, 3}, {2, 30}};

/// The parts of x that lie on picture b.
Tensor part(const Tensor& x, const Grids& grids, std::int64_t b) {
  return x.rows(grids.begin(b), grids.segments().end(b));
}

struct Case {
  PixelWindow window;
  std::int64_t in, out, groups;
};
// The third is wider than a tile of scratch memory holds many rows of.
const Case kCases[] = {{PixelWindow::square(3, 1, 1), 5, 7, 1},
                       {{2, 3, 2, 1, 0, 2}, 6, 4, 2},
                       {PixelWindow::square(3, 1, 1), 700, 5, 1},
                       {PixelWindow::square(3, 2, 1), 4, 4, 4},
                       {PixelWindow::square(1), 3, 2, 1}};

TEST(Convolve, NeighboursChangeNoBit) {
  for (const Case& c : kCases) {
    const Tensor x = random_tensor({kMixed.total(), c.in}, 1);
    const Tensor kernel = random_tensor({c.window.rows, c.window.cols, c.in / c.groups, c.out}, 2);
    const Tensor bias = random_tensor({c.out}, 3);
    const Tensor y = convolve(x, kMixed, kernel, bias, c.window, c.groups);
    const Grids places = kMixed.over(c.window);
    for (std::int64_t b = 0; b < kMixed.count(); ++b) {
      const Tensor alone =
          convolve(part(x, kMixed, b), Grids{kMixed[b]}, kernel, bias, c.window, c.groups);
      EXPECT_TRUE(same_bits(alone, part(y, places, b))) << b;
    }
  }
}

TEST(Convolve, PixelsHearOfTheirOwnPictureAlone) {
  for (const Case& c : kCases) {
    const Tensor kernel = random_tensor({c.window.rows, c.window.cols, c.in / c.groups, c.out}, 2);
    const Grids places = kMixed.over(c.window);
    const Tensor dy = random_tensor({places.total(), c.out}, 4);
    const auto gradient = [&](const Tensor& x, const Grids& grids, const Tensor& from) {
      const Tensor pixels = parameter(x.clone());
      Tape tape;
      Tensor y;
      {
        const Recording on(tape);
        y = convolve(pixels, grids, kernel, {}, c.window, c.groups);
      }
      tape.backward(y, from);
      return gradient_of(pixels);
    };
    const Tensor x = random_tensor({kMixed.total(), c.in}, 1);
    const Tensor all = gradient(x, kMixed, dy);
    for (const std::int64_t b : {0, 3, 4}) {
      const Tensor alone = gradient(part(x, kMixed, b), Grids{kMixed[b]}, part(dy, places, b));
      EXPECT_TRUE(same_bits(alone, part(all, kMixed, b))) << b;
    }
  }
}

TEST(Convolve, BeyondOneTileItIsTheDefinition) {
  const Case& c = kCases[2];
  const Grids grids{{40, 5}, {9, 9}};  // 281 places, tiles of 41
  const auto run = [&](std::vector<Tensor>& gradients) {
    const Tensor x = parameter(random_tensor({grids.total(), c.in}, 1));
    const Tensor kernel = parameter(random_tensor({3, 3, c.in, c.out}, 2));
    Tape tape;
    Tensor y;
    {
      const Recording on(tape);
      y = convolve(x, grids, kernel, {}, c.window);
    }
    tape.backward(y, random_tensor(y.shape(), 4));
    gradients = {gradient_of(x), gradient_of(kernel)};
    return y;
  };
  std::vector<Tensor> fast_gradients, gradients;
  const Tensor fast = run(fast_gradients);
  const DefinitionOnly definition;
  EXPECT_LT(distance(fast, run(gradients)), 2e-3);  // sums of 6,300 products of deviation 1
  EXPECT_LT(distance(fast_gradients[0], gradients[0]), 1e-4);
  EXPECT_LT(distance(fast_gradients[1], gradients[1]), 1e-3);
}

TEST(Convolve, WhatDoesNotFitIsRefused) {
  const Tensor x = Tensor::zeros({6, 4}), kernel = Tensor::zeros({3, 3, 4, 2});
  const Grids grids{{2, 3}};
  EXPECT_THROW((void)convolve(x, Grids{{3, 3}}, kernel, {}, PixelWindow::square(3)), ShapeError);
  EXPECT_THROW((void)convolve(x, grids, kernel, {}, PixelWindow::square(2)), ShapeError);
  EXPECT_THROW((void)convolve(x, grids, kernel, {}, PixelWindow::square(3, 0)), ShapeError);
  EXPECT_THROW((void)convolve(x, grids, kernel, {}, PixelWindow::square(3), 2), ShapeError);
  EXPECT_THROW((void)convolve(x, grids, kernel, Tensor::zeros({3}), PixelWindow::square(3)),
               ShapeError);
  EXPECT_THROW((void)Grids({{-1, 2}}), ShapeError);
}

TEST(Pixels, ShuffleGolden) {
  const Tensor x = last_first(
      generated({4, 1, 3}, DType::f32, [](std::int64_t i) { return static_cast<double>(i); }), 4);
  const Tensor y = pixel_shuffle(x, Grids{{1, 3}}, 2);
  const float wanted[] = {0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11};
  for (std::int64_t i = 0; i < 12; ++i) EXPECT_EQ(y.data()[i], wanted[i]) << i;
}

TEST(Pixels, PoolingUndoesUpsampling) {
  const Tensor x = random_tensor({kMixed.total(), 3}, 1);
  for (const std::int64_t factor : {1, 2, 4}) {
    const Grids fine = kMixed.times(factor);
    const Tensor y = upsample_nearest(x, kMixed, factor);
    EXPECT_LT(distance(mean_pool(y, fine, PixelWindow::square(factor, factor)), x), 1e-6);
    EXPECT_TRUE(same_bits(max_pool(y, fine, PixelWindow::square(factor, factor)), x));
  }
}

TEST(Pixels, PoolingLeavesWhatFillsNoWindow) {
  const Tensor x =
      generated({15, 1}, DType::f32, [](std::int64_t i) { return static_cast<double>(i); });
  const Tensor most = max_pool(x, Grids{{3, 5}}, PixelWindow::square(2, 2));
  ASSERT_EQ(most.shape(), (Shape{2, 1}));
  EXPECT_EQ(most.data()[0], 6.0f);
  EXPECT_EQ(most.data()[1], 8.0f);
  const Tensor mean = mean_pool(x, Grids{{3, 5}}, PixelWindow::square(2, 2));
  EXPECT_EQ(mean.data()[1], 5.0f);
  // A margin is left aside, though all numbers beside it are below zero.
  const Tensor below = generated({4, 1}, DType::f32, [](std::int64_t) { return -1.0; });
  EXPECT_EQ(max_pool(below, Grids{{2, 2}}, PixelWindow::square(3, 2, 1)).data()[0], -1.0f);
  EXPECT_THROW((void)mean_pool(x, Grids{{3, 5}}, PixelWindow::square(3, 1, 1)), ShapeError);
  EXPECT_THROW((void)max_pool(x, Grids{{3, 5}}, PixelWindow::square(2, 1, 2)), ShapeError);
}

TEST(Pixels, APermutationAndItsInverse) {
  const Permutation order({2, 0, 3, 1});
  const Tensor x = random_tensor({4, 3}, 1);
  const Tensor y = permute_rows(x, order);
  EXPECT_EQ(y.data()[0], x.data()[6]);
  EXPECT_TRUE(same_bits(permute_rows(y, order.inverse()), x));
  EXPECT_TRUE(same_bits(permute_rows(x, order.after(order)), permute_rows(y, order)));
  EXPECT_THROW(Permutation({0, 0}), ShapeError);
  EXPECT_THROW(Permutation({0, 2}), ShapeError);
  EXPECT_THROW((void)permute_rows(x, Permutation({0})), ShapeError);
}

}  // namespace
}  // namespace qkv

// The edges at which attention kernels elsewhere have gone wrong, row by row: sizes, corners,
// lengths, masked rows, values, poison, dropout, groups, memory. Each on the plain tiles and, with
// a bias of zeros, on the general ones.
#include <algorithm>
#include <cmath>
#include <limits>

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/attention/attend.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

using testing::distance;
using testing::random_tensor;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kLargest = std::numeric_limits<float>::max();

struct Inputs {
  Tensor q, k, v;
  static Inputs draw(std::int64_t queries, std::int64_t keys, std::int64_t dim,
                     std::int64_t value_dim, std::int64_t heads = 2, std::int64_t kv_heads = 1) {
    return {random_tensor({queries, heads, dim}, 1), random_tensor({keys, kv_heads, dim}, 2),
            random_tensor({keys, kv_heads, value_dim}, 3)};
  }
};

/// The same attention on the general tiles: a bias of zeros.
Attention general(Attention how) {
  how.bias.push_back(TensorBias{.tensor = Tensor::zeros({1, 1, 1})});
  return how;
}

double largest_score(const Inputs& x, double scale) {
  double most = 0;
  const std::int64_t heads = x.q.dim(1), group = heads / x.k.dim(1), dim = x.q.dim(2);
  for (std::int64_t i = 0; i < x.q.dim(0) * heads; ++i) {
    for (std::int64_t j = 0; j < x.k.dim(0); ++j) {
      double s = 0;
      for (std::int64_t d = 0; d < dim; ++d) {
        s += static_cast<double>(x.q.data()[i * dim + d]) *
             static_cast<double>(x.k.data()[(j * x.k.dim(1) + i % heads / group) * dim + d]);
      }
      most = std::max(most, std::abs(scale * s));
    }
  }
  return most;
}

/// |O − O*| ≤ 8 ε (1 + max|S|) Σ P |V|, element by element: what rounding may cost under this
/// condition and no more (8: the factor seen is below 3). The gradients with the scale of theirs.
void expect_as_defined(const Inputs& x, Attention how = {}) {
  const Inputs wide{x.q.to(DType::f64), x.k.to(DType::f64), x.v.to(DType::f64)};
  Tensor size = wide.v.clone();
  for (double& value : size.values<double>()) value = std::abs(value);
  const Tensor exact = attend(wide.q, wide.k, wide.v, how);
  const Tensor condition = attend(wide.q, wide.k, size, how);
  const double scale = std::get<ScaledDot>(how.score).scale;
  const auto dim = static_cast<double>(std::max<std::int64_t>(1, x.q.dim(2)));
  const double most = largest_score(x, scale != 0 ? scale : 1 / std::sqrt(dim));
  const double eps = 8 * 0x1p-23 * (1 + most);
  for (const Attention& form : {how, general(how)}) {
    const Tensor got = attend(x.q, x.k, x.v, form);
    for (std::int64_t n = 0; n < got.count(); ++n) {
      const double error = std::abs(static_cast<double>(got.data()[n]) - exact.data<double>()[n]);
      ASSERT_LE(error, eps * condition.data<double>()[n] + 1e-30)
          << "element " << n << (form.bias.empty() ? ", plain" : ", general");
    }
  }
}

/// The gradients of the plain, the general and the double form, compared by their largest element.
void expect_gradients_as_defined(const Inputs& x, Attention how = {}, double tolerance = 2e-5) {
  const auto gradients = [](const Inputs& in, const Attention& form) {
    const Inputs p{parameter(in.q.clone()), parameter(in.k.clone()), parameter(in.v.clone())};
    Tape tape;
    Tensor y;
    {
      const Recording on(tape, 4);
      y = attend(p.q, p.k, p.v, form);
    }
    tape.backward(y, random_tensor(y.shape(), 9, y.dtype()));
    return std::vector<Tensor>{gradient_of(p.q), gradient_of(p.k), gradient_of(p.v)};
  };
  const auto exact = gradients({x.q.to(DType::f64), x.k.to(DType::f64), x.v.to(DType::f64)}, how);
  for (const Attention& form : {how, general(how)}) {
    const auto got = gradients(x, form);
    for (std::size_t n = 0; n < 3; ++n) {
      double most = 1;
      for (const double g : exact[n].values<double>()) most = std::max(most, std::abs(g));
      EXPECT_LE(distance(got[n], exact[n]), tolerance * most)
          << "gradient " << n << (form.bias.empty() ? ", plain" : ", general");
    }
  }
}

TEST(EdgeSizes, NothingAndOne) {
  for (const std::int64_t queries : {0, 1, 3}) {
    for (const std::int64_t keys : {0, 1, 5}) {
      for (const std::int64_t dim : {0, 1, 2}) {
        for (const std::int64_t value_dim : {0, 1, 3}) {
          const Inputs x = Inputs::draw(queries, keys, dim, value_dim);
          expect_as_defined(x);
          expect_gradients_as_defined(x);
        }
      }
    }
  }
  EXPECT_THROW(attend(Tensor::zeros({2, 0, 3}), Tensor::zeros({2, 0, 3}), Tensor::zeros({2, 0, 3})),
               ShapeError);
}

TEST(EdgeSizes, EveryWidthNearAVector) {
  for (const std::int64_t dim :
       {1, 2, 3, 7, 15, 17, 31, 33, 59, 63, 65, 111, 127, 129, 255, 257, 513}) {
    SCOPED_TRACE(dim);
    expect_as_defined(Inputs::draw(19, 70, dim, 1));
    expect_as_defined(Inputs::draw(5, 9, 3, dim));
    expect_gradients_as_defined(Inputs::draw(19, 70, dim, dim == 513 ? 2 : dim));
  }
}

TEST(EdgeSizes, TilesAndTheirNeighbours) {
  for (const std::int64_t tile : {16, 32, 64}) {
    for (const std::int64_t n : {tile - 1, tile, tile + 1, 2 * tile + 1}) {
      expect_as_defined(Inputs::draw(n, n + 1, 5, 4));
      expect_as_defined(Inputs::draw(n + 1, n, 5, 4), {.mask = causal()});
      expect_gradients_as_defined(Inputs::draw(n, n, 5, 4), {.mask = causal()});
    }
  }
}

TEST(EdgeSizes, MoreThreadsThanWork) {
  const Inputs x = Inputs::draw(3, 4, 5, 6);
  const Tensor one = attend(x.q, x.k, x.v);
  const int before = threads();
  set_threads(8);
  EXPECT_EQ(distance(one, attend(x.q, x.k, x.v)), 0.0);
  set_threads(before);
}

TEST(EdgeMasks, BothCornersAndOddWindows) {
  for (const auto& [queries, keys] : {std::pair{70, 40}, {40, 70}, {65, 65}, {1, 80}, {80, 1}}) {
    const Inputs x = Inputs::draw(queries, keys, 8, 8);
    for (const Alignment corner : {Alignment::bottom_right, Alignment::top_left}) {
      for (const Mask& mask : {causal(corner), window(3, 0, corner), window(0, 3, corner),
                               window(-2, 5, corner), window(5, -2, corner),
                               window(1000, 1000, corner), causal(corner) & window(2, 2, corner),
                               causal(corner) & window(9, 9) & lengths({keys / 2})}) {
        SCOPED_TRACE(to_string(mask));
        expect_as_defined(x, {.mask = mask});
        expect_gradients_as_defined(x, {.mask = mask});
      }
    }
    expect_as_defined(x, {.mask = window(0)});
    expect_as_defined(x, {.mask = window(1)});
  }
}

TEST(EdgeLengths, ValidLengthsInOneAndTwoDimensions) {
  const Inputs x = Inputs::draw(6, 9, 4, 4);
  for (const std::int64_t valid : {0, 1, 9}) expect_as_defined(x, {.mask = lengths({valid})});
  EXPECT_THROW(attend(x.q, x.k, x.v, {.mask = lengths({10})}), Error);
  expect_as_defined(x, {.mask = query_lengths({3, 9, 0, 1, 0, 7})});
  expect_gradients_as_defined(x, {.mask = query_lengths({3, 9, 0, 1, 0, 7})});
}

TEST(EdgeLengths, EmptySequencesAnywhere) {
  for (const auto& [queries, keys] : {std::pair{Segments{0, 4, 2}, Segments{0, 5, 3}},
                                      {Segments{4, 0, 2}, Segments{5, 0, 3}},
                                      {Segments{4, 2, 0}, Segments{5, 3, 0}},
                                      {Segments{0, 6}, Segments{5, 3}},
                                      {Segments{6, 0}, Segments{0, 8}},
                                      {Segments{3, 3}, Segments{8, 0}}}) {
    const Inputs x = Inputs::draw(6, 8, 4, 4);
    expect_as_defined(x, {.mask = segments(queries, keys) & causal()});
    expect_gradients_as_defined(x, {.mask = segments(queries, keys)});
  }
}

TEST(EdgeRows, FullyMaskedAnywhere) {
  const std::int64_t n = 200;
  const auto hidden = [](auto hides) {
    return Mask::of("hidden", [=](const MaskRow& row, Intervals& keys) {
      for (std::int64_t j = 0; j < row.keys; ++j) {
        if (!hides(row.position, j)) keys.push_back({j, j + 1});
      }
    });
  };
  const Inputs x = Inputs::draw(n, n, 8, 8);
  for (const Mask& mask :
       {hidden([](auto i, auto) { return i == 0; }), hidden([](auto i, auto) { return i == 100; }),
        hidden([](auto i, auto) { return i == 199; }),
        hidden([](auto i, auto) { return i < 64; }),            // a whole tile
        hidden([](auto i, auto j) { return j < 64 + i % 2; }),  // the first tile
        hidden([](auto, auto) { return true; })}) {
    expect_as_defined(x, {.mask = mask});
    expect_gradients_as_defined(x, {.mask = mask});
  }
  const Attended none = attend_with_lse(x.q, x.k, x.v, {.mask = window(0)});
  for (const float lse : none.lse.values()) EXPECT_EQ(lse, -kInfinity);
}

TEST(EdgeRows, BiasBroadcastOnEachAxis) {
  const Inputs x = Inputs::draw(5, 70, 4, 4);
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{2, 1, 1}, Shape{1, 5, 1}, Shape{1, 1, 70},
                             Shape{2, 5, 1}, Shape{2, 1, 70}, Shape{1, 5, 70}, Shape{2, 5, 70}}) {
    const Tensor bias = random_tensor(shape, 6);
    const Tensor exact = attend(x.q.to(DType::f64), x.k.to(DType::f64), x.v.to(DType::f64),
                                {.bias = {TensorBias{.tensor = bias.to(DType::f64)}}});
    EXPECT_LE(distance(attend(x.q, x.k, x.v, {.bias = {TensorBias{.tensor = bias}}}), exact), 2e-6);
  }
}

/// One query of one head and feature 1 sees the keys' scores as they are given.
Tensor pooled(const std::vector<float>& scores, const Attention& how = {}) {
  const auto n = static_cast<std::int64_t>(scores.size());
  std::vector<float> values;
  for (std::int64_t j = 0; j < n; ++j) values.push_back(static_cast<float>(j));
  return attend(Tensor::full({1, 1, 1}, 1.0), Tensor::of(scores, {n, 1, 1}),
                Tensor::of(values, {n, 1, 1}), how);
}

TEST(EdgeValues, ExtremeScores) {
  for (const float score : {0.0f, 1e4f, -1e4f, 3e38f, -3e38f, -2500.0f}) {  // all equal: the mean
    // The plain tiles count in units of log 2 and end at ±2.3e38.
    if (std::abs(score) < 1e38f) {
      EXPECT_NEAR(pooled(std::vector<float>(101, score)).data()[0], 50.0f, 1e-4) << score;
    }
    EXPECT_NEAR(pooled(std::vector<float>(101, score), general({})).data()[0], 50.0f, 1e-4);
  }
  for (const std::size_t at : {std::size_t{0}, std::size_t{70}, std::size_t{199}}) {  // an outlier
    for (const float base : {-2500.0f, 0.0f}) {
      std::vector<float> scores(200, base);
      scores[at] = base + 200;
      EXPECT_EQ(pooled(scores).data()[0], static_cast<float>(at));
      EXPECT_EQ(pooled(scores, general({})).data()[0], static_cast<float>(at));
    }
  }
  for (const float step : {3.0f, -3.0f}) {  // rescales in every tile, or never
    std::vector<float> scores;
    for (int j = 0; j < 300; ++j) scores.push_back(step * static_cast<float>(j));
    const double want = (step > 0 ? 299 : 0) - (step > 0 ? 1 : -1) / std::expm1(3.0);
    EXPECT_NEAR(pooled(scores).data()[0], want, 1e-3);
    EXPECT_NEAR(pooled(scores, general({})).data()[0], want, 1e-3);
  }
}

TEST(EdgeValues, ScalesOfAllKinds) {
  const Inputs x = Inputs::draw(9, 80, 6, 3);
  for (const double scale : {1e-40, 1e-6, -0.5, 1.0}) {
    expect_as_defined(x, {.score = ScaledDot{.scale = scale}});
    expect_gradients_as_defined(x, {.score = ScaledDot{.scale = scale}});
  }
  expect_as_defined(x, {.score = ScaledDot{.scale = 1e3}});
}

TEST(EdgeValues, TheLowestFloatIsNotMinusInfinity) {
  const std::vector<float> lowest(5, -kLargest), none(5, -kInfinity);
  const auto biased = [](const std::vector<float>& bias) {
    return pooled(std::vector<float>(5, 0.0f),
                  {.bias = {TensorBias{.tensor = Tensor::of(bias, {1, 1, 5})}}});
  };
  EXPECT_NEAR(biased(lowest).data()[0], 2.0f, 1e-6);  // the mean of the visible
  EXPECT_EQ(biased(none).data()[0], 0.0f);            // sees nothing
  std::vector<float> one = none;
  one[3] = -1e4f;
  EXPECT_EQ(biased(one).data()[0], 3.0f);
}

TEST(EdgeValues, WhatIsNotANumberIsSeenWhereItIsVisible) {
  for (const float bad : {kNan, kInfinity}) {
    std::vector<float> scores(70, 0.0f);
    scores[5] = bad;
    EXPECT_TRUE(std::isnan(pooled(scores).data()[0]));
    EXPECT_TRUE(std::isnan(pooled(scores, general({})).data()[0]));
    for (const Normaliser& norm : {Normaliser(Sparsemax{}), Normaliser(Entmax{}),
                                   Normaliser(KernelSum{}), Normaliser(SoftmaxSink{})}) {
      if (std::isinf(bad)) continue;
      EXPECT_TRUE(std::isnan(pooled(scores, {.norm = norm}).data()[0]));
    }
    // Hidden, it changes nothing.
    const Mask others = ~(prefix(6) & ~prefix(5));
    EXPECT_NEAR(pooled(scores, {.mask = others}).data()[0], (69 * 70 / 2.0 - 5) / 69, 1e-4);
    EXPECT_NEAR(pooled(scores, general({.mask = others})).data()[0], (69 * 70 / 2.0 - 5) / 69,
                1e-4);
  }
}

TEST(EdgeValues, AVisibleNanReachesTheGradientBehindAMask) {
  for (const bool biased : {false, true}) {
    const Tensor q = parameter(Tensor::full({1, 1, 1}, 1.0));
    Tensor k = Tensor::zeros({200, 1, 1});
    k.data()[130] = kNan;
    const Attention how{.mask = prefix(132) & ~prefix(130)};
    Tape tape;
    Tensor y;
    {
      const Recording on(tape, 1);
      y = attend(q, k, Tensor::full({200, 1, 1}, 1.0), biased ? general(how) : how);
    }
    tape.backward(y, Tensor::full({1, 1, 1}, 1.0));
    EXPECT_TRUE(std::isnan(y.data()[0]));
    EXPECT_TRUE(std::isnan(gradient_of(q).data()[0]));
  }
}

TEST(EdgeValues, SoftCapsOfAllSizes) {
  const std::vector<float> scores{1000, -1000, 3, 0};
  const auto capped = [&](double cap) {
    return pooled(scores, {.bias = {SoftCap{.cap = cap}}}).data()[0];
  };
  EXPECT_NEAR(capped(1e-6), 1.5, 1e-5);  // all scores equal
  EXPECT_NEAR(capped(1e9), 0.0, 1e-6);   // none changed
}

TEST(EdgePoison, NothingLeaksFromHiddenKeysOrValues) {
  for (const float bad : {kNan, kInfinity, -kInfinity}) {
    for (const Mask& mask : {causal(), window(9, 2), lengths({100})}) {
      Inputs x = Inputs::draw(130, 130, 8, 8);
      const Tensor clean = attend(x.q, x.k, x.v, {.mask = mask});
      const Tensor clean_general = attend(x.q, x.k, x.v, general({.mask = mask}));
      for (std::int64_t j = 120; j < 130; ++j) {
        for (std::int64_t d = 0; d < 8; ++d) x.k.data()[j * 8 + d] = x.v.data()[j * 8 + d] = bad;
      }
      // Rows before 100 see none of the spoilt keys under any of the three masks.
      EXPECT_EQ(distance(attend(x.q, x.k, x.v, {.mask = mask}).rows(0, 100), clean.rows(0, 100)),
                0);
      EXPECT_EQ(distance(attend(x.q, x.k, x.v, general({.mask = mask})).rows(0, 100),
                         clean_general.rows(0, 100)),
                0);
    }
  }
}

TEST(EdgeDropout, NoneAndNearlyAll) {
  const Inputs x = Inputs::draw(64, 64, 4, 4);
  Tape tape;
  const Recording on(tape, 7);
  EXPECT_EQ(distance(attend(x.q, x.k, x.v), attend(x.q, x.k, x.v, {.dropout = 0.0})), 0.0);
  const Tensor most = attend(x.q, x.k, x.v, {.dropout = 0.9999});
  std::int64_t zeros = 0;
  for (const float value : most.values()) zeros += value == 0.0f;
  EXPECT_GT(zeros, most.count() * 9 / 10);
}

TEST(EdgeGroups, OneAllAndNeither) {
  for (const std::int64_t kv_heads : {1, 2, 4}) {
    expect_as_defined(Inputs::draw(20, 30, 8, 8, 4, kv_heads), {.mask = causal()});
    expect_gradients_as_defined(Inputs::draw(20, 30, 8, 8, 4, kv_heads), {.mask = causal()});
  }
  const Inputs x = Inputs::draw(3, 3, 2, 2, 4, 3);
  EXPECT_THROW(attend(x.q, x.k, x.v), ShapeError);
}

TEST(EdgeMemory, MisalignedByOneFloat) {
  const Inputs x = Inputs::draw(33, 47, 16, 16, 2, 2);
  const auto misaligned = [](const Tensor& t) {
    auto owner = std::make_shared<std::vector<float>>(static_cast<std::size_t>(t.count()) + 1);
    std::copy_n(t.data(), t.count(), owner->data() + 1);
    return Tensor::borrow(owner->data() + 1, t.shape(), owner);
  };
  EXPECT_EQ(
      distance(attend(x.q, x.k, x.v), attend(misaligned(x.q), misaligned(x.k), misaligned(x.v))),
      0.0);
}

TEST(EdgeMemory, ThrowingFromAUsersFunctionLeavesNothingBehind) {
  const Inputs x = Inputs::draw(200, 200, 2, 2);
  const PairScore bad{"bad", [](auto, auto) -> double { fail("no"); }, {}};
  EXPECT_THROW(attend(x.q, x.k, x.v, {.score = bad}), Error);
  expect_as_defined(x);
}

}  // namespace
}  // namespace qkv

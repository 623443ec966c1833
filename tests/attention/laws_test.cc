// Identities between members of the algebra, golden values, and what must not depend on what.
#include <algorithm>
#include <cmath>
#include <limits>

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/attention/attend.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/heads.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using testing::distance;
using testing::random_tensor;

struct Laws : ::testing::Test {
  Tensor q = random_tensor({5, 2, 4}, 1, DType::f64), k = random_tensor({7, 2, 4}, 2, DType::f64),
         v = random_tensor({7, 2, 3}, 3, DType::f64);
  Tensor out(const Attention& how) const { return attend(q, k, v, how); }
};

TEST_F(Laws, ScaledDotIsGeneralWithAnIdentity) {
  Tensor identity = Tensor::zeros({4, 4}, DType::f64);
  for (int d = 0; d < 4; ++d) identity.data<double>()[5 * d] = 1;
  EXPECT_LT(distance(out({}), out({.score = General{.weight = identity, .scale = 0.5}})), 1e-12);
}

TEST_F(Laws, GeneralProjectsEitherSideAlike) {
  const Tensor w = random_tensor({4, 4}, 4, DType::f64);
  const Attention how{.score = General{.weight = w}};
  const Tensor all = out(how);  // more keys than queries: queries are projected
  const Tensor few = attend(q, k.rows(0, 2), v.rows(0, 2), how);
  const Tensor by_hand =
      attend(project_heads(q, w), k.rows(0, 2), v.rows(0, 2), {.score = ScaledDot{.scale = 1.0}});
  EXPECT_LT(distance(few, by_hand), 1e-12);
  EXPECT_LT(distance(all, attend(project_heads(q, w), k, v, {.score = ScaledDot{.scale = 1.0}})),
            1e-12);
}

TEST_F(Laws, ConcatIsAdditive) {
  const Tensor wq = random_tensor({4, 6}, 4, DType::f64), wk = random_tensor({4, 6}, 5, DType::f64),
               w = random_tensor({6}, 6, DType::f64);
  Tensor both = Tensor::empty({8, 6}, DType::f64);
  std::copy_n(wq.data<double>(), 24, both.data<double>());
  std::copy_n(wk.data<double>(), 24, both.data<double>() + 24);
  EXPECT_LT(distance(out({.score = Additive{.weight = w, .query = wq, .key = wk}}),
                     out({.score = Concat{.matrix = both, .weight = w}})),
            1e-12);
}

TEST_F(Laws, CosineIsTheProductOfUnitVectors) {
  EXPECT_LT(distance(out({.score = Cosine{.scale = 3.0}}),
                     attend(unit_rows(q), unit_rows(k), v, {.score = ScaledDot{.scale = 3.0}})),
            1e-12);
}

TEST_F(Laws, GaussianIsAProductWithAKeyBias) {
  // −‖q−k‖²/2 = q·k − ‖k‖²/2 − a constant of the row
  Tensor bias = Tensor::zeros({2, 1, 7}, DType::f64);
  for (int j = 0; j < 7; ++j) {
    for (int h = 0; h < 2; ++h) {
      for (int d = 0; d < 4; ++d) {
        const double x = k.data<double>()[(j * 2 + h) * 4 + d];
        bias.data<double>()[h * 7 + j] -= x * x / 2;
      }
    }
  }
  EXPECT_LT(distance(out({.score = Gaussian{}}),
                     out({.score = ScaledDot{.scale = 1.0}, .bias = {TensorBias{.tensor = bias}}})),
            1e-12);
}

TEST_F(Laws, ShiftingAllScoresChangesNothing) {
  const Tensor shift = Tensor::full({1, 1, 1}, 7.0, DType::f64);
  for (const Normaliser& norm :
       {Normaliser(Softmax{}), Normaliser(Sparsemax{}), Normaliser(Entmax{}), Normaliser(Hard{})}) {
    EXPECT_LT(
        distance(out({.norm = norm}), out({.bias = {TensorBias{.tensor = shift}}, .norm = norm})),
        1e-12);
  }
}

TEST_F(Laws, ADuplicateKeyIsABiasOfLogTwo) {
  const std::vector<std::int64_t> twice{0, 1, 2, 3, 3, 4, 5, 6};
  Tensor bias = Tensor::zeros({1, 1, 7}, DType::f64);
  bias.data<double>()[3] = std::log(2.0);
  EXPECT_LT(distance(attend(q, select_rows(k, twice), select_rows(v, twice)),
                     out({.bias = {TensorBias{.tensor = bias}}})),
            1e-12);
}

TEST_F(Laws, PermutedKeysGiveTheSame) {
  const std::vector<std::int64_t> order{6, 2, 0, 5, 1, 3, 4};
  for (const Normaliser& norm : {Normaliser(Softmax{}), Normaliser(Sparsemax{}), Normaliser(Relu{}),
                                 Normaliser(Sigmoid{})}) {
    EXPECT_LT(distance(out({.norm = norm}),
                       attend(q, select_rows(k, order), select_rows(v, order), {.norm = norm})),
              1e-12);
  }
}

TEST_F(Laws, SplitAndMergedIsWhole) {
  const Attended a = attend_with_lse(q, k.rows(0, 3), v.rows(0, 3)),
                 b = attend_with_lse(q, k.rows(3, 7), v.rows(3, 7)),
                 whole = attend_with_lse(q, k, v);
  for (std::int64_t row = 0; row < 10; ++row) {
    const double x = a.lse.data<double>()[row], y = b.lse.data<double>()[row];
    const double lse = std::max(x, y) + std::log1p(std::exp(-std::abs(x - y)));
    EXPECT_NEAR(lse, whole.lse.data<double>()[row], 1e-12);
    for (std::int64_t e = 0; e < 3; ++e) {
      EXPECT_NEAR(std::exp(x - lse) * a.out.data<double>()[row * 3 + e] +
                      std::exp(y - lse) * b.out.data<double>()[row * 3 + e],
                  whole.out.data<double>()[row * 3 + e], 1e-12);
    }
  }
}

TEST_F(Laws, GroupedIsRepeated) {
  const Tensor one_k = random_tensor({7, 1, 4}, 8, DType::f64),
               one_v = random_tensor({7, 1, 3}, 9, DType::f64);
  const auto repeated = [](const Tensor& x) {
    Tensor y = Tensor::empty({x.dim(0), 2, x.dim(2)}, DType::f64);
    for (std::int64_t r = 0; r < 2 * x.dim(0); ++r) {
      std::copy_n(x.data<double>() + r / 2 * x.dim(2), x.dim(2), y.data<double>() + r * x.dim(2));
    }
    return y;
  };
  EXPECT_LT(distance(attend(q, one_k, one_v), attend(q, repeated(one_k), repeated(one_v))), 1e-12);
}

TEST_F(Laws, AHugeCapAndAnOpenWindowDoNothing) {
  EXPECT_LT(distance(out({}), out({.bias = {SoftCap{.cap = 1e7}}})), 1e-9);
  EXPECT_EQ(distance(out({}), out({.mask = window(100)})), 0.0);
}

TEST_F(Laws, ASinkOfMinusInfinityIsSoftmax) {
  const Tensor none = Tensor::full({2}, -std::numeric_limits<double>::infinity(), DType::f64);
  EXPECT_LT(distance(out({}), out({.norm = SoftmaxSink{.sink = none}})), 1e-12);
  const Tensor all = Tensor::full({2}, 60.0, DType::f64);
  EXPECT_LT(distance(Tensor::zeros({5, 2, 3}, DType::f64), out({.norm = SoftmaxSink{.sink = all}})),
            1e-12);
}

TEST_F(Laws, EntmaxLiesBetweenSoftmaxAndSparsemax) {
  EXPECT_LT(distance(out({.norm = Entmax{.alpha = 1.9999}}), out({.norm = Sparsemax{}})), 1e-2);
  EXPECT_LT(distance(out({.norm = Entmax{.alpha = 1.0001}}), out({})), 1e-3);
}

TEST_F(Laws, LinearSumForgetsTheQuery) {
  // w·(Wq q + Wk k) without tanh: the query's term is constant over the keys.
  const Tensor w = random_tensor({1, 1, 7}, 4, DType::f64);
  const Tensor rows =
      attend(Tensor::zeros({5, 2, 4}, DType::f64), k, v, {.bias = {TensorBias{.tensor = w}}});
  for (std::int64_t i = 1; i < 5; ++i) {
    EXPECT_LT(distance(rows.rows(0, 1), rows.rows(i, i + 1)), 1e-15);
  }
}

TEST(Golden, AlibiSlopes) {
  const auto near = [](const std::vector<double>& got, const std::vector<double>& want) {
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-6);
  };
  near(alibi_slopes(2), {1.0 / 16, 1.0 / 256});
  near(alibi_slopes(4), {.25, .0625, .015625, .00390625});
  near(alibi_slopes(6), {.25, .0625, .015625, .00390625, .5, .125});
  const auto twelve = alibi_slopes(12);
  near({twelve.end() - 4, twelve.end()}, {.707107, .353553, .176777, .088388});
  EXPECT_EQ(alibi_slopes(8).front(), 0.5);
  EXPECT_EQ(alibi_slopes(8).back(), 1.0 / 256);
  EXPECT_EQ(alibi_slopes(4, 16).front(), 1.0 / 16);
}

TEST(Golden, GaussianPoolingOfTheTable) {  // (weight, height) -> age
  const Tensor k = Tensor::of(std::vector<float>{50, 160, 65, 165, 60, 175}, {3, 1, 2});
  const Tensor v = Tensor::of(std::vector<float>{50, 23, 21}, {3, 1, 1});
  const Tensor q = Tensor::of(std::vector<float>{63, 170}, {1, 1, 2});
  const auto age = [&](double width) {
    return attend(q, k, v, {.score = Gaussian{.width = width}}).data()[0];
  };
  EXPECT_NEAR(age(1), 22.848284, 1e-5);
  EXPECT_NEAR(age(10), 25.715402, 1e-5);
  EXPECT_NEAR(age(std::sqrt(5 / (2 * std::log(1.5)))), 22.2, 1e-5);
}

TEST(Golden, T5Buckets) {
  // mesh-tensorflow's _relative_position_bucket for relative = key − query.
  const auto both = t5_buckets(32, 128, true), one = t5_buckets(32, 128, false);
  EXPECT_EQ(both(0), 0);
  EXPECT_EQ(both(-7), 7);
  EXPECT_EQ(both(-8), 8);
  EXPECT_EQ(both(7), 23);
  EXPECT_EQ(both(-1000), 15);
  EXPECT_EQ(both(1000), 31);
  EXPECT_EQ(one(5), 0);
  EXPECT_EQ(one(-15), 15);
  EXPECT_EQ(one(-16), 16);
  EXPECT_EQ(one(-127), 31);
}

TEST(Golden, SwinTable) {
  // A 2 × 2 window, one head; the table holds its own index: (Δrow + 1)·3 + Δcol + 1.
  std::vector<float> index(9);
  for (std::size_t n = 0; n < 9; ++n) index[n] = static_cast<float>(n);
  const Tensor b = window_bias(Tensor::of(index, {1, 9}), 2, 2);
  const std::vector<float> want{4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4};
  for (std::size_t n = 0; n < 16; ++n) EXPECT_EQ(b.data()[n], want[n]);
}

}  // namespace
}  // namespace qkv

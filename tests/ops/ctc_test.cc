#include "qkv/ops/ctc.h"

#include <cmath>
#include <limits>

#include "golden/fill.h"
#include <gtest/gtest.h>

#include "qkv/autograd/check.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"

namespace qkv {
namespace {

using testing::Fill;
using Text = std::vector<std::int32_t>;

Tensor logits(DType type) { return Fill(21).tensor({5, 4}, 6, 0, type); }

double loss(const Tensor& x, const Text& text) {
  const auto size = static_cast<std::int64_t>(text.size());
  return ctc_loss(x, Segments({x.dim(0)}), text, Segments({size})).nll.at(0);
}

TEST(Ctc, GivesThePublishedLosses) {
  for (const DType type : {DType::f64, DType::f32}) {
    const Tensor x = logits(type);
    for (const auto& [text, want] :
         std::vector<std::pair<Text, double>>{{{1, 2}, 4.992098},
                                              {{1, 1}, 5.962479},
                                              {{}, 13.900423},
                                              {{3}, 8.144987},
                                              {{1, 2, 3}, 9.126274},
                                              {{3, 3, 3}, 17.068833},
                                              {{1, 2, 1, 2, 1}, 8.303628}}) {
      EXPECT_NEAR(loss(x, text), want, 1e-5) << text.size();
    }
    const auto even = [&](std::int64_t rows) { return Tensor::zeros({rows, 4}, type); };
    EXPECT_NEAR(loss(even(3), {1}), 2.367124, 1e-5);
    EXPECT_NEAR(loss(even(4), {1, 1}), 3.935740, 1e-5);
    EXPECT_NEAR(loss(even(10), {1, 2, 3}), 6.415192, 1e-5);
  }
}

/// dlogits of Σ nll.
Tensor slopes(const Tensor& x, const Segments& rows, const Text& labels, const Segments& texts) {
  const Tensor p = parameter(x.clone());
  Tape tape;
  Tensor sum;
  {
    const Recording on(tape);
    sum = ctc_loss(p, rows, labels, texts).loss;
  }
  tape.backward(sum);
  return gradient_of(p).clone();
}

TEST(Ctc, GivesThePublishedGradient) {
  const std::vector<double> want = {.142591,  -.850204, .131124,  .576490,  -.909114,
                                    -.015785, .048124,  .876775,  -.044812, -.027462,
                                    .056028,  .016245,  -.007201, -.395913, .383872,
                                    .019243,  -.130633, -.025983, .142644,  .013972};
  const Tensor d = slopes(logits(DType::f64), Segments({5}), {1, 1}, Segments({2}));
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(d.values<double>()[i], want[i], 1e-6);
}

TEST(Ctc, HasTheGradientOfItsLoss) {
  const std::vector<Tensor> inputs = {Fill(4).tensor({9, 3}, 4, 0, DType::f64)};
  const Text labels = {1, 1, 2};
  const auto check = check_gradients(
      [&](std::span<const Tensor> x) {
        return ctc_loss(x[0], Segments({4, 2, 3}), labels, Segments({2, 0, 1}), 0.5).loss;
      },
      inputs);
  EXPECT_LT(check.worst, 1e-6) << check.where;
}

TEST(Ctc, ImpossibleTextsCountAsNothing) {
  const Tensor x = logits(DType::f64);
  EXPECT_EQ(ctc_rows(Text{1, 1, 2, 2}), 6);
  const CtcResult r = ctc_loss(x, Segments({5}), Text{1, 1, 2, 2}, Segments({4}));
  EXPECT_EQ(r.impossible, 1);
  EXPECT_EQ(r.nll_sum, 0);
  EXPECT_EQ(r.loss.item(), 0);
  for (const double d : slopes(x, Segments({5}), {1, 1, 2, 2}, Segments({4})).values<double>()) {
    EXPECT_EQ(d, 0);
  }
  // Beside a possible one it changes nothing.
  const Tensor d = slopes(x, Segments({2, 3}), {1, 1, 2}, Segments({2, 1}));
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(d.values<double>()[i], 0);
  EXPECT_NE(d.values<double>()[9], 0);
  // No rows: the empty text alone.
  const CtcResult none =
      ctc_loss(Tensor::zeros({0, 4}), Segments({0, 0}), Text{1}, Segments({0, 1}));
  EXPECT_EQ(none.impossible, 1);
  EXPECT_EQ(none.nll_sum, 0);
}

TEST(Ctc, WithoutRoomThereIsOnePath) {
  const Tensor x = logits(DType::f64);
  double path = 0;
  const Text text = {1, 2, 3, 1, 2};
  for (std::size_t t = 0; t < 5; ++t) {
    double sum = 0;
    for (std::size_t l = 0; l < 4; ++l) sum += std::exp(x.values<double>()[t * 4 + l]);
    path += std::log(sum) - x.values<double>()[t * 4 + static_cast<std::size_t>(text[t])];
  }
  EXPECT_NEAR(loss(x, text), path, 1e-12);
}

TEST(Ctc, ASequenceDoesNotFeelItsNeighboursOrThreads) {
  const Tensor x = Fill(4).tensor({12, 3}, 4, 0, DType::f32);
  const Text labels = {1, 1, 2, 2};
  const auto all = [&](int threads) {
    const ThreadScope scope(threads);
    return ctc_loss(x, Segments({4, 5, 3}), labels, Segments({2, 1, 1})).nll;
  };
  EXPECT_EQ(all(1), all(3));
  EXPECT_EQ(all(1)[1], loss(x.rows(4, 9), {2}));
}

TEST(Ctc, WhatIsForbiddenHasAnInfiniteLossWithoutGradient) {
  Tensor x = logits(DType::f64);
  for (std::size_t t = 0; t < 5; ++t) {
    x.values<double>()[t * 4 + 1] = -std::numeric_limits<double>::infinity();
  }
  EXPECT_TRUE(std::isinf(loss(x, {1})));
  EXPECT_TRUE(std::isfinite(loss(x, {2})));
  for (const double d : slopes(x, Segments({5}), {1}, Segments({1})).values<double>()) {
    EXPECT_EQ(d, 0);
  }
}

TEST(Ctc, RefusesWhatDoesNotFit) {
  const Tensor x = logits(DType::f64);
  EXPECT_THROW(loss(x, {0}), Error);
  EXPECT_THROW(loss(x, {4}), Error);
  EXPECT_THROW(ctc_loss(x, Segments({4}), Text{1}, Segments({1})), Error);
  EXPECT_THROW(ctc_loss(x, Segments({5}), Text{1}, Segments({2})), Error);
}

}  // namespace
}  // namespace qkv

// Losses of sentence encoders: their formulas written out, and their gradients by finite
// differences.
#include "qkv/models/sentence_losses.h"

#include <cmath>
#include <vector>

#include "models/helpers.h"
#include <gtest/gtest.h>

#include "qkv/autograd/check.h"
#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::random_tensor;

double at(const Tensor& x, std::int64_t row, std::int64_t column) {
  return x.values<double>()[static_cast<std::size_t>(row * x.dim(1) + column)];
}

double cosine(const Tensor& a, std::int64_t i, const Tensor& b, std::int64_t j) {
  double ab = 0, aa = 0, bb = 0;
  for (std::int64_t c = 0; c < a.dim(1); ++c) {
    ab += at(a, i, c) * at(b, j, c);
    aa += at(a, i, c) * at(a, i, c);
    bb += at(b, j, c) * at(b, j, c);
  }
  return ab / std::sqrt(aa * bb);
}

class SentenceLosses : public ::testing::Test {
 protected:
  const Tensor a_ = random_tensor({4, 5}, 1, DType::f64), b_ = random_tensor({4, 5}, 2, DType::f64),
               more_ = random_tensor({6, 5}, 3, DType::f64);
  const std::vector<double> scores_ = {2.5, 0, 5, 2.5};
};

TEST_F(SentenceLosses, RankingIsTheCrossEntropyOfTheOwnPartner) {
  std::vector<std::uint8_t> hidden(24, 0);
  hidden[0 * 6 + 2] = hidden[3 * 6 + 5] = 1;
  for (const bool hide : {false, true}) {
    double expected = 0;
    for (std::int64_t i = 0; i < 4; ++i) {
      double sum = 0;
      for (std::int64_t j = 0; j < 6; ++j) {
        if (hide && hidden[static_cast<std::size_t>(i * 6 + j)] != 0) continue;
        sum += std::exp(20 * cosine(a_, i, more_, j));
      }
      expected += std::log(sum) - 20 * cosine(a_, i, more_, i);
    }
    const SentenceLossResult r =
        ranking_loss(a_, more_, hide ? hidden : std::vector<std::uint8_t>(), 20, 0.25);
    EXPECT_NEAR(r.sum, expected, 1e-9);
    EXPECT_NEAR(r.loss.item(), 0.25 * expected, 1e-9);
  }
}

TEST_F(SentenceLosses, CosentComparesPairsOfUnequalScore) {
  double sum = 1;
  int terms = 0;
  for (std::int64_t i = 0; i < 4; ++i) {
    for (std::int64_t j = 0; j < 4; ++j) {
      if (!(scores_[static_cast<std::size_t>(i)] > scores_[static_cast<std::size_t>(j)])) continue;
      sum += std::exp(20 * (cosine(a_, j, b_, j) - cosine(a_, i, b_, i)));
      ++terms;
    }
  }
  EXPECT_EQ(terms, 5) << "one of six pairs has equal scores";
  const SentenceLossResult r = cosent_loss(a_, b_, scores_, 20, 0.5);
  EXPECT_NEAR(r.sum, 4 * std::log(sum), 1e-9);
  EXPECT_NEAR(r.loss.item(), 2 * std::log(sum), 1e-9);
  EXPECT_EQ(cosent_loss(a_, b_, std::vector<double>(4, 1.0), 20).sum, 0.0);
}

TEST_F(SentenceLosses, CosineIsTheSquaredError) {
  double sum = 0;
  for (std::int64_t i = 0; i < 4; ++i) {
    sum += std::pow(cosine(a_, i, b_, i) - scores_[static_cast<std::size_t>(i)], 2);
  }
  EXPECT_NEAR(cosine_loss(a_, b_, scores_).sum, sum, 1e-9);
  EXPECT_NEAR(cosine_loss(a_, b_, scores_, 3).loss.item(), 3 * sum, 1e-9);
}

TEST_F(SentenceLosses, GradientsAgreeWithFiniteDifferences) {
  std::vector<std::uint8_t> hidden(24, 0);
  hidden[1 * 6 + 2] = 1;
  const auto check = [this](const char* name, const auto& loss, const Tensor& b) {
    const Tensor inputs[] = {a_, b};
    const GradientCheck r =
        check_gradients([&](std::span<const Tensor> x) { return loss(x[0], x[1]); }, inputs, {});
    EXPECT_FALSE(r.where.empty()) << name;
    EXPECT_LT(r.worst, 1e-6) << name << ": " << r.where;
  };
  check(
      "ranking", [&](auto a, auto b) { return ranking_loss(a, b, hidden, 5).loss; }, more_);
  check(
      "cosent", [&](auto a, auto b) { return cosent_loss(a, b, scores_, 5).loss; }, b_);
  check(
      "cosine", [&](auto a, auto b) { return cosine_loss(a, b, scores_).loss; }, b_);
}

TEST_F(SentenceLosses, ShapesThatDoNotFit) {
  EXPECT_THROW(ranking_loss(more_, a_, {}, 20), ShapeError);
  EXPECT_THROW(ranking_loss(a_, b_, std::vector<std::uint8_t>(3), 20), ShapeError);
  EXPECT_THROW(cosent_loss(a_, b_, std::vector<double>(3), 20), ShapeError);
}

}  // namespace
}  // namespace qkv

#include "qkv/nn/sagan_attention.h"

#include <span>

#include "golden/fill.h"
#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/attention/observer.h"
#include "qkv/autograd/check.h"
#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::distance;
using testing::Fill;
using testing::random_tensor;

const Grids kFour{{4, 4}};

struct Case {
  SaganForm form;
  std::uint32_t seed;
  double row[8], weights[4], sum, squares;
};

/// γ .7 and weights in the order of the letters: f, g, h, v of the paper, θ, φ, g, o of the code.
SaganAttention filled(SaganForm form, Fill& fill, DType type) {
  Initialiser init(1, type);
  SaganAttention m = SaganAttention::make(init, {.width = 8, .form = form, .spectral = false});
  const bool paper = form == SaganForm::paper;
  const std::int64_t values = paper ? 1 : 4;
  const auto next = [&](std::int64_t in, std::int64_t out) {
    return parameter(fill.tensor({in, out}, type));
  };
  const Tensor first = next(8, 1), second = next(8, 1);
  m.query.module.weight = paper ? second : first;
  m.key.module.weight = paper ? first : second;
  m.value.module.weight = next(8, values);
  m.output.module.weight = next(values, 8);
  m.gamma = parameter(Tensor::full({1}, .7, type));
  return m;
}

TEST(SaganAttention, Golden) {
  const Case cases[] = {
      {SaganForm::paper,
       11,
       {-.504919, -.423176, -.309999, -.857098, .427364, .704460, -.840988, .460306},
       {.037402, .060906, .062593, .048608},
       -10.346512,
       40.238602},
      {SaganForm::released,
       12,
       {-.182841, -.008391, -3.268024, -1.595318, -1.196286, 1.427173, -.460035, 1.258316},
       {.222201, .218901, .260145, .298754},
       -28.570414,
       173.903774}};
  for (const Case& c : cases) {
    for (const DType type : {DType::f64, DType::f32}) {
      Fill fill(c.seed, 2.0);
      const Tensor x = fill.tensor({16, 8}, type);
      const SaganAttention m = filled(c.form, fill, type);
      Tensor y = m(x, kFour);
      if (type == DType::f32) {  // what observers see
        const auto seen = attention_seen([&] { (void)m(x, kFour); });
        ASSERT_EQ(seen.size(), 1u);
        EXPECT_EQ(seen[0].path, "attention");
        for (std::int64_t j = 0; j < 4; ++j) {
          EXPECT_NEAR(number(seen[0].weights, j), c.weights[j], 2e-6);
        }
      }
      const double tolerance = type == DType::f32 ? 1e-4 : 1e-6;
      double sum = 0, squares = 0;
      for (std::int64_t i = 0; i < 128; ++i) {
        sum += number(y, i);
        squares += number(y, i) * number(y, i);
      }
      for (std::int64_t i = 0; i < 8; ++i) EXPECT_NEAR(number(y, i), c.row[i], tolerance);
      EXPECT_NEAR(sum, c.sum, tolerance);
      EXPECT_NEAR(squares, c.squares, 10 * tolerance);
    }
  }
}

TEST(SaganAttention, CountsOfTheReleasedBlock) {
  Initialiser init(1);
  for (const auto& [width, count] : {std::pair{64, 5121}, std::pair{128, 20481},
                                     std::pair{256, 81921}, std::pair{512, 327681}}) {
    EXPECT_EQ(parameter_count(SaganAttention::make(init, {.width = width})), count);
  }
  EXPECT_THROW(SaganAttention::make(init, {.width = 12}), ShapeError);
}

TEST(SaganAttention, AtFirstItIsTheIdentityAndOnlyGammaLearns) {
  for (const SaganForm form : {SaganForm::paper, SaganForm::released}) {
    Initialiser init(1);
    const SaganAttention m = SaganAttention::make(init, {.width = 16, .form = form});
    const Tensor x = random_tensor({16, 16}, 1);
    Tape tape;
    Tensor y;
    {
      const Recording on(tape);
      y = m(x, kFour);
    }
    EXPECT_EQ(distance(y, x), 0);
    tape.backward(y, random_tensor(y.shape(), 2));
    EXPECT_NE(gradient_of(m.gamma).item(), 0);
    for (const Tensor& weight : {m.query.module.weight, m.value.module.weight}) {
      EXPECT_EQ(distance(gradient_of(weight), Tensor::zeros(weight.shape())), 0);
    }
  }
}

SaganAttention looking(SaganForm form, DType type) {
  Initialiser init(1, type);
  SaganAttention m = SaganAttention::make(init, {.width = 8, .form = form});
  m.gamma = parameter(Tensor::full({1}, .7, type));
  return m;
}

TEST(SaganAttention, NeighboursChangeNoBit) {
  const Grids grids{{4, 6}, {2, 2}, {5, 3}};
  const Tensor x = random_tensor({grids.total(), 8}, 1);
  for (const SaganForm form : {SaganForm::paper, SaganForm::released}) {
    const SaganAttention m = looking(form, DType::f32);
    const Tensor y = m(x, grids);
    for (std::int64_t b = 0; b < 3; ++b) {
      const std::int64_t begin = grids.begin(b), end = grids.segments().end(b);
      EXPECT_EQ(distance(m(x.rows(begin, end), Grids{grids[b]}), y.rows(begin, end)), 0);
    }
  }
  const SaganAttention released = looking(SaganForm::released, DType::f32);
  EXPECT_THROW((void)released(x.rows(0, 5), Grids{{1, 5}}), ShapeError);
}

TEST(SaganAttention, Gradients) {
  const Grids grids{{4, 4}, {2, 3}};
  for (const SaganForm form : {SaganForm::paper, SaganForm::released}) {
    const SaganAttention m = looking(form, DType::f64);
    const Tensor inputs[] = {random_tensor({22, 8}, 1, DType::f64),
                             m.query.module.weight,
                             m.key.module.weight,
                             m.value.module.weight,
                             m.output.module.weight,
                             m.gamma};
    const auto check = check_gradients(
        [&](std::span<const Tensor> x) {
          SaganAttention n = m;
          n.config.spectral = false;  // whose gradient is no difference quotient: u and v are held
          n.query.module.weight = x[1];
          n.key.module.weight = x[2];
          n.value.module.weight = x[3];
          n.output.module.weight = x[4];
          n.gamma = x[5];
          return n(x[0], grids);
        },
        inputs);
    EXPECT_LT(check.worst, 1e-7) << check.where;
  }
}

}  // namespace
}  // namespace qkv

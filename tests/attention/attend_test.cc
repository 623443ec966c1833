// Every score × bias × mask × normaliser: gradients by finite differences in double, and the fused
// form against the definition, with dropout, grouped heads and several sequences.
#include <algorithm>
#include <string>

#include "attention/algebra.h"
#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/autograd/check.h"
#include "qkv/autograd/tape.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using testing::random_tensor;
using testing::Row;

/// One line of the crossed table: what attend() gets besides q, k and v, and from which tensors.
struct Combination {
  Row<Score> score;
  Row<Biases> bias;
  testing::MaskRowOfTable mask;
  Row<Normaliser> norm;

  std::string name() const {
    return score.name + " × " + bias.name + " × " + mask.name + " × " + norm.name;
  }
  std::vector<Shape> inputs() const {
    using namespace testing;
    std::vector<Shape> all{{kQueries.total(), kHeads, kDim},
                           {kKeys.total(), kKvHeads, kDim},
                           {kKeys.total(), kKvHeads, kValueDim}};
    for (const auto& more : {score.parameters, bias.parameters, norm.parameters}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  }
  Attention how(std::span<const Tensor> x) const {
    const std::size_t s = 3 + score.parameters.size(), b = s + bias.parameters.size();
    return {.score = score.make(x.subspan(3, s - 3)),
            .bias = bias.make(x.subspan(s, b - s)),
            .mask = mask.mask,
            .norm = norm.make(x.subspan(b))};
  }
  std::vector<Tensor> draw(DType type) const {
    std::vector<Tensor> x;
    for (const Shape& shape : inputs()) x.push_back(random_tensor(shape, 11 + x.size(), type));
    return x;
  }
};

template <class F>
void each_combination(F&& visit) {
  for (const auto& score : testing::scores()) {
    for (const auto& bias : testing::biases()) {
      for (const auto& mask : testing::masks()) {
        for (const auto& norm : testing::normalisers()) visit(Combination{score, bias, mask, norm});
      }
    }
  }
}

TEST(AttendAlgebra, EveryCombinationHasExactGradients) {
  int count = 0;
  each_combination([&](const Combination& c) {
    if (c.norm.name == "boxcar") return;  // steps: differences mean nothing
    if (++count % QKV_SWEEP != 0) return;
    const GradientCheck check = check_gradients(
        [&](std::span<const Tensor> x) {
          Attention how = c.how(x);
          how.dropout = count % 3 == 0 ? 0.3 : 0.0;
          return attend(x[0], x[1], x[2], how);
        },
        c.draw(DType::f64), {.step = 1e-6, .most = 3});
    EXPECT_LT(check.worst, 2e-5) << c.name() << ": " << check.where;
  });
  EXPECT_GT(count, 9000);
}

/// The value and all gradients in one list.
std::vector<Tensor> evaluate(const Combination& c, const std::vector<Tensor>& inputs,
                             double dropout, Execution run) {
  std::vector<Tensor> x;
  for (const Tensor& input : inputs) x.push_back(parameter(input.clone()));
  Tape tape;
  Tensor y;
  {
    const Recording on(tape, 3);
    Attention how = c.how(x);
    how.dropout = dropout;
    how.run = run;
    y = attend(x[0], x[1], x[2], how);
  }
  tape.backward(y, random_tensor(y.shape(), 5, y.dtype()));
  std::vector<Tensor> all{y};
  for (const Tensor& p : x) {
    const Tensor g = gradient_of(p);
    all.push_back(g.defined() ? g : Tensor::zeros(p.shape(), p.dtype()));
  }
  return all;
}

TEST(AttendAlgebra, EveryCombinationIsFusedAsDefined) {
  int count = 0;
  each_combination([&](const Combination& c) {
    // A cap makes ties among large scores in float; which of them is the largest is then open.
    if (c.norm.name == "hard" && c.bias.name == "two") return;
    if (++count % QKV_SWEEP != 0) return;
    const double dropout = count % 4 == 0 ? 0.4 : 0.0;
    const std::vector<Tensor> inputs = c.draw(DType::f32);
    std::vector<Tensor> wide;
    for (const Tensor& x : inputs) wide.push_back(x.to(DType::f64));
    const auto fused = evaluate(c, inputs, dropout, Execution::automatic);
    const auto exact = evaluate(c, wide, dropout, Execution::automatic);
    for (std::size_t n = 0; n < fused.size(); ++n) {
      double most = 1;
      for (const double x : exact[n].values<double>()) most = std::max(most, std::abs(x));
      // Where a weight starts as a root or its sum may be small, roundings of scores grow.
      const bool window = c.norm.name == "triangular" || c.norm.name == "epanechnikov";
      const double tolerance = window ? 2e-3 : c.norm.name == "entmax 1.5" ? 1e-4 : 2e-5;
      EXPECT_LT(testing::distance(fused[n], exact[n]), tolerance * most)
          << c.name() << ", output " << n;
    }
  });
}

TEST(AttendAlgebra, LseAndEntropyAreDifferentiable) {
  for (const auto& score : testing::scores()) {
    for (const auto& norm : testing::normalisers()) {
      if (norm.name != "softmax" && norm.name != "sink") continue;
      const Combination c{score, testing::biases().back(), testing::masks()[2], norm};
      const GradientCheck check = check_gradients(
          [&](std::span<const Tensor> x) {
            const Attended y = attend_with_entropy(x[0], x[1], x[2], c.how(x));
            std::vector<std::int64_t> seeing{0, 2, 3, 5, 6};  // row 1, 4 see nothing: lse is −inf
            const Tensor lse = select_rows(y.lse, seeing), entropy = select_rows(y.entropy, seeing);
            return multiply(lse, entropy);
          },
          c.draw(DType::f64), {.step = 1e-6, .most = 8});
      EXPECT_LT(check.worst, 1e-5) << c.name() << ": " << check.where;
    }
  }
}

TEST(AttendAlgebra, EntropyIsThatOfTheWeights) {
  const Tensor q = random_tensor({2, 1, 4}, 1), k = random_tensor({3, 1, 4}, 2),
               v = random_tensor({3, 1, 1}, 3);
  const Attended y = attend_with_entropy(q, k, v);
  EXPECT_LT(testing::distance(y.out, attend(q, k, v)), 1e-6);
  // All scores equal: log 3.
  const Attended flat = attend_with_entropy(Tensor::zeros({2, 1, 4}), k, v);
  EXPECT_NEAR(flat.entropy.data()[0], std::log(3.0), 1e-6);
  EXPECT_NEAR(flat.lse.data()[0], std::log(3.0), 1e-6);
}

TEST(AttendAlgebra, RowsThatSeeNothing) {
  for (const auto& norm : testing::normalisers()) {
    for (const auto& bias : testing::biases()) {
      const Combination c{testing::scores()[0], bias, {"none", window(0)}, norm};
      for (const Tensor& x : evaluate(c, c.draw(DType::f32), 0.2, Execution::automatic)) {
        EXPECT_EQ(testing::distance(x, Tensor::zeros(x.shape())), 0.0) << c.name();
      }
    }
  }
}

TEST(AttendAlgebra, RejectsWhatDoesNotFit) {
  const Tensor q = random_tensor({2, 2, 4}, 1), k = random_tensor({3, 2, 4}, 2),
               v = random_tensor({3, 2, 1}, 3);
  const auto attention = [&](const Attention& how) { return attend(q, k, v, how); };
  EXPECT_THROW(attention({.score = General{.weight = Tensor::zeros({3, 4})}}), ShapeError);
  EXPECT_THROW(attention({.score = Additive{.weight = Tensor::zeros({5})}}), ShapeError);
  EXPECT_THROW(
      attention({.score = Concat{.matrix = Tensor::zeros({7, 5}), .weight = Tensor::zeros({5})}}),
      ShapeError);
  EXPECT_THROW(attention({.score = Gaussian{.width = 0.0}}), ShapeError);
  EXPECT_THROW(attention({.bias = {SoftCap{.cap = 0.0}}}), ShapeError);
  EXPECT_THROW(attention({.bias = {Alibi{.slopes = Tensor::zeros({3})}}}), ShapeError);
  EXPECT_THROW(attention({.bias = {TensorBias{.tensor = Tensor::zeros({2, 1, 2})}}}), ShapeError);
  EXPECT_THROW(attention({.bias = {DistanceBias{.table = Tensor::zeros({3, 4})}}}), ShapeError);
  EXPECT_THROW(attention({.norm = SoftmaxSink{.sink = Tensor::zeros({3})}}), ShapeError);
  EXPECT_THROW(attention({.norm = Entmax{.alpha = 2.0}}), ShapeError);
  EXPECT_THROW(attend_with_lse(q, k, v, {.norm = Relu{}}), ShapeError);
  EXPECT_THROW(t5_buckets(2, 128), ShapeError);
}

}  // namespace
}  // namespace qkv

#include "qkv/nn/feed_forward.h"

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/autograd/check.h"
#include "qkv/nn/classification_head.h"
#include "qkv/nn/rms_norm.h"

namespace qkv {
namespace {

using testing::distance;
using testing::random_tensor;

std::vector<std::string> names_of(const auto& module) {
  std::vector<std::string> names;
  for_each_parameter(module,
                     [&](std::string_view path, const Tensor&) { names.emplace_back(path); });
  return names;
}

/// f(module, x) against finite differences in x and in every parameter.
template <class M>
double worst_gradient(const M& module, const Tensor& x) {
  std::vector<Tensor> inputs{x};
  for_each_parameter(module, [&](std::string_view, const Tensor& p) { inputs.push_back(p); });
  const auto run = [&](std::span<const Tensor> at) {
    M copy = module;
    std::size_t i = 1;
    for_each_parameter(copy, [&](std::string_view, Tensor& p) { p = at[i++]; });
    return copy(at[0]);
  };
  const GradientCheck check = check_gradients(run, inputs);
  EXPECT_FALSE(check.where.empty()) << "nothing was checked";
  return check.worst;
}

TEST(Blocks, GradientsByDifferences) {
  Initialiser init(5, DType::f64);
  const Tensor x = random_tensor({4, 5}, 1, DType::f64);
  for (const Activation a : {Activation::silu, Activation::gelu, Activation::gelu_tanh,
                             Activation::quick_gelu, Activation::relu, Activation::tanh}) {
    for (const double dropout : {0.0, 0.3}) {
      EXPECT_LT(worst_gradient(GatedFeedForward::make(init, 5, 7, a, dropout), x), 1e-6);
    }
    EXPECT_LT(worst_gradient(FeedForwardBlock{FeedForward::make(init, 5, 7, a, 0.3)}, x), 1e-6);
    auto head = ClassificationHead::make(init, 5, 3, a);
    head.input_dropout = head.dropout = 0.3;
    EXPECT_LT(worst_gradient(head, x), 1e-6);
  }
  RmsNorm norm{random_tensor({5}, 2, DType::f64), 1e-2};
  EXPECT_LT(worst_gradient(norm, x), 1e-6);
}

TEST(GatedFeedForward, IsThreeProductsAndAGate) {
  Initialiser init(1);
  const Tensor x = random_tensor({5, 6}, 1);
  for (const Activation activation : {Activation::silu, Activation::gelu, Activation::sigmoid}) {
    const auto m = GatedFeedForward::make(init, 6, 11, activation, 0.0);
    const Tensor gate = activate(m.gate(x), activation);
    EXPECT_LT(distance(m(x), m.down(multiply(gate, m.up(x)))), 1e-6);
    EXPECT_EQ(parameter_count(m), 3 * 6 * 11 + 2 * 11 + 6);
  }
  EXPECT_EQ(parameter_count(GatedFeedForward::make(init, 6, 11, Activation::silu, 0.0, false)),
            3 * 6 * 11);
}

TEST(GatedFeedForward, DropsTheProductWhileTraining) {
  Initialiser init(1);
  const auto m = GatedFeedForward::make(init, 6, 11, Activation::silu, 0.5);
  const Tensor x = random_tensor({5, 6}, 1);
  const Tensor quiet = m(x);
  EXPECT_EQ(distance(quiet, m(x)), 0.0);
  Tape tape;
  const Recording on(tape);
  EXPECT_GT(distance(quiet, m(x)), 1e-3);
}

TEST(FeedForwardBlock, HasTheParametersOfItsKind) {
  Initialiser init(1);
  FeedForwardBlock plain{FeedForward::make(init, 6, 11, Activation::relu, 0.0)};
  FeedForwardBlock gated{GatedFeedForward::make(init, 6, 11, Activation::silu, 0.0, false)};
  EXPECT_EQ(names_of(plain),
            (std::vector<std::string>{"inner.weight", "inner.bias", "outer.weight", "outer.bias"}));
  EXPECT_EQ(names_of(gated), (std::vector<std::string>{"gate.weight", "up.weight", "down.weight"}));
  const Tensor x = random_tensor({5, 6}, 1);
  EXPECT_EQ(distance(plain(x), std::get<FeedForward>(plain.kind)(x)), 0.0);
  EXPECT_EQ(distance(gated(x), std::get<GatedFeedForward>(gated.kind)(x)), 0.0);
}

TEST(ClassificationHead, IsTwoProductsAndAnActivation) {
  Initialiser init(1);
  const Tensor x = random_tensor({5, 6}, 1);
  for (const Activation activation : {Activation::tanh, Activation::relu}) {
    auto m = ClassificationHead::make(init, 6, 3, activation);
    const Tensor quiet = m(x);
    EXPECT_LT(distance(quiet, m.out(activate(m.dense(x), activation))), 1e-6);
    EXPECT_EQ(parameter_count(m), 6 * 6 + 6 + 6 * 3 + 3);
    m.input_dropout = 0.5;
    EXPECT_EQ(distance(quiet, m(x)), 0.0);
    Tape tape;
    const Recording on(tape);
    EXPECT_GT(distance(quiet, m(x)), 1e-3);
  }
}

}  // namespace
}  // namespace qkv

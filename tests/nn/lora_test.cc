#include "qkv/nn/lora.h"

#include <algorithm>
#include <string>
#include <vector>

#include "nn/random_tensor.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/autograd/check.h"
#include "qkv/nn/layer_path.h"
#include "qkv/nn/transformer_layers.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using testing::distance;
using testing::random_tensor;

/// Two layers and a head.
struct Network {
  std::vector<EncoderLayer> layers;
  Linear head;

  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("layers", m.layers);
    visit("head", m.head);
  }
  static Network make(DType type = DType::f32) {
    Initialiser init(1, type);
    const LayerConfig layer{
        .attention = {.width = 8, .heads = 2}, .feed_forward = 12, .activation = Activation::gelu};
    Network m;
    m.layers = {EncoderLayer::make(init, layer), EncoderLayer::make(init, layer)};
    m.head = Linear::make(init, 8, 3);
    return m;
  }
  Tensor operator()(const Tensor& x) const {
    ResidualStream stream(x, NormPlacement::post, 0.0);
    for (const EncoderLayer& layer : layers) layer(stream, everything());
    return head(stream.finish({}));
  }
};

/// Adapters as they are after some learning.
void draw_all(Network& m, std::uint64_t seed) {
  for_each_parameter(m, [&](std::string_view path, Tensor& p) {
    if (is_lora(path)) p = parameter(scale(random_tensor(p.shape(), seed++, p.dtype()), 0.3));
  });
}

std::vector<std::string> adapted(const Network& m) {
  std::vector<std::string> paths;
  for_each_parameter(m, [&](std::string_view path, const Tensor&) {
    if (path.ends_with(".lora_A.weight")) paths.emplace_back(path.substr(0, path.size() - 14));
  });
  return paths;
}

TEST(LayerPath, IsTheFirstNumberAndWhatStandsBefore) {
  const auto of = [](const char* path) { return layer_path(path); };
  EXPECT_EQ(of("bert.encoder.layer.11.output.dense.weight")->layer, 11);
  EXPECT_EQ(of("bert.encoder.layer.11.output.dense.weight")->stack, "bert.encoder.layer");
  EXPECT_EQ(of("blocks.0.norm_1.weight")->stack, "blocks");
  EXPECT_EQ(of("3.x")->stack, "");
  EXPECT_FALSE(of("norm_f.weight"));
  EXPECT_FALSE(of("norm_1.weight"));
  EXPECT_FALSE(of(""));
  EXPECT_TRUE(has_part("bert.encoder.layer", "encoder"));
  EXPECT_FALSE(has_part("bert.encoders.layer", "encoder"));
}

TEST(Lora, StandsBesideQueriesAndValuesOrBesideAllProductsOfLayers) {
  Network m = Network::make();
  add_lora(m, {.rank = 2}, 7);
  EXPECT_EQ(adapted(m), (std::vector<std::string>{"layers.0.self.q", "layers.0.self.v",
                                                  "layers.1.self.q", "layers.1.self.v"}));
  const std::int64_t before = parameter_count(Network::make());
  EXPECT_EQ(parameter_count(m), before + 4 * 2 * (8 + 8));
  Network all = Network::make();
  add_lora(all, {.rank = 2, .targets = LoraTargets::all}, 7);
  EXPECT_EQ(adapted(all).size(), 12U);
  EXPECT_FALSE(all.head.lora.a.defined());
  Linear alone = all.head;
  EXPECT_THROW(add_lora(alone, {.rank = 2}, 7), Error);
}

TEST(Lora, BeginsWithTheBitsOfTheNetwork) {
  const Network base = Network::make();
  Network m = base;
  add_lora(m, {.rank = 3, .dropout = 0.5, .targets = LoraTargets::all}, 7);
  const Tensor x = random_tensor({5, 8}, 2);
  EXPECT_TRUE(std::ranges::equal(base(x).values(), m(x).values()));
  draw_all(m, 9);
  EXPECT_GT(distance(base(x), m(x)), 0.1);
}

// y = x·(W + α/R·A·B) + b, by the formula.
TEST(Lora, IsTheFormula) {
  Initialiser init(1, DType::f64);
  Linear m = Linear::make(init, 4, 6);
  const Tensor x = random_tensor({3, 4}, 2, DType::f64), a = random_tensor({4, 2}, 3, DType::f64),
               b = random_tensor({2, 6}, 4, DType::f64);
  m.lora = {.a = a, .b = b, .scale = LoraOptions{.rank = 2, .alpha = 5}.scale()};
  const Tensor change = scale(matmul(a, b), 2.5);
  EXPECT_LT(distance(m(x), linear(x, add(m.weight, change), m.bias)), 1e-12);
  EXPECT_LT(
      distance(m(x, Activation::gelu), linear(x, add(m.weight, change), m.bias, Activation::gelu)),
      1e-12);
  EXPECT_EQ((LoraOptions{.rank = 4}.scale()), 2.0);
}

TEST(Lora, HasTheGradientsOfFiniteDifferences) {
  for (const Activation activation : {Activation::none, Activation::gelu}) {
    const std::vector<Tensor> inputs = {random_tensor({3, 4}, 1, DType::f64),
                                        random_tensor({4, 2}, 2, DType::f64),
                                        random_tensor({2, 5}, 3, DType::f64)};
    const GradientCheck check = check_gradients(
        [activation](std::span<const Tensor> in) {
          Linear m;
          m.weight = random_tensor({4, 5}, 4, DType::f64);
          m.lora = {.a = in[1], .b = in[2], .scale = 1.7, .dropout = 0.3};
          return m(in[0], activation, 0.2);
        },
        inputs);
    EXPECT_LT(check.worst, 1e-7) << check.where;
  }
}

TEST(Lora, MergesIntoTheMatrices) {
  const Network base = Network::make();
  Network m = base;
  add_lora(m, {.rank = 2, .targets = LoraTargets::all}, 7);
  draw_all(m, 9);
  const Tensor x = random_tensor({5, 8}, 2), apart = m(x);
  const Tensor before = base.layers[0].self.q.weight.clone();
  merge_lora(m);
  EXPECT_EQ(adapted(m).size(), 0U);
  EXPECT_EQ(parameter_count(m), parameter_count(base));
  EXPECT_LT(distance(m(x), apart), 2e-6);
  EXPECT_EQ(distance(base.layers[0].self.q.weight, before), 0) << "the base is not touched";
}

TEST(Lora, ComesBackFromItsEntries) {
  Network m = Network::make(), other = Network::make();
  for (Network* n : {&m, &other}) add_lora(*n, {.rank = 2}, 7);
  draw_all(m, 9);
  const StateDict state = read_state(lora_entries(m));
  ASSERT_EQ(state.size(), 8U);
  EXPECT_EQ(state[0].first, "base_model.model.layers.0.self.q.lora_A.weight");
  EXPECT_EQ(state[0].second.shape(), (Shape{2, 8}));
  write_state(lora_entries(other), state);
  const Tensor x = random_tensor({5, 8}, 2);
  EXPECT_TRUE(std::ranges::equal(other(x).values(), m(x).values()));
}

// A frozen part costs nothing on the tape, and frozen parameters get no gradient anywhere.
TEST(Frozen, PartsLeaveNothingOnTheTape) {
  const Network m = Network::make();
  const Tensor x = random_tensor({5, 8}, 2);
  const auto steps = [&] {
    Tape tape;
    Tensor y;
    {
      const Recording on(tape);
      y = sum(m(x));
    }
    const std::size_t size = tape.size();
    tape.backward(y);
    return size;
  };
  const std::size_t all = steps();
  for_each_parameter(m, [](std::string_view path, const Tensor& p) {
    EXPECT_TRUE(gradient_of(p).defined()) << path;
    clear_gradient(p);
    set_frozen(p, !path.starts_with("head"));
  });
  EXPECT_EQ(steps(), 2U) << "the head and the sum";
  EXPECT_GT(all, 10U);
  for_each_parameter(m, [](std::string_view path, const Tensor& p) {
    EXPECT_EQ(gradient_of(p).defined(), path.starts_with("head")) << path;
    set_frozen(p, false);
  });
  EXPECT_EQ(steps(), all);
}

// What learns above and below a frozen part gets the gradients that it would have got anyway.
TEST(Frozen, ChangesNoOtherGradient) {
  const Network whole = Network::make(), part = Network::make();
  const Tensor x = random_tensor({5, 8}, 2);
  for (const Network* m : {&whole, &part}) {
    if (m == &part) {
      for_each_parameter(m->layers[1],
                         [](std::string_view, const Tensor& p) { set_frozen(p, true); });
    }
    Tape tape;
    Tensor y;
    {
      const Recording on(tape);
      y = sum((*m)(x));
    }
    tape.backward(y);
  }
  std::vector<Tensor> expected;
  for_each_parameter(whole.layers[0], [&](std::string_view, const Tensor& p) {
    expected.push_back(gradient_of(p));
  });
  std::size_t i = 0;
  for_each_parameter(part.layers[0], [&](std::string_view path, const Tensor& p) {
    EXPECT_TRUE(std::ranges::equal(gradient_of(p).values(), expected[i++].values())) << path;
  });
}

}  // namespace
}  // namespace qkv

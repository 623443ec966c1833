// RMS norm, rotary positions, grouped heads and the gated block put together as Llama does, against
// transformers: states after every layer, logits, loss and gradients.
#include <algorithm>
#include <string>
#include <vector>

#include "golden/golden.h"
#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/autograd/tape.h"
#include "qkv/nn/feed_forward.h"
#include "qkv/nn/multi_head.h"
#include "qkv/nn/positions.h"
#include "qkv/nn/residual.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/loss.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using testing::distance;
using testing::Golden;

struct Layer {
  RmsNorm norm1, norm2;
  MultiHead self;
  FeedForwardBlock feed_forward;
};

struct Family {
  std::string model;
  MultiHead::Config attention;  // without the width
  double eps = 1e-6;
  bool tied = false;
};

struct Llama {
  Tensor table, output;  // [V C]
  std::vector<Layer> layers;
  RmsNorm norm;

  explicit Llama(const Family& family) {
    const Golden weights(family.model, "model.safetensors");
    const auto linear_of = [&](const std::string& name) {
      Linear linear{parameter(weights.matrix(name + ".weight")), {}};
      if (weights.has(name + ".bias")) linear.bias = parameter(weights[name + ".bias"]);
      return linear;
    };
    table = parameter(weights["model.embed_tokens.weight"]);
    output = family.tied ? table : parameter(weights["lm_head.weight"]);
    MultiHead::Config attention = family.attention;
    attention.width = table.dim(1);
    for (const std::string at : {"model.layers.0.", "model.layers.1."}) {
      Layer layer;
      layer.norm1 = {parameter(weights[at + "input_layernorm.weight"]), family.eps};
      layer.norm2 = {parameter(weights[at + "post_attention_layernorm.weight"]), family.eps};
      auto blank = Initialiser::blank();
      layer.self = MultiHead::make(blank, attention);
      layer.self.q = linear_of(at + "self_attn.q_proj");
      layer.self.k = linear_of(at + "self_attn.k_proj");
      layer.self.v = linear_of(at + "self_attn.v_proj");
      layer.self.o = linear_of(at + "self_attn.o_proj");
      GatedFeedForward gated;
      gated.gate = linear_of(at + "mlp.gate_proj");
      gated.up = linear_of(at + "mlp.up_proj");
      gated.down = linear_of(at + "mlp.down_proj");
      layer.feed_forward.kind = std::move(gated);
      layers.push_back(std::move(layer));
    }
    norm = {parameter(weights["model.norm.weight"]), family.eps};
  }

  /// The states after `depth` layers, [T C]; after all of them normed.
  Tensor states(std::span<const std::int32_t> ids, const Segments& segments,
                std::size_t depth = 2) const {
    const Mask mask = qkv::segments(segments, segments) & causal();
    const std::vector<std::int32_t> at = places(segments);
    ResidualStream stream(embed(ids, table), NormPlacement::pre, 0.0);
    for (std::size_t l = 0; l < depth; ++l) {
      stream.sub_layer(layers[l].norm1,
                       [&](const Tensor& x) { return layers[l].self(x, x, mask, at); });
      stream.sub_layer(layers[l].norm2, [&](const Tensor& x) { return layers[l].feed_forward(x); });
    }
    return depth == layers.size() ? stream.finish(norm) : stream.finish({});
  }
};

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {"llama", {.heads = 4, .kv_heads = 2, .rotary = RotaryOptions{}}},
      {"llama-one-key", {.heads = 4, .kv_heads = 1, .rotary = RotaryOptions{}}, 1e-3, true},
      {"llama-all-keys", {.heads = 4, .kv_heads = 4, .rotary = RotaryOptions{.base = 500}}},
      {"llama-head-dim", {.heads = 2, .kv_heads = 1, .head_dim = 6, .rotary = RotaryOptions{}}},
      {"llama-linear", {.heads = 4, .kv_heads = 2, .rotary = RotaryOptions{.scale = 0.25}}},
      {"llama-llama3",
       {.heads = 2,
        .kv_heads = 1,
        .rotary = RotaryOptions{.base = 500000, .bands = RotaryBands{.factor = 8}}}},
  };
  return all;
}

TEST(GoldenLlama, StatesAndLogits) {
  for (const Family& family : families()) {
    const Llama model(family);
    const Golden golden(family.model);
    for (const std::string n : {"0", "1"}) {
      SCOPED_TRACE(family.model + " " + n);
      const std::vector<std::int32_t> ids = golden.ids(n + ".ids");
      const auto segments = Segments::one(std::ssize(ids));
      for (std::size_t depth = 0; depth <= 2; ++depth) {
        EXPECT_LT(distance(model.states(ids, segments, depth),
                           golden[n + ".hidden." + std::to_string(depth)]),
                  1e-5)
            << depth;
      }
      const Tensor out =
          logits(model.states(ids, segments), model.output, VocabularyMatrix::table, {});
      EXPECT_LT(distance(out, golden[n + ".logits"]), 1e-5);
    }
  }
}

TEST(GoldenLlama, LossAndGradientsOfTwoSequencesTogether) {
  for (const Family& family : families()) {
    SCOPED_TRACE(family.model);
    const Llama model(family);
    const Golden golden(family.model);
    std::vector<std::int32_t> ids, labels;
    std::vector<std::int64_t> lengths;
    for (const std::string n : {"0", "1"}) {
      const auto part = golden.ids(n + ".ids"), wanted = golden.ids(n + ".labels");
      ids.insert(ids.end(), part.begin(), part.end());
      labels.insert(labels.end(), wanted.begin(), wanted.end());
      lengths.push_back(std::ssize(part));
    }
    const auto counted =
        static_cast<double>(std::ranges::count_if(labels, [](auto label) { return label >= 0; }));
    Tape tape;
    CrossEntropyResult result;
    {
      const Recording on(tape);
      result = cross_entropy(model.states(ids, Segments(lengths)), model.output,
                             VocabularyMatrix::table, {}, labels, {.scale = 1.0 / counted});
    }
    tape.backward(result.loss);
    EXPECT_NEAR(result.loss_sum / counted, golden.number("loss"), 2e-6);
    EXPECT_LT(distance(gradient_of(model.table), golden["grad.model.embed_tokens.weight"]), 5e-5);
    EXPECT_LT(distance(gradient_of(model.norm.weight), golden["grad.model.norm.weight"]), 1e-5);
    if (golden.has("grad.model.layers.1.self_attn.q_proj.weight")) {
      EXPECT_LT(distance(gradient_of(model.layers[1].self.q.weight),
                         golden.matrix("grad.model.layers.1.self_attn.q_proj.weight")),
                1e-5);
    }
  }
}

}  // namespace
}  // namespace qkv

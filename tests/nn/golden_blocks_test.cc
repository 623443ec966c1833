// Single parts against transformers and torch.
#include <cmath>
#include <vector>

#include "golden/golden.h"
#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/autograd/tape.h"
#include "qkv/nn/classification_head.h"
#include "qkv/nn/feed_forward.h"
#include "qkv/nn/positions.h"
#include "qkv/nn/rms_norm.h"
#include "qkv/ops/embedding.h"

namespace qkv {
namespace {

using testing::distance;
using testing::Golden;

/// y = f(x) and its gradients for dy, which the file has.
template <class F>
Tensor with_gradients(const Golden& golden, const Tensor& x, const F& f) {
  Tape tape;
  Tensor y;
  {
    const Recording on(tape);
    y = f(x);
  }
  tape.backward(y, golden["dy"]);
  return y;
}

TEST(GoldenRmsNorm, IsThatOfLlama) {
  const Golden golden("blocks");
  RmsNorm norm{.weight = parameter(golden["rms.weight"]), .eps = 1e-2};
  const Tensor x = parameter(golden["x"]);
  EXPECT_LT(distance(with_gradients(golden, x, norm), golden["rms"]), 1e-6);
  EXPECT_LT(distance(gradient_of(x), golden["rms.dx"]), 2e-6);
  EXPECT_LT(distance(gradient_of(norm.weight), golden["rms.grad.weight"]), 2e-6);
}

TEST(GoldenGatedFeedForward, IsThatOfT5) {
  const Golden golden("blocks");
  for (const auto& [name, activation] :
       {std::pair{"gated.gelu_new", Activation::gelu_tanh},
        std::pair{"gated.silu", Activation::silu}, std::pair{"gated.relu", Activation::relu}}) {
    SCOPED_TRACE(name);
    const std::string at(name);
    GatedFeedForward block;
    block.activation = activation;
    block.gate.weight = parameter(golden.matrix(at + ".wi_0.weight"));
    block.up.weight = parameter(golden.matrix(at + ".wi_1.weight"));
    block.down.weight = parameter(golden.matrix(at + ".wo.weight"));
    const Tensor x = parameter(golden["x"]);
    EXPECT_LT(distance(with_gradients(golden, x, block), golden[at]), 5e-6);
    EXPECT_LT(distance(gradient_of(x), golden[at + ".dx"]), 1e-5);
    EXPECT_LT(distance(gradient_of(block.gate.weight), golden.matrix(at + ".grad.wi_0.weight")),
              1e-5);
    EXPECT_LT(distance(gradient_of(block.up.weight), golden.matrix(at + ".grad.wi_1.weight")),
              1e-5);
    EXPECT_LT(distance(gradient_of(block.down.weight), golden.matrix(at + ".grad.wo.weight")),
              1e-5);
  }
}

TEST(GoldenRotary, IsThatOfGptNeoxAndGptJ) {
  const Golden golden("blocks");
  const std::vector<std::int32_t> at = golden.ids("places");
  // Their angles are rounded to float: at place 4000 that is 2e-4.
  const Tensor neox = rotary(golden["heads"], at, {.dims = 4});
  const Tensor gptj = rotary(golden["heads"], at, {.interleaved = true});
  EXPECT_LT(distance(neox.rows(0, 5), golden["rotary.neox"].rows(0, 5)), 2e-5);
  EXPECT_LT(distance(neox, golden["rotary.neox"]), 1e-3);
  EXPECT_LT(distance(gptj.rows(0, 5), golden["rotary.gptj"].rows(0, 5)), 2e-5);
  EXPECT_LT(distance(gptj, golden["rotary.gptj"]), 1e-3);
}

TEST(GoldenPositions, AreThoseOfTranslators) {
  struct Case {
    const char* model;
    Sinusoid form;
    std::int64_t first;
    const char* table;
  };
  for (const Case& c :
       {Case{"marian", Sinusoid::halves, 0, "model.shared.weight"},
        Case{"marian-two-tables", Sinusoid::halves, 0, "model.encoder.embed_tokens.weight"},
        Case{"m2m100", Sinusoid::blocks, 2, "model.shared.weight"}}) {
    SCOPED_TRACE(c.model);
    const Golden golden(c.model), weights(c.model, "model.safetensors");
    const std::vector<std::int32_t> ids = golden.ids("0.ids");
    const Tensor table = weights[c.table];
    const auto segments = Segments::one(std::ssize(ids));
    const Tensor x =
        embed(ids, table, {.scale = std::sqrt(static_cast<double>(table.dim(1)))},
              sinusoid(segments.total(), table.dim(1), c.form, c.first), places(segments));
    EXPECT_LT(distance(x, golden["0.encoder.0"]), 1e-6);
  }
}

TEST(GoldenPositions, OfDistilBertAreInterleaved) {
  const Tensor stored =
      Golden("distilbert-masked-sinusoid",
             "model.safetensors")["distilbert.embeddings.position_embeddings.weight"];
  EXPECT_LT(distance(sinusoid(stored.dim(0), stored.dim(1)), stored), 1e-6);
}

TEST(GoldenPositions, OfRobertaBeginBehindThePad) {
  const Golden golden("roberta-masked"), weights("roberta-masked", "model.safetensors");
  const std::string at = "roberta.embeddings.";
  const std::vector<std::int32_t> ids = golden.ids("0.ids");
  const Tensor placed =
      embed(ids, weights[at + "word_embeddings.weight"], {},
            weights[at + "position_embeddings.weight"], places(Segments::one(std::ssize(ids)), 2));
  const Tensor typed =
      embed(std::vector<std::int32_t>(ids.size(), 0), weights[at + "token_type_embeddings.weight"]);
  const Tensor x = layer_norm(add(placed, typed), weights[at + "LayerNorm.weight"],
                              weights[at + "LayerNorm.bias"], 1e-5);
  EXPECT_LT(distance(x, golden["0.hidden.0"]), 2e-6);
}

TEST(GoldenClassificationHead, IsThatOfThreeFamilies) {
  struct Case {
    const char* model;
    const char *dense, *out;
    Activation activation;
  };
  for (const Case& c :
       {Case{"roberta-classes", "classifier.dense", "classifier.out_proj", Activation::tanh},
        Case{"xlm-roberta-classes", "classifier.dense", "classifier.out_proj", Activation::tanh},
        Case{"distilbert-classes", "pre_classifier", "classifier", Activation::relu}}) {
    SCOPED_TRACE(c.model);
    const Golden golden(c.model), weights(c.model, "model.safetensors");
    const auto linear_of = [&](const std::string& name) {
      return Linear{weights.matrix(name + ".weight"), weights[name + ".bias"]};
    };
    const ClassificationHead head{
        .dense = linear_of(c.dense), .out = linear_of(c.out), .activation = c.activation};
    for (const std::string n : {"0", "1"}) {
      const Tensor first = golden[n + ".hidden.2"].rows(0, 1);
      EXPECT_LT(distance(head(first), golden[n + ".logits"]), 2e-6);
    }
  }
}

}  // namespace
}  // namespace qkv

#include "qkv/models/bert.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "models/helpers.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/ops/elementwise.h"

namespace qkv {
namespace {

using testing::check_module;
using testing::expect_near;
using testing::shake;

BertConfig small_config(Activation act = Activation::gelu) {
  BertConfig c;
  c.vocab_size = 11;
  c.hidden_size = 8;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 2;
  c.intermediate_size = 12;
  c.max_position_embeddings = 6;
  c.hidden_act = act;
  return c;
}

BertConfig no_dropout(BertConfig c) {
  c.hidden_dropout_prob = c.attention_probs_dropout_prob = 0;
  return c;
}

const BertRows kRows{.ids = {1, 5, 9, 3}, .types = {0, 0, 1, 1}, .segments = Segments({4})};

TEST(Bert, CountsOfThePublishedSizes) {
  const auto encoder = [](const BertConfig& c) {
    Initialiser init = Initialiser::blank();
    return parameter_count(BertEncoder::make(init, c));
  };
  const auto masked = [](const BertConfig& c) {
    return parameter_count(Bert::make(Initialiser::blank(), c, {.pooler = false, .next = false}));
  };
  EXPECT_EQ(encoder(BertConfig::of("tiny")), 4385920);
  EXPECT_EQ(masked(BertConfig::of("tiny")), 4416698);
  EXPECT_EQ(encoder(BertConfig::of("small")), 28763648);
  EXPECT_EQ(masked(BertConfig::of("small")), 28795194);
  EXPECT_EQ(encoder(BertConfig::of("base")), 109482240);
  EXPECT_EQ(masked(BertConfig::of("base")), 109514298);
  EXPECT_EQ(encoder(BertConfig::of("base", 28996)), 108310272);
  EXPECT_EQ(encoder(BertConfig::of("base", 21128)), 102267648);
  EXPECT_EQ(parameter_count(Bert::make(Initialiser::blank(), BertConfig::of("base"), {})),
            110106428);
  for (const char* size : {"mini", "medium", "large"}) {
    const BertConfig c = BertConfig::of(size);
    const std::int64_t h = c.hidden_size;
    EXPECT_EQ(encoder(c), (c.vocab_size + 514) * h + 2 * h +
                              c.num_hidden_layers * (12 * h * h + 13 * h) + h * h + h);
  }
  EXPECT_THROW((void)BertConfig::of("huge"), Error);
}

/// cos(0), cos(1) … times `scale`, matrices [out, in]; keys and values turned by one and two rows,
/// so that no mistaken exchange of the three goes unseen.
StateDict cos_state(const Bert& model) {
  StateDict state = bert_state(model);
  for (auto& [name, tensor] : state) {
    const double scale = name.find("_embeddings.") != std::string::npos ? 1.0 : 0.3;
    const std::int64_t turn = name.find("key.weight") != std::string::npos     ? 1
                              : name.find("value.weight") != std::string::npos ? 2
                                                                               : 0;
    const std::int64_t n = tensor.count(), row = tensor.dim(-1);
    const double one = name.ends_with("LayerNorm.weight") ? 1.0 : 0.0;
    for (std::int64_t i = 0; i < n; ++i) {
      tensor.data<double>()[(i + turn * row) % n] = one + scale * std::cos(static_cast<double>(i));
    }
  }
  return state;
}

Bert cos_model(Activation act) {
  Bert m = Bert::make({1, DType::f64}, no_dropout(small_config(act)), {});
  load_bert_state(m, cos_state(m));
  return m;
}

// From a reference program of its own in PyTorch (float64), the same numbers in its layout.
TEST(Bert, ForwardPassAsInPyTorch) {
  struct Golden {
    Activation act;
    std::vector<double> first, last, pooled, logits, next;
    double words, pair;
  };
  const Golden goldens[] = {
      {Activation::gelu,
       {3.04557041478953, 0.3472394776443921, -0.8153989945934647, -0.8345441708685933,
        -0.8927057828444713, -0.9088198848545185, 0.6211802937288871, 1.214810175921361},
       {2.679747935826207, 0.45234032261335455, -0.6858253618986146, -0.8025608636107445,
        -0.9639232836578052, -1.2005079166528436, 0.6754119003373369, 1.5982407776993253},
       {0.9743137948632696, -0.527304654767521, -0.9444842868953746, 0.731793719900641,
        0.8002471293722536, -0.9089476888529154, -0.49286628590086506, 0.9688761628998733},
       {3.276916993160665, -0.9011583217716643, -2.792355509293015, 1.5424972792954024,
        1.9361251944600546, -2.374872036500525, -1.1283155569750394, 3.0983041573175827,
        0.5369255956466176, -3.314420100121565, 0.052657718390171804},
       {0.25028267149560557, 0.21652343855664904},
       1.9218956055380683,
       0.7101692509909965},
      {Activation::gelu_tanh,
       {3.0456442523430765, 0.3473014578901103, -0.8153648483220662, -0.8345209269287226,
        -0.8926966844020494, -0.9088553239594824, 0.6210927912344981, 1.2146962176173832},
       {2.67983802223488, 0.4524369639885691, -0.6857719141921967, -0.8025360090844483,
        -0.9639225166825723, -1.2005633046996007, 0.675286261785655, 1.598116622837902},
       {0.9743120326489441, -0.5273145390229771, -0.9444801056478478, 0.7317948440041493,
        0.8002329474750902, -0.9089461148143398, -0.4928384239913232, 0.9688749517042013},
       {3.277271020884694, -0.9016485431123598, -2.7925668825735537, 1.543049010275085,
        1.9361760139883992, -2.3754385559663924, -1.1282015193005097, 3.098837491812451,
        0.5366563575980188, -3.3148750863260847, 0.05305935745505119},
       {0.25029035146232026, 0.21652342345242473},
       1.921720069224849,
       0.7101731634726213}};
  for (const Golden& g : goldens) {
    const Bert m = cos_model(g.act);
    const Tensor h = m.bert(kRows);
    expect_near(h.rows(0, 1), Tensor::of(g.first, {1, 8}), 1e-10);
    expect_near(h.rows(3, 4), Tensor::of(g.last, {1, 8}), 1e-10);
    const Tensor pooled = m.bert.pooled(h, kRows.segments);
    expect_near(pooled, Tensor::of(g.pooled, {1, 8}), 1e-10);
    expect_near(m.word_logits(kRows, std::vector<std::int64_t>{1}), Tensor::of(g.logits, {1, 11}),
                1e-10);
    expect_near(m.next(pooled), Tensor::of(g.next, {1, 2}), 1e-10);
    const BertLoss loss = m.loss(kRows, std::vector<std::int64_t>{1, 2},
                                 std::vector<std::int32_t>{7, 0}, std::vector<std::int32_t>{1});
    EXPECT_NEAR(loss.word_sum, g.words, 1e-10);
    EXPECT_NEAR(loss.next_sum, g.pair, 1e-10);
    EXPECT_NEAR(loss.loss.item(), g.words + g.pair, 1e-10);
    EXPECT_EQ(loss.words, 2);
    EXPECT_EQ(loss.pairs, 1);
  }
}

TEST(Bert, GeluAsPublished) {
  const Tensor x = Tensor::of(std::vector<double>{-2, -1, 0.5, 1}, {4});
  const std::vector<double> erf{-.0455003, -.1586553, .3457312, .8413447};
  const std::vector<double> tanh{-.0454023, -.158808, .345714, .841192};
  expect_near(activate(x, Activation::gelu), Tensor::of(erf, {4}), 1e-6);
  expect_near(activate(x, Activation::gelu_tanh), Tensor::of(tanh, {4}), 1e-6);
}

TEST(Bert, GradientsAgreeWithFiniteDifferences) {
  Bert m = Bert::make({5, DType::f64}, no_dropout(small_config()), {});
  m.bert.config.initializer_range = 1;
  for_each_parameter(m, [&](std::string_view, Tensor& p) {  // 0.02 would leave attention flat
    for (double& x : p.values<double>()) x *= p.shape().rank() > 1 ? 25 : 1;
  });
  shake(m, 9);
  const BertRows rows{{1, 5, 9, 3, 1, 7, 3}, {0, 0, 1, 1, 0, 1, 1}, Segments({4, 3})};
  check_module<Bert>(m, [&](const Bert& b) {
    return b
        .loss(rows, std::vector<std::int64_t>{1, 2, 5}, std::vector<std::int32_t>{7, 0, 10},
              std::vector<std::int32_t>{1, 0}, {.word_scale = 0.5, .next_scale = 2})
        .loss;
  });
}

TEST(Bert, NeighboursAndThreadsChangeNoBit) {
  BertConfig c = BertConfig::of("tiny", 50);
  c.max_position_embeddings = 40;
  const Bert m = Bert::make(3, c, {});
  std::vector<std::int32_t> ids, types;
  for (int i = 0; i < 60; ++i) {
    ids.push_back((i * 7) % 50);
    types.push_back(i % 2);
  }
  const Tensor both = m.bert({ids, types, Segments({33, 27})});
  const BertRows alone{
      {ids.begin() + 33, ids.end()}, {types.begin() + 33, types.end()}, Segments({27})};
  const int before = threads();
  for (const int n : {1, 3}) {
    set_threads(n);
    EXPECT_TRUE(testing::same_bits(m.bert(alone), both.rows(33, 60))) << n << " threads";
  }
  set_threads(before);
}

TEST(Bert, StateHasPublishedNamesAndComesBack) {
  const Bert m = Bert::make(4, small_config(), {});
  StateDict state = bert_state(m);
  const auto shape = [&](std::string_view name) -> std::string {
    for (const auto& [key, tensor] : state) {
      if (key == name) return to_string(tensor.shape());
    }
    return "missing";
  };
  EXPECT_EQ(shape("bert.embeddings.word_embeddings.weight"), "[11, 8]");
  EXPECT_EQ(shape("bert.embeddings.position_embeddings.weight"), "[6, 8]");
  EXPECT_EQ(shape("bert.embeddings.token_type_embeddings.weight"), "[2, 8]");
  EXPECT_EQ(shape("bert.embeddings.LayerNorm.weight"), "[8]");
  EXPECT_EQ(shape("bert.encoder.layer.1.attention.self.query.weight"), "[8, 8]");
  EXPECT_EQ(shape("bert.encoder.layer.0.attention.output.LayerNorm.bias"), "[8]");
  EXPECT_EQ(shape("bert.encoder.layer.0.intermediate.dense.weight"), "[12, 8]") << "[out, in]";
  EXPECT_EQ(shape("bert.encoder.layer.0.output.dense.weight"), "[8, 12]");
  EXPECT_EQ(shape("bert.pooler.dense.bias"), "[8]");
  EXPECT_EQ(shape("cls.predictions.bias"), "[11]");
  EXPECT_EQ(shape("cls.predictions.transform.dense.weight"), "[8, 8]");
  EXPECT_EQ(shape("cls.predictions.transform.LayerNorm.weight"), "[8]");
  EXPECT_EQ(shape("cls.seq_relationship.weight"), "[2, 8]");
  EXPECT_EQ(state.size(), 5U + 2 * 16 + 2 + 5 + 2);

  // As an old file has it.
  for (auto& entry : state) {
    std::string& name = entry.first;
    if (name.ends_with("LayerNorm.weight")) name.replace(name.size() - 6, 6, "gamma");
    if (name.ends_with("LayerNorm.bias")) name.replace(name.size() - 4, 4, "beta");
  }
  state.emplace_back("cls.predictions.decoder.weight", m.bert.words);
  state.emplace_back("bert.embeddings.position_ids", Tensor::zeros({1, 6}));
  Bert other = Bert::make(99, small_config(), {});
  EXPECT_FALSE(testing::same_bits(other.bert(kRows), m.bert(kRows)));
  load_bert_state(other, state);
  EXPECT_TRUE(testing::same_bits(other.bert(kRows), m.bert(kRows)));
  EXPECT_TRUE(
      testing::same_bits(other.transformed(other.bert(kRows)), m.transformed(m.bert(kRows))));
  state.emplace_back("bert.encoder.layer.7.output.dense.bias", Tensor::zeros({8}));
  EXPECT_THROW(load_bert_state(other, state), Error);
}

TEST(Bert, InitialMatricesAreCutNormals) {
  const Bert m = Bert::make(7, BertConfig::of("tiny", 500), {});
  double most = 0, sum = 0, squares = 0;
  const auto values = m.bert.words.values();
  for (const float x : values) {
    most = std::max(most, std::abs(static_cast<double>(x)));
    sum += static_cast<double>(x);
    squares += static_cast<double>(x) * static_cast<double>(x);
  }
  const auto n = static_cast<double>(values.size());
  EXPECT_LE(most, 0.04 + 1e-8);
  EXPECT_GT(most, 0.0395);
  EXPECT_NEAR(sum / n, 0, 4e-4);
  EXPECT_NEAR(std::sqrt(squares / n), 0.02 * 0.8796, 3e-4) << "a normal cut at two deviations";
  EXPECT_EQ(m.word_bias.values()[3], 0);
}

TEST(Bert, RefusesWhatMakesNoSense) {
  const Bert m = Bert::make(4, small_config(), {.pooler = false, .next = false});
  EXPECT_THROW((void)m.bert({{1, 2, 3, 4, 5, 6, 7}, {}, Segments({7})}), ShapeError);
  EXPECT_THROW((void)m.bert({{1, 2}, {}, Segments({3})}), ShapeError);
  EXPECT_THROW((void)m.bert({{1, 11}, {}, Segments({2})}), Error);
  EXPECT_THROW((void)m.bert({{1, 2}, {0, 2}, Segments({2})}), Error);
  EXPECT_THROW((void)m.bert.pooled(m.bert(kRows), kRows.segments), Error);
  EXPECT_THROW((void)m.loss(kRows, {}, {}, std::vector<std::int32_t>{1}), Error);
  EXPECT_THROW((void)m.loss(kRows, {}, {}, {}), Error);
  EXPECT_THROW((void)Bert::make(1, small_config(), {.pooler = false}), Error);
  BertConfig c = small_config();
  c.num_attention_heads = 3;
  EXPECT_THROW(c.check(), Error);
  EXPECT_EQ(m.bert({{}, {}, Segments()}).count(), 0);
}

}  // namespace
}  // namespace qkv

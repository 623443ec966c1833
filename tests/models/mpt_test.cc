// MPT against published counts, golden values and its own laws.
#include "qkv/models/mpt.h"

#include <cmath>

#include "models/tiny_mpt.h"
#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"

namespace qkv {
namespace {

using testing::batch_of;
using testing::distance;
using testing::tiny_mpt;

/// cos 0, cos 1, cos 2 … row by row.
Tensor cosines(const Shape& shape) {
  Tensor x = Tensor::empty(shape);
  for (std::int64_t i = 0; i < x.count(); ++i) {
    x.data()[i] = static_cast<float>(std::cos(static_cast<double>(i)));
  }
  return x;
}

TEST(Mpt, ParameterCountsAreThePublishedOnes) {
  const Mpt::Config testing{.d_model = 128, .n_heads = 2, .n_layers = 2, .max_seq_len = 128};
  EXPECT_EQ(testing.parameters(), 6'860'288);
  EXPECT_EQ(parameter_count(Mpt::make(1, testing)), 6'860'288);
  EXPECT_EQ(tiny_mpt().parameters(), 7'248);
  EXPECT_EQ(parameter_count(Mpt::make(1, tiny_mpt())), 7'248);

  Mpt::Config small{.d_model = 768, .n_heads = 12, .n_layers = 12};
  EXPECT_EQ(small.parameters(), 125'311'488);
  small.no_bias = true;
  small.learned_pos_emb = false;
  small.attn_config.alibi = true;
  EXPECT_EQ(small.parameters(), 123'636'480);
  const Mpt::Config seven{.d_model = 4096,
                          .n_heads = 32,
                          .n_layers = 32,
                          .vocab_size = 50432,
                          .learned_pos_emb = false,
                          .attn_config = {.alibi = true},
                          .no_bias = true};
  EXPECT_EQ(seven.parameters(), 6'649'286'656);
}

// Every option that adds numbers, in the formula and in the model.
TEST(Mpt, ParametersAreWhatTheModelHas) {
  for (const bool no_bias : {false, true}) {
    for (const bool qk_ln : {false, true}) {
      for (const std::int64_t kv_heads : {0, 1, 2}) {
        for (const std::int64_t ratio : {1, 4}) {
          const Mpt::Config c{.d_model = 12,
                              .n_heads = 4,
                              .n_layers = 3,
                              .expansion_ratio = ratio,
                              .max_seq_len = 7,
                              .vocab_size = 11,
                              .attn_config = {.kv_n_heads = kv_heads, .qk_ln = qk_ln},
                              .no_bias = no_bias};
          EXPECT_EQ(parameter_count(Mpt::make(1, c)), c.parameters());
        }
      }
    }
  }
}

struct Golden {
  const char* name;
  Mpt::AttnConfig options;
  std::vector<double> rows;  // [3 4]
};

// X, Wqkv and out_proj are filled with cosines; causal, no biases.
const std::vector<Golden> kGoldens = {
    {"plain",
     {},
     {.109282, -1.139250, 1.380045, -.664865, .729435, -1.399050, 1.099526, -.038346, -2.070186,
      .977678, .792080, -2.013154}},
    {"clip_qkv",
     {.clip_qkv = 0.5},
     {.010013, -.536566, .691432, -.367335, .131683, -.276981, .230410, -.024232, .089709, -.150762,
      .107380, .010386}},
    {"qk_ln",
     {.qk_ln = true},
     {.109282, -1.139250, 1.380045, -.664865, 1.745750, -1.804528, .613286, 1.002787, -1.881691,
      .892770, .714584, -1.826937}},
    {"softmax_scale",
     {.softmax_scale = 0.1},
     {.109282, -1.139250, 1.380045, -.664865, .914080, -1.065280, .478547, .439682, -.371738,
      .026028, .337711, -.467514}},
    {"alibi",
     {.alibi = true},
     {.109282, -1.139250, 1.380045, -.664865, .731385, -1.399853, 1.098625, -.036365, -2.099689,
      .995305, .798539, -2.039226}},
};

TEST(Mpt, AttentionHasTheGoldenValues) {
  for (const Golden& golden : kGoldens) {
    SCOPED_TRACE(golden.name);
    Mpt::Config c{.d_model = 4,
                  .n_heads = 2,
                  .n_layers = 1,
                  .max_seq_len = 4,
                  .vocab_size = 3,
                  .attn_config = golden.options,
                  .no_bias = true};
    Mpt m = Mpt::make(1, c);
    StateDict state = state_dict(m);
    for (auto& [name, tensor] : state) {
      if (name == "transformer.blocks.0.attn.Wqkv.weight") tensor = cosines({12, 4});
      if (name == "transformer.blocks.0.attn.out_proj.weight") tensor = cosines({4, 4});
    }
    load_state_dict(m, state);
    const Tensor x = cosines({3, 4});
    const Tensor y = m.blocks[0].attn(x, {.segments = Segments({3})});
    for (std::size_t i = 0; i < 12; ++i) EXPECT_NEAR(y.data()[i], golden.rows[i], 1e-5) << i;
  }
}

TEST(Mpt, MasksPrefixesAndSequences) {
  const Mpt m =
      Mpt::make(1, tiny_mpt({.prefix_lm = true, .attn_uses_sequence_id = true, .alibi = true}));
  MptBatch batch = batch_of({8});
  batch.prefix = {1, 1, 0, 0, 1, 1, 1, 0};
  batch.sequence_id = {0, 0, 0, 0, 1, 1, 1, 1};
  const char* want[] = {"11000000", "11000000", "11100000", "11110000",
                        "00001110", "00001110", "00001110", "00001111"};
  const auto dense = materialise(m.mask(batch), 8, 8);
  for (std::size_t i = 0; i < 8; ++i) {
    for (std::size_t j = 0; j < 8; ++j) {
      EXPECT_EQ(dense[i * 8 + j], want[i][j] == '1') << i << ", " << j;
    }
  }
  // The same again behind another sequence, which nobody of this one sees.
  MptBatch two = batch_of({3, 8});
  two.prefix = {1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0};
  two.sequence_id = {0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1};
  const auto packed = materialise(m.mask(two), 11, 11);
  for (std::size_t i = 0; i < 11; ++i) {
    for (std::size_t j = 0; j < 11; ++j) {
      const bool seen = i < 3 ? j < 3 : j >= 3 && want[i - 3][j - 3] == '1';
      EXPECT_EQ(packed[i * 11 + j], seen) << i << ", " << j;
    }
  }
  batch.prefix.pop_back();
  EXPECT_THROW((void)m(batch), ShapeError);
  EXPECT_THROW((void)Mpt::make(1, tiny_mpt())(two), Error);  // given, but off
}

// build_alibi_tensor of BLOOM, with slopes from powers of two on both sides of H.
std::vector<double> bloom_slopes(std::int64_t heads) {
  std::int64_t below = 1;
  while (2 * below <= heads) below *= 2;
  const double base = std::pow(2.0, -std::pow(2.0, -(std::log2(double(below)) - 3)));
  const double between = std::pow(2.0, -std::pow(2.0, -(std::log2(2.0 * double(below)) - 3)));
  std::vector<double> slopes;
  for (std::int64_t i = 1; i <= below; ++i) slopes.push_back(std::pow(base, double(i)));
  for (std::int64_t i = 0; below + i < heads; ++i) {
    slopes.push_back(std::pow(between, double(1 + 2 * i)));
  }
  return slopes;
}

TEST(Mpt, AlibiSlopes) {
  const auto expect = [](std::int64_t heads, const std::vector<double>& want,
                         std::size_t from = 0) {
    const auto slopes = alibi_slopes(heads);
    ASSERT_EQ(slopes.size(), static_cast<std::size_t>(heads));
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(slopes[from + i], want[i], 1e-6);
  };
  expect(2, {1. / 16, 1. / 256});
  expect(4, {.25, .0625, .015625, .00390625});
  expect(6, {.25, .0625, .015625, .00390625, .5, .125});
  expect(8, {1. / 2, 1. / 4, 1. / 8, 1. / 16, 1. / 32, 1. / 64, 1. / 128, 1. / 256});
  expect(12, {.707107, .353553, .176777, .088388}, 8);
  for (std::int64_t heads = 1; heads < 64; ++heads) expect(heads, bloom_slopes(heads));
  EXPECT_NEAR(alibi_slopes(8, 16)[0], 0.25, 1e-12);  // alibi_bias_max 16, StoryWriter
}

TEST(Mpt, NamesAndShapesAreThoseOfTheCheckpoints) {
  const Mpt m = Mpt::make(1, tiny_mpt());
  std::vector<std::string> names;
  for (const auto& [name, tensor] : state_dict(m)) names.push_back(name);
  const std::string block = "transformer.blocks.0.";
  EXPECT_EQ(names.size(), 1u + 2 * 6 + 1);
  EXPECT_EQ((std::vector<std::string>(names.begin(), names.begin() + 7)),
            (std::vector<std::string>{"transformer.wte.weight", block + "norm_1.weight",
                                      block + "attn.Wqkv.weight", block + "attn.out_proj.weight",
                                      block + "norm_2.weight", block + "ffn.up_proj.weight",
                                      block + "ffn.down_proj.weight"}));
  EXPECT_EQ(names.back(), "transformer.norm_f.weight");

  Mpt::Config full = tiny_mpt({.kv_n_heads = 1, .qk_ln = true});
  full.no_bias = false;
  const Mpt from = Mpt::make(1, full);
  Mpt to = Mpt::make(2, full);
  const StateDict state = state_dict(from);
  bool wide = false, k_norm = false;
  for (const auto& [name, tensor] : state) {
    if (name == block + "attn.Wqkv.bias") wide = tensor.shape() == Shape{16 + 2 * 8};
    if (name == block + "attn.k_ln.bias") k_norm = tensor.shape() == Shape{8};
  }
  EXPECT_TRUE(wide && k_norm);
  const MptBatch batch = batch_of({5, 3});
  EXPECT_GT(distance(from(batch), to(batch)), 1e-2);
  load_state_dict(to, state);
  EXPECT_EQ(distance(from(batch), to(batch)), 0.0);
  StateDict short_of_one(state.begin() + 1, state.end());
  EXPECT_THROW(load_state_dict(to, short_of_one), Error);
}

TEST(Mpt, InitialNumbersAreKaimingAndBranchesAreDamped) {
  Mpt::Config c{.d_model = 64, .n_heads = 4, .n_layers = 8, .max_seq_len = 64, .vocab_size = 512};
  const Mpt m = Mpt::make(1, c);
  const auto deviation = [](const Tensor& x) {
    double squares = 0;
    for (float value : x.values()) squares += double(value) * double(value);
    return std::sqrt(squares / static_cast<double>(x.count()));
  };
  const double one = std::sqrt(2.0 / 64), end = 1 / std::sqrt(16.0);
  const MptBlock& block = m.blocks[3];
  const auto& ffn = std::get<FeedForward>(block.ffn.kind);
  for (const Tensor& w : {m.wte, m.wpe, block.attn.heads.q.weight, block.attn.heads.k.weight,
                          block.attn.heads.v.weight, ffn.inner.weight}) {
    EXPECT_NEAR(deviation(w) / one, 1.0, 0.05);
  }
  EXPECT_NEAR(deviation(block.attn.heads.o.weight) / (one * end), 1.0, 0.05);
  EXPECT_NEAR(deviation(ffn.outer.weight) / (one / 2 * end), 1.0, 0.05);
  for (float value : block.attn.heads.q.bias.values()) EXPECT_EQ(value, 0.0f);
}

TEST(Mpt, TheOptionsOfTheEnds) {
  const MptBatch batch = batch_of({5});
  Mpt::Config c = tiny_mpt();
  const Mpt plain = Mpt::make(1, c);
  const Tensor hidden = plain(batch), logits = plain.logits(hidden);
  ASSERT_EQ(logits.shape(), (Shape{5, 64}));
  double first = 0;
  for (std::int64_t i = 0; i < 16; ++i) {
    first += double(hidden.data()[i]) * double(plain.wte.data()[i]);
  }
  EXPECT_NEAR(logits.data()[0], first, 1e-5);
  c.logit_scale_inv_sqrt_d_model = true;
  EXPECT_LT(distance(Mpt::make(1, c).logits(hidden), scale(logits, 0.25)), 1e-5);
  c.logit_scale_inv_sqrt_d_model = false;
  c.logit_scale = 3.0;
  EXPECT_LT(distance(Mpt::make(1, c).logits(hidden), scale(logits, 3.0)), 1e-5);

  c = tiny_mpt();
  c.low_precision_layernorm = false;
  EXPECT_EQ(distance(Mpt::make(1, c)(batch), hidden), 0.0) << "the same in fp32";
}

TEST(Mpt, EmbeddingFractionScalesTheGradientOnly) {
  const MptBatch batch = batch_of({6});
  const auto gradient = [&](double fraction, Tensor& hidden) {
    Mpt::Config c = tiny_mpt({});  // learned positions
    c.embedding_fraction = fraction;
    const Mpt m = Mpt::make(1, c);
    Tape tape;
    {
      const Recording on(tape);
      hidden = m(batch);
    }
    Tensor ones = Tensor::zeros(hidden.shape());
    for (std::int64_t t = 0; t < 6; ++t) ones.data()[t * 16 + t] = 1.0f;
    tape.backward(hidden, ones);
    return gradient_of(m.wpe);
  };
  Tensor whole, tenth;
  const Tensor full = gradient(1.0, whole), part = gradient(0.1, tenth);
  EXPECT_EQ(distance(whole, tenth), 0.0);
  EXPECT_GT(distance(full, Tensor::zeros(full.shape())), 1e-3);
  EXPECT_LT(distance(scale(full, 0.1), part), 1e-6);
}

TEST(Mpt, LossCountsNextTokensWithinSequences) {
  const Mpt m = Mpt::make(1, tiny_mpt());
  const MptBatch batch = batch_of({5, 1, 3});
  const CrossEntropyResult result = m.loss(batch);
  EXPECT_EQ(result.tokens, 4 + 0 + 2);
  const Tensor logits = m.logits(m(batch));
  double sum = 0;
  for (const std::int64_t t : {0, 1, 2, 3, 6, 7}) {
    double total = 0;
    for (std::int64_t v = 0; v < 64; ++v) total += std::exp(double(logits.data()[t * 64 + v]));
    sum += std::log(total) -
           double(logits.data()[t * 64 + batch.ids[static_cast<std::size_t>(t + 1)]]);
  }
  EXPECT_NEAR(result.nll_sum, sum, 1e-4);
}

TEST(Mpt, RefusesWhatMakesNoModel) {
  const auto refused = [](const auto& change) {
    Mpt::Config c = tiny_mpt();
    change(c);
    EXPECT_THROW((void)Mpt::make(1, c), Error);
  };
  refused([](Mpt::Config& c) { c.attn_config.alibi = false; });  // no positions at all
  refused([](Mpt::Config& c) { c.n_heads = 3; });
  refused([](Mpt::Config& c) { c.attn_config.linear = true; });  // with alibi
  refused(
      [](Mpt::Config& c) { c.attn_config = {.attn_pdrop = 0.1, .rope = true, .linear = true}; });
  refused([](Mpt::Config& c) {
    c.n_heads = 16;
    c.attn_config.rope = true;  // heads of one number
  });
  refused([](Mpt::Config& c) { c.attn_config.kv_n_heads = 4; });
  refused([](Mpt::Config& c) { c.embedding_fraction = 0; });
  refused([](Mpt::Config& c) { c.resid_pdrop = 1.0; });
  refused([](Mpt::Config& c) { c.attn_config.clip_qkv = -1; });
  const Mpt m = Mpt::make(1, tiny_mpt());
  MptBatch batch = batch_of({4});
  batch.ids.pop_back();
  EXPECT_THROW((void)m(batch), ShapeError);
  MptCache two(2);
  EXPECT_THROW((void)m.extend(two, batch_of({4})), ShapeError);
  const Mpt learned = Mpt::make(1, tiny_mpt(Mpt::AttnConfig{}));
  EXPECT_THROW((void)learned(batch_of({33})), Error);  // max_seq_len is 32
}

}  // namespace
}  // namespace qkv

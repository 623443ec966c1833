#include "qkv/models/transformer.h"

#include "models/helpers.h"
#include <gtest/gtest.h>

#include "qkv/base/parallel.h"

namespace qkv {
namespace {

using testing::check_module;
using testing::expect_near;
using testing::random_tensor;
using testing::same_bits;

using Ids = std::vector<std::int32_t>;

Transformer::Config small() {
  Transformer::Config c;
  c.source_vocabulary = c.target_vocabulary = 17;
  c.width = 16;
  c.heads = 4;
  c.feed_forward = 24;
  c.encoder_layers = c.decoder_layers = 2;
  c.max_length = 32;
  return c;
}

/// The early public variant (docs/models.md).
Transformer::Config page(Transformer::Config c) {
  c.attention_output = false;
  c.relu_projections = true;
  c.positions = PositionKind::learned;
  c.share_embeddings = c.tie_output = false;
  c.output_bias = true;
  c.norm_eps = 1e-8;
  return c;
}

Transformer::Config pre_norm(Transformer::Config c) {
  c.norm = NormPlacement::pre;
  c.final_norm = true;
  c.activation = Activation::gelu;
  return c;
}

Transformer::Config noisy(Transformer::Config c) {
  c.dropout = 0.2;
  c.attention_dropout = 0.1;
  c.activation_dropout = 0.1;
  return c;
}

Transformer make(const Transformer::Config& c, DType type = DType::f32) {
  Transformer m = Transformer::make({1, type}, c);
  testing::shake(m, 21);
  return m;
}

TranslationBatch batch_of(const std::vector<std::pair<Ids, Ids>>& pairs) {
  TranslationBatch batch;
  std::vector<std::int64_t> sources, targets;
  for (const auto& [source, target] : pairs) {
    batch.source.insert(batch.source.end(), source.begin(), source.end());
    batch.target_in.push_back(1);
    batch.target_in.insert(batch.target_in.end(), target.begin(), target.end());
    batch.target_out.insert(batch.target_out.end(), target.begin(), target.end());
    batch.target_out.push_back(2);
    sources.push_back(static_cast<std::int64_t>(source.size()));
    targets.push_back(static_cast<std::int64_t>(target.size()) + 1);
  }
  batch.source_segments = Segments(sources);
  batch.target_segments = Segments(targets);
  return batch;
}

TranslationBatch some_batch() {
  return batch_of(
      {{{3, 4, 5, 6, 2}, {7, 8, 9}}, {{10, 2}, {11, 12, 13, 14, 15}}, {{16, 3, 2}, {}}});
}

Tensor hidden_of(const Transformer& m, const TranslationBatch& b) {
  return m.decode(b.target_in, b.target_segments, m.encode(b.source, b.source_segments),
                  b.source_segments);
}

Tensor logits_of(const Transformer& m, const TranslationBatch& b) {
  return logits(hidden_of(m, b), m.output_matrix(), m.output_stored(), m.output_bias);
}

// --- parameters
// -----------------------------------------------------------------------------------

std::int64_t embeddings(const Transformer& m) {
  std::int64_t count = 0;
  for (const Tensor* t : {&m.source_embedding, &m.target_embedding, &m.source_positions,
                          &m.target_positions, &m.output_weight, &m.output_bias}) {
    if (t->defined()) count += t->count();
  }
  return count;
}

TEST(TransformerCounts, PublishedSizes) {
  Transformer::Config base;
  base.source_vocabulary = base.target_vocabulary = 37'000;
  const Transformer m = Transformer::make(Initialiser::blank(), base);
  EXPECT_EQ(parameter_count(m), 63'082'496);
  EXPECT_EQ(parameter_count(m) - embeddings(m), 44'138'496);
  EXPECT_EQ(parameter_count(m.encoder[0]), 3'152'384);
  EXPECT_EQ(parameter_count(m.decoder[5]), 4'204'032);
  base.final_norm = true;
  const Transformer normed = Transformer::make(Initialiser::blank(), base);
  EXPECT_EQ(parameter_count(normed) - embeddings(normed), 44'140'544);
}

TEST(TransformerCounts, PageVariantHasNoOutputProjection) {
  Transformer::Config c;
  c.source_vocabulary = 10;
  c.target_vocabulary = 20;
  c.encoder_layers = c.decoder_layers = 1;
  c.max_length = 10;
  const Transformer m = Transformer::make(Initialiser::blank(), page(c));
  EXPECT_EQ(parameter_count(m.encoder[0]), 2'889'728);
  EXPECT_EQ(parameter_count(m.decoder[0]), 3'678'720);
  EXPECT_EQ(embeddings(m), 10 * 512 + 20 * 512 + 2 * 10 * 512 + 512 * 20 + 20);
  c.encoder_layers = c.decoder_layers = 6;
  const Transformer whole = Transformer::make(Initialiser::blank(), page(c));
  EXPECT_EQ(parameter_count(whole), 39'410'688 + 512 * (10 + 2 * 20 + 20) + 20);
}

TEST(TransformerCounts, TinyForSmallData) {
  Transformer::Config c;
  c.source_vocabulary = c.target_vocabulary = 9'712;
  c.width = 128;
  c.heads = 4;
  c.feed_forward = 256;
  c.encoder_layers = c.decoder_layers = 4;
  const Transformer m = Transformer::make(Initialiser::blank(), c);
  EXPECT_EQ(parameter_count(m), 2'568'192);
  EXPECT_EQ(parameter_count(m) - embeddings(m), 1'325'056);
}

TEST(TransformerCounts, Small) {
  Transformer::Config c;
  c.source_vocabulary = c.target_vocabulary = 100;
  c.width = 256;
  c.heads = 4;
  c.feed_forward = 1024;
  c.encoder_layers = c.decoder_layers = 3;
  EXPECT_EQ(parameter_count(Transformer::make(Initialiser::blank(), c)), 5'529'600 + 256 * 100);
}

TEST(TransformerCounts, IndependentOfTheLength) {
  Transformer::Config c = small();
  const std::int64_t count = parameter_count(Transformer::make(1, c));
  c.max_length = 5000;
  EXPECT_EQ(parameter_count(Transformer::make(1, c)), count);
  // A learned table is the exception: two rows of C a position.
  c.positions = PositionKind::learned;
  EXPECT_EQ(parameter_count(Transformer::make(1, c)), count + 2 * 5000 * c.width);
}

TEST(TransformerConfig, RefusesWhatMakesNoModel) {
  const auto refused = [](auto change, std::string_view said) {
    Transformer::Config c = small();
    change(c);
    try {
      Transformer::make(1, c);
      ADD_FAILURE() << "made; expected: " << said;
    } catch (const Error& error) {
      EXPECT_NE(std::string_view(error.what()).find(said), std::string_view::npos) << error.what();
    }
  };
  using Config = Transformer::Config;
  refused([](Config& c) { c.source_vocabulary = 0; }, "source_vocabulary");
  refused([](Config& c) { c.target_vocabulary = -1; }, "target_vocabulary");
  refused([](Config& c) { c.width = 0; }, "width");
  refused([](Config& c) { c.heads = 0; }, "heads");
  refused([](Config& c) { c.heads = 3; }, "no multiple of heads 3");
  refused([](Config& c) { c.feed_forward = 0; }, "feed_forward");
  refused([](Config& c) { c.max_length = 0; }, "max_length");
  refused([](Config& c) { c.encoder_layers = -1; }, "negative number of layers");
  refused([](Config& c) { c.decoder_layers = -1; }, "negative number of layers");
  refused([](Config& c) { c.target_vocabulary = 18; }, "share_embeddings");
  refused([](Config& c) { c.dropout = 1.0; }, "dropout");
  refused([](Config& c) { c.attention_dropout = -0.1; }, "dropout");
  refused([](Config& c) { c.activation_dropout = std::nan(""); }, "dropout");
  refused([](Config& c) { c.norm_eps = 0.0; }, "norm_eps");
  EXPECT_NO_THROW(small().check());
}

// --- laws
// -----------------------------------------------------------------------------------------

class EveryForm : public ::testing::TestWithParam<const char*> {
 protected:
  static Transformer::Config config() {
    const std::string_view form = GetParam();
    if (form == "page") return page(small());
    if (form == "pre") return pre_norm(small());
    return small();
  }
};
INSTANTIATE_TEST_SUITE_P(Transformer, EveryForm, ::testing::Values("post", "pre", "page"));

TEST_P(EveryForm, AFutureTokenLeavesEarlierOutputsBitEqual) {
  const Transformer m = make(config());
  TranslationBatch b = some_batch();
  const Tensor before = hidden_of(m, b);
  b.target_in[6] = 5;  // position 2 of the second sentence, which is rows [4, 10)
  const Tensor after = hidden_of(m, b);
  EXPECT_TRUE(same_bits(before.rows(0, 6), after.rows(0, 6)));
  EXPECT_TRUE(same_bits(before.rows(10, 11), after.rows(10, 11)));
  for (std::int64_t row = 6; row < 10; ++row) {
    EXPECT_FALSE(same_bits(before.rows(row, row + 1), after.rows(row, row + 1))) << row;
  }
}

TEST_P(EveryForm, ZeroJacobianToLaterInputs) {
  Transformer::Config c = config();
  c.share_embeddings = c.tie_output = false;
  Transformer m = make(c, DType::f64);
  const Ids ids = {1, 7, 8, 9};  // all different, so a row of the table is a position
  const Segments segments = Segments::one(4);
  const Tensor memory = random_tensor({3, c.width}, 4, DType::f64);
  const auto run = [&] { return m.decode(ids, segments, memory, Segments::one(3)); };
  for (std::int64_t j = 0; j < 4; ++j) {
    double& element =
        m.target_embedding.data<double>()[ids[static_cast<std::size_t>(j)] * c.width + 2];
    const double kept = element;
    element = kept + 1e-4;
    parameter_changed(m.target_embedding);
    const Tensor up = run();
    element = kept - 1e-4;
    parameter_changed(m.target_embedding);
    const Tensor down = run();
    element = kept;
    for (std::int64_t i = 0; i < 4; ++i) {
      double most = 0;
      for (std::int64_t k = i * c.width; k < (i + 1) * c.width; ++k) {
        most = std::max(most, std::abs(up.data<double>()[k] - down.data<double>()[k]));
      }
      if (i < j) {
        EXPECT_EQ(most, 0.0) << "output " << i << ", input " << j;
      } else {
        EXPECT_GT(most, 0.0) << "output " << i << ", input " << j;
      }
    }
  }
}

TEST_P(EveryForm, LogitsDoNotDependOnNeighbours) {
  const Transformer m = make(config());
  const std::vector<std::pair<Ids, Ids>> pairs = {
      {{3, 4, 5, 6, 2}, {7, 8, 9}}, {{10, 2}, {11, 12, 13, 14, 15}}, {{16, 3, 2}, {}}};
  const Tensor together = logits_of(m, batch_of(pairs));
  const Tensor turned = logits_of(m, batch_of({pairs[2], pairs[1], pairs[0]}));
  std::int64_t row = 0, turned_row = together.dim(0);
  for (const auto& pair : pairs) {
    const Tensor alone = logits_of(m, batch_of({pair}));
    const std::int64_t length = alone.dim(0);
    turned_row -= length;
    EXPECT_TRUE(same_bits(alone, together.rows(row, row + length))) << "sentence at row " << row;
    EXPECT_TRUE(same_bits(alone, turned.rows(turned_row, turned_row + length))) << turned_row;
    row += length;
  }
}

/// The loss and all gradients of a step with dropout.
std::vector<Tensor> step(const Transformer& model, const TranslationBatch& batch) {
  Transformer m = model;
  for_each_parameter(m, [](std::string_view, Tensor& p) { p = parameter(p.clone()); });
  Tape tape;
  Tensor loss;
  {
    const Recording on(tape, 77);
    loss = m.loss(batch, {.smoothing = 0.1, .scale = 0.1}).loss;
  }
  tape.backward(loss);
  std::vector<Tensor> results = {loss};
  for_each_parameter(
      m, [&](std::string_view, const Tensor& p) { results.push_back(gradient_of(p).clone()); });
  return results;
}

TEST_P(EveryForm, OneAndTwoThreadsGiveTheSameBits) {
  Transformer::Config c = noisy(config());
  c.width = 64;
  c.feed_forward = 200;
  c.source_vocabulary = c.target_vocabulary = 301;
  c.max_length = 80;
  const Transformer m = make(c);
  std::vector<std::pair<Ids, Ids>> pairs;
  for (std::size_t n : {70U, 3U, 41U, 1U, 65U}) {
    Ids source(n), target(n / 2 + 3);
    Philox random(n);
    for (auto& id : source) id = static_cast<std::int32_t>(3 + random() % 298);
    for (auto& id : target) id = static_cast<std::int32_t>(3 + random() % 298);
    pairs.emplace_back(source, target);
  }
  const TranslationBatch batch = batch_of(pairs);
  const int before = threads();
  set_threads(1);
  const std::vector<Tensor> one = step(m, batch);
  set_threads(2);
  const std::vector<Tensor> two = step(m, batch);
  set_threads(before);
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(same_bits(one[i], two[i])) << i;
}

TEST_P(EveryForm, FastFormsEqualTheDefinitions) {
  const Transformer m = make(noisy(config()));
  const std::vector<Tensor> fast = step(m, some_batch());
  std::vector<Tensor> slow;
  {
    const DefinitionOnly definition;
    slow = step(m, some_batch());
  }
  ASSERT_EQ(fast.size(), slow.size());
  for (std::size_t i = 0; i < fast.size(); ++i) expect_near(fast[i], slow[i], 2e-5);
}

TEST_P(EveryForm, GradientsMatchFiniteDifferences) {
  for (const bool noise : {false, true}) {
    Transformer::Config c = noise ? noisy(config()) : config();
    c.source_vocabulary = c.target_vocabulary = 17;
    c.width = 8;
    c.heads = 2;
    c.feed_forward = 10;
    c.encoder_layers = c.decoder_layers = 1;
    if (!noise) c.dropout = 0;
    const TranslationBatch batch = some_batch();
    check_module<Transformer>(make(c, DType::f64), [&](const Transformer& m) {
      return m.loss(batch, {.smoothing = 0.1, .ignore = 9, .scale = 0.5}).loss;
    });
  }
}

TEST_P(EveryForm, NothingUninitialisedIsRead) {
  const Transformer m = make(noisy(config()));
  const std::vector<Tensor> clean = step(m, some_batch());
  const bool before = set_poison(true);
  const std::vector<Tensor> poisoned = step(m, some_batch());
  set_poison(before);
  for (std::size_t i = 0; i < clean.size(); ++i) EXPECT_TRUE(same_bits(clean[i], poisoned[i])) << i;
}

TEST(TransformerForward, DropoutOnlyWhileRecording) {
  const Transformer m = make(noisy(small()));
  Transformer quiet = m;
  quiet.config.dropout = quiet.config.attention_dropout = quiet.config.activation_dropout = 0;
  EXPECT_TRUE(same_bits(hidden_of(m, some_batch()), hidden_of(m, some_batch())));
  EXPECT_TRUE(same_bits(hidden_of(m, some_batch()), hidden_of(quiet, some_batch())));
}

TEST(TransformerForward, StopsAtMaxLength) {
  Transformer::Config c = small();
  c.max_length = 4;
  for (const PositionKind kind : {PositionKind::sinusoidal, PositionKind::learned}) {
    c.positions = kind;
    const Transformer m = make(c);
    const Ids fits(4, 3), long_one(5, 3);
    const Tensor memory = m.encode(fits, Segments::one(4));
    EXPECT_THROW(m.encode(long_one, Segments::one(5)), ShapeError);
    EXPECT_THROW(m.decode(long_one, Segments::one(5), memory, Segments::one(4)), ShapeError);
    EXPECT_NO_THROW(m.decode(fits, Segments::one(4), memory, Segments::one(4)));
    EXPECT_THROW(m.embed_target(Ids{3}, Ids{4}), Error);
    EXPECT_THROW(m.embed_target(Ids{3}, Ids{-1}), Error);
  }
}

TEST(TransformerForward, RefusesForeignIdsAndUnequalBatches) {
  const Transformer m = make(small());
  EXPECT_THROW(m.encode(Ids{17}, Segments::one(1)), Error);
  EXPECT_THROW(m.encode(Ids{-1}, Segments::one(1)), Error);
  const Tensor memory = m.encode(Ids{3, 4}, Segments({1, 1}));
  EXPECT_THROW(m.decode(Ids{1}, Segments::one(1), memory, Segments({1, 1})), ShapeError);
}

TEST(TransformerForward, WithoutLayersOnlyEmbeddingsAreLeft) {
  Transformer::Config c = small();
  c.encoder_layers = c.decoder_layers = 0;
  c.positions = PositionKind::none;
  const Transformer m = make(c);
  const Tensor y = m.encode(Ids{5, 3}, Segments::one(2));
  for (std::int64_t i = 0; i < c.width; ++i) {  // √16 = 4
    EXPECT_FLOAT_EQ(y.data()[i], 4 * m.source_embedding.data()[5 * c.width + i]);
  }
}

TEST(TransformerForward, AnEmptySourceIsAllowed) {
  const Transformer m = make(small());
  const TranslationBatch b = batch_of({{{}, {4, 5}}, {{3, 2}, {6}}});
  const Tensor y = logits_of(m, b);
  for (const float value : y.values()) EXPECT_TRUE(std::isfinite(value));
  EXPECT_TRUE(same_bits(y.rows(3, 5), logits_of(m, batch_of({{{3, 2}, {6}}}))));
}

TEST(TransformerForward, StepByStepEmbeddingIsThatOfTheWhole) {
  const Transformer m = make(small());
  const Ids ids = {1, 7, 8};
  const Tensor whole = m.embed_target(ids, Ids{0, 1, 2});
  for (std::int32_t p = 0; p < 3; ++p) {
    EXPECT_TRUE(same_bits(m.embed_target(Ids{ids[static_cast<std::size_t>(p)]}, Ids{p}),
                          whole.rows(p, p + 1)));
  }
}

}  // namespace
}  // namespace qkv

#include "qkv/decode/batch_translator.h"

#include "decode/tiny_transformer.h"
#include "decode/toy_model.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/decode/score.h"
#include "qkv/decode/transformer_decoder.h"

namespace qkv {
namespace {

using test::random_sentences;
using test::Threads;
using test::tiny_config;
using test::tiny_transformer;
using test::ToyModel;

void expect_same(const std::vector<Hypothesis>& a, const std::vector<Hypothesis>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t n = 0; n < a.size(); ++n) {
    EXPECT_EQ(a[n].tokens, b[n].tokens);
    EXPECT_EQ(a[n].token_scores, b[n].token_scores);
    EXPECT_EQ(a[n].score, b[n].score);
    EXPECT_EQ(a[n].log_probability, b[n].log_probability);
    EXPECT_EQ(a[n].attention, b[n].attention);
  }
}

// A sentence alone, in any batch, in any order, with any number of threads: the same bits.
TEST(BatchTranslator, SameBits) {
  const Threads restore(1);
  Transformer::Config config = tiny_config();
  config.width = 36;  // odd sizes: tails in every kernel
  config.feed_forward = 70;
  config.source_vocabulary = config.target_vocabulary = 131;
  const Transformer model = tiny_transformer(config);
  const TransformerDecoder decoder(model);
  const auto sources = random_sentences(20, 12, 131);
  for (const int beam : {1, 4}) {
    BatchTranslatorOptions options;
    options.search = {.beam = beam, .n_best = std::min(beam, 2), .attention = true};
    std::vector<std::vector<Hypothesis>> alone;
    for (const Tokens& source : sources) {
      alone.push_back(search(decoder, std::vector<Tokens>{source}, options.search).at(0));
    }
    std::vector<Tokens> reversed(sources.rbegin(), sources.rend());
    for (const int threads : {1, 2}) {
      const Threads set(threads);
      for (const std::int64_t batch : {3, 64}) {
        options.batch_sentences = batch;
        const auto forward = BatchTranslator(decoder, options).translate(sources);
        const auto backward = BatchTranslator(decoder, options).translate(reversed);
        ASSERT_EQ(forward.size(), sources.size());
        for (std::size_t i = 0; i < sources.size(); ++i) {
          expect_same(forward[i].best, alone[i]);
          expect_same(backward[sources.size() - 1 - i].best, alone[i]);
        }
      }
      // One batch for all: its products are spread over the threads instead.
      const auto one = search(decoder, std::span(sources).first(5), options.search);
      for (std::size_t i = 0; i < 5; ++i) expect_same(one[i], alone[i]);
    }
  }
}

TEST(BatchTranslator, EmptySourcesDoNotReachTheModel) {
  const ToyModel model;
  const BatchTranslator translator(model, {});
  const auto none = translator.translate(std::vector<Tokens>(3));
  ASSERT_EQ(none.size(), 3u);
  for (const Decoded& t : none) {
    ASSERT_EQ(t.best.size(), 1u);
    EXPECT_TRUE(t.best[0].tokens.empty());
    EXPECT_EQ(t.best[0].score, 0.0);
  }
  EXPECT_EQ(model.rows_computed, 0);
  EXPECT_TRUE(translator.translate(std::vector<Tokens>{}).empty());
  const auto mixed = translator.translate(std::vector<Tokens>{{}, {3}, {}});
  EXPECT_TRUE(mixed[0].best.at(0).token_scores.empty());
  EXPECT_FALSE(mixed[1].best.at(0).token_scores.empty());
}

TEST(BatchTranslator, LongSourcesAreCutAndCounted) {
  ToyModel model;
  model.longest = 10;
  const BatchTranslator translator(model, {});
  const auto t = translator.translate(std::vector<Tokens>{Tokens(100'000, 3), Tokens(10, 3)});
  EXPECT_EQ(t[0].cut, 99'990);
  EXPECT_EQ(t[1].cut, 0);
  expect_same(t[0].best, t[1].best);
}

TEST(BatchTranslator, BatchesKeepTheirBudget) {
  struct Watched final : StepModel {
    ToyModel inner;
    mutable std::int64_t tokens = 0, sentences = 0, batches = 0;
    std::int64_t vocabulary() const override { return inner.vocabulary(); }
    std::int64_t max_source() const override { return inner.max_source(); }
    std::int64_t max_target() const override { return inner.max_target(); }
    std::unique_ptr<StepState> start(std::span<const Tokens* const> sources,
                                     bool attention) const override {
      std::int64_t sum = 0;
      for (const Tokens* s : sources) sum += static_cast<std::int64_t>(s->size()) + 1;
      if (sources.size() > 1) tokens = std::max(tokens, sum);
      sentences = std::max(sentences, static_cast<std::int64_t>(sources.size()));
      ++batches;
      return inner.start(sources, attention);
    }
  } model;
  const Threads one(1);
  BatchTranslatorOptions options;
  options.search.max_length = 2;
  options.batch_tokens = 25;
  options.batch_sentences = 4;
  auto sources = random_sentences(50, 9, 5);
  sources.push_back(Tokens(60, 3));  // alone above the budget
  const auto result = BatchTranslator(model, options).translate(sources);
  EXPECT_EQ(result.size(), 51u);
  EXPECT_LE(model.tokens, 25);
  EXPECT_LE(model.sentences, 4);
  EXPECT_GE(model.batches, 13);
}

TEST(BatchTranslator, StreamAnswersInOrder) {
  const Threads one(1);
  const ToyModel model;
  const auto sources = random_sentences(25, 6, 5);
  BatchTranslatorOptions options;
  const auto expected = BatchTranslator(model, options).translate(sources);
  for (const std::int64_t window : {1, 4, 25, 1000}) {
    options.window = window;
    std::size_t next = 0;
    std::int64_t answered = 0;
    const auto count =
        BatchTranslator(model, options)
            .stream({.next = [&]() -> std::optional<Tokens> {
                      if (next == sources.size()) return std::nullopt;
                      return sources[next++];
                    }},
                    [&](std::int64_t index, const Decoded& t) {
                      EXPECT_EQ(index, answered++);
                      expect_same(t.best, expected[static_cast<std::size_t>(index)].best);
                      EXPECT_LE(static_cast<std::int64_t>(next), index + window);
                    });
    EXPECT_EQ(count, 25);
    EXPECT_EQ(answered, 25);
  }
}

TEST(BatchTranslator, StreamAnswersBeforeItWaits) {
  const ToyModel model;
  std::int64_t asked = 0, answered = 0;
  BatchTranslator(model, {}).stream({.next = [&]() -> std::optional<Tokens> {
                                       EXPECT_EQ(answered,
                                                 asked);  // all earlier lines are answered
                                       return asked++ < 5 ? std::optional(Tokens{3}) : std::nullopt;
                                     },
                                     .ready = [] { return false; }},
                                    [&](std::int64_t, const Decoded&) { ++answered; });
  EXPECT_EQ(answered, 5);
}

TEST(BatchTranslator, ProgressAndItsExceptions) {
  const ToyModel model;
  const Threads two(2);
  auto sources = random_sentences(30, 6, 5);
  sources[4].clear();
  std::int64_t last = 0;
  BatchTranslatorOptions options;
  options.batch_sentences = 4;
  const BatchTranslator translator(model, options);
  translator.translate(sources, [&](const Progress& p) {
    EXPECT_EQ(p.total, 30);
    EXPECT_GT(p.done, last);
    last = p.done;
  });
  EXPECT_EQ(last, 30);
  struct Stop {};
  EXPECT_THROW(translator.translate(sources, [](const Progress&) { throw Stop(); }), Stop);
}

TEST(BatchTranslator, ScoresInBatches) {
  const Transformer model = tiny_transformer(tiny_config());
  const TransformerDecoder decoder(model);
  const auto sources = random_sentences(20, 9, 50), targets = random_sentences(20, 9, 50, 6);
  BatchTranslatorOptions options;
  options.batch_sentences = 3;
  const auto together = BatchTranslator(decoder, options).score(sources, targets);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto alone = score(decoder, std::vector<Tokens>{sources[i]},
                             std::vector<Tokens>{targets[i]}, options.search);
    expect_same({together[i]}, alone);
  }
  EXPECT_THROW(BatchTranslator(decoder, {}).score(sources, {}), Error);
}

TEST(BatchTranslator, BadOptionsThrow) {
  const ToyModel model;
  BatchTranslatorOptions options;
  options.batch_tokens = 0;
  EXPECT_THROW(BatchTranslator(model, options), Error);
  options = {};
  options.search.beam = 0;
  EXPECT_THROW(BatchTranslator(model, options), Error);
}

// Weights + 64 MiB at beam 5 and 32 sentences, with the shapes of the preset `tiny`, though no
// hypothesis of these random weights ends before its maximum length.
TEST(BatchTranslator, MemoryStaysSmall) {
  Transformer::Config config = tiny_config();
  config.source_vocabulary = config.target_vocabulary = 10000;
  config.width = 128;
  config.feed_forward = 256;
  config.encoder_layers = config.decoder_layers = 4;
  config.max_length = 1024;
  const Transformer model = Transformer::make(1, config);
  const Threads two(2);
  const std::int64_t weights = 4 * parameter_count(model);
  const TransformerDecoder decoder(model);
  BatchTranslatorOptions options;
  options.search.beam = 5;
  options.batch_sentences = 32;
  const BatchTranslator translator(decoder, options);
  const auto sources = random_sentences(64, 20, 10000);
  release_pool();
  translator.translate(sources);
  EXPECT_LE(pool_statistics().peak_bytes_in_use, weights + (std::int64_t{64} << 20));
  EXPECT_LE(pool_statistics().bytes_held, weights + (std::int64_t{64} << 20));
}

}  // namespace
}  // namespace qkv

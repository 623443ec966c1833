// Every policy (drawing, beam search, scoring) over every model that goes step by step.
#include <cmath>
#include <functional>
#include <memory>

#include "decode/tiny_transformer.h"
#include <gtest/gtest.h>

#include "qkv/attention/observer.h"
#include "qkv/base/error.h"
#include "qkv/decode/draw.h"
#include "qkv/decode/language_decoder.h"
#include "qkv/decode/rnn_decoder.h"
#include "qkv/decode/score.h"
#include "qkv/decode/transformer_decoder.h"

namespace qkv {
namespace {

using test::random_sentences;
using test::Threads;
using test::tiny_config;
using test::tiny_transformer;

constexpr std::int32_t kBos = 1, kEos = 2;
constexpr std::int64_t kWords = 50;

/// Random weights, made larger so that the next token depends on what was read and written.
template <class M>
M louder(M model) {
  for_each_parameter(model, [](std::string_view name, Tensor& p) {
    if (name.find("norm") != std::string_view::npos) return;
    for (float& x : p.values()) x *= 1.5f;
  });
  return model;
}

Mpt::Config mpt_config() {
  Mpt::Config c{.d_model = 24, .n_heads = 4, .n_layers = 2, .max_seq_len = 14};
  c.vocab_size = kWords;
  c.learned_pos_emb = false;
  c.attn_config.alibi = true;
  return c;
}

/// A model under a name, with what it is made of.
struct Case {
  std::string name;
  std::shared_ptr<void> network;
  std::unique_ptr<StepModel> model;
};

template <class Decoder, class M, class Options = LanguageDecoderOptions>
Case made(const std::string& name, M network, const Options& options = {}) {
  const auto kept = std::make_shared<M>(std::move(network));
  return {name, kept, std::make_unique<Decoder>(*kept, options)};
}

std::vector<Case> language_models() {
  Mpt::Config learned = mpt_config(), prefix = mpt_config(), linear = mpt_config(),
              grouped = mpt_config();
  learned.learned_pos_emb = true;  // 14 places, so long texts are read again
  learned.attn_config.alibi = false;
  prefix.attn_config.prefix_lm = true;
  linear.attn_config.alibi = false;
  linear.attn_config.linear = linear.attn_config.rope = true;
  grouped.attn_config.kv_n_heads = 2;
  std::vector<Case> all;
  all.push_back(made<MptDecoder>("alibi", louder(Mpt::make(1, mpt_config()))));
  all.push_back(made<MptDecoder>("learned positions", louder(Mpt::make(1, learned))));
  all.push_back(made<MptDecoder>("prefix", louder(Mpt::make(1, prefix))));
  all.push_back(made<MptDecoder>("prefix, bounded", louder(Mpt::make(1, prefix)),
                                 LanguageDecoderOptions{.context = 9}));
  all.push_back(made<MptDecoder>("linear", louder(Mpt::make(1, linear))));
  all.push_back(made<MptDecoder>("bounded context", louder(Mpt::make(1, grouped)),
                                 LanguageDecoderOptions{.context = 8}));
  all.push_back(
      made<MptDecoder>("int8, window", louder(Mpt::make(1, grouped)),
                       LanguageDecoderOptions{.cache = {.type = CacheType::int8, .window = 5}}));
  all.push_back(made<RnnLanguageDecoder>(
      "rnn", louder(RnnLanguage::make(1, {.vocab_size = kWords, .embedding = 8, .width = 12}))));
  return all;
}

RnnTranslator rnn_translator() {
  return louder(RnnTranslator::make(2, {.source_vocabulary = kWords,
                                        .target_vocabulary = kWords,
                                        .embedding = 9,
                                        .width = 20,
                                        .max_length = 64}));
}

std::vector<Case> translators() {
  std::vector<Case> all;
  all.push_back(made<TransformerDecoder>("transformer", tiny_transformer(tiny_config()),
                                         TransformerDecoderOptions{}));
  all.push_back(made<TransformerDecoder>(
      "transformer, bf16", tiny_transformer(tiny_config()),
      TransformerDecoderOptions{.cache = {.type = CacheType::bf16, .window = 4}}));
  all.push_back(made<RnnDecoder>("rnn translator", rnn_translator(), kEos));
  return all;
}

/// Prompts of different lengths; the translators' are <bos>.
std::vector<Draw> texts_for(const StepModel& model) {
  const std::vector<Tokens> random = random_sentences(7, 11, kWords, 6);
  std::vector<Draw> texts;
  for (std::size_t i = 0; i < random.size(); ++i) {
    Draw text{.seed = 3 + i, .max_tokens = 18 - static_cast<std::int64_t>(i)};
    if (model.reads_sources()) {
      text.prompt = {.tokens = {kBos}, .source = random[i]};
    } else {
      text.prompt.tokens = random[i];
    }
    texts.push_back(text);
  }
  texts.push_back(texts.back());  // the prompt again, with another seed
  texts.back().seed = 99;
  return texts;
}

template <class Try>
void for_every_model(Try&& run) {
  for (const auto& family : {language_models, translators}) {
    for (const Case& c : family()) {
      SCOPED_TRACE(c.name);
      run(*c.model);
    }
  }
}

TEST(Policies, ADrawnTextDoesNotDependOnNeighboursBatchOrThreads) {
  const Threads restore(1);
  for_every_model([](const StepModel& model) {
    const std::vector<Draw> texts = texts_for(model);
    GenerateOptions options{.sample = {.temperature = 0.9, .repetition_penalty = 1.2},
                            .stop = kEos};
    std::vector<Tokens> alone;
    for (const Draw& text : texts) {
      alone.push_back(generate(model, std::span(&text, 1), options).front());
    }
    EXPECT_NE(alone[6], alone[7]) << "another seed";
    for (const int threads : {1, 3}) {
      const Threads set(threads);
      for (const std::int64_t batch : {2, 3, 100}) {
        options.batch = batch;
        EXPECT_EQ(generate(model, texts, options), alone) << batch;
      }
    }
  });
}

TEST(Policies, BeamsOfManyPromptsAreThoseOfEach) {
  for_every_model([](const StepModel& model) {
    std::vector<Prompt> prompts;
    for (const Draw& text : texts_for(model)) prompts.push_back(text.prompt);
    const SearchOptions options{
        .beam = 3, .n_best = 2, .suppressed = {0, kBos}, .max_length = 9, .min_length = 2};
    const auto together = search(model, prompts, options);
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      const auto alone = search(model, std::span(&prompts[i], 1), options).front();
      ASSERT_EQ(alone.size(), 2U);
      for (std::size_t n = 0; n < 2; ++n) {
        EXPECT_EQ(together[i][n].tokens, alone[n].tokens);
        EXPECT_EQ(together[i][n].token_scores, alone[n].token_scores);
        EXPECT_LE(alone[n].tokens.size(), 9U);
        EXPECT_GE(alone[n].tokens.size(), 2U);
      }
      EXPECT_GE(alone[0].score, alone[1].score);
    }
  });
}

TEST(Policies, ABeamOfOneIsTheLikeliestTokenEachTime) {
  for_every_model([](const StepModel& model) {
    for (Draw text : texts_for(model)) {
      text.max_tokens = 9;
      const Tokens greedy =
          generate(model, std::span(&text, 1), {.sample = {.temperature = 0}, .stop = kEos})
              .front();
      const SearchOptions options{.beam = 1, .max_factor = 0, .max_extra = 9, .max_length = 9};
      EXPECT_EQ(search(model, std::span(&text.prompt, 1), options).front().front().tokens, greedy);
    }
  });
}

TEST(Policies, WithoutAnEndABeamWritesToTheLimit) {
  const std::vector<Case> models = language_models();
  const StepModel& model = *models.front().model;
  const Draw text{.prompt = {.tokens = {5, 9, 30}}, .max_tokens = 7};
  SearchOptions options{.beam = 1, .eos = -1, .max_length = 7};
  const Hypothesis greedy = search(model, std::span(&text.prompt, 1), options).front().front();
  EXPECT_EQ(greedy.tokens,
            generate(model, std::span(&text, 1), {.sample = {.temperature = 0}}).front());
  options.beam = options.n_best = 4;
  const auto found = search(model, std::span(&text.prompt, 1), options).front();
  ASSERT_EQ(found.size(), 4U);
  for (const Hypothesis& h : found) {
    EXPECT_EQ(h.tokens.size(), 7U);
    ASSERT_EQ(h.token_scores.size(), 7U);
    double sum = 0;
    for (const float s : h.token_scores) sum += static_cast<double>(s);
    EXPECT_NEAR(h.log_probability, sum, 1e-9);
    EXPECT_NEAR(h.score, sum / 7, 1e-9);
  }
  EXPECT_GE(found[0].score, found[1].score);
  options.attention = true;
  EXPECT_THROW((void)search(model, std::span(&text.prompt, 1), options), Error);
}

TEST(Policies, DrawnTranslationsCarryTheScoresOfForcedScoring) {
  for (const Case& c : translators()) {
    SCOPED_TRACE(c.name);
    const std::vector<Tokens> sources = random_sentences(5, 9, kWords, 8);
    std::vector<const Tokens*> pointers;
    for (const Tokens& source : sources) pointers.push_back(&source);
    const SearchOptions options{
        .beam = 1, .n_best = 3, .suppressed = {0}, .max_length = 8, .attention = true};
    const auto drawn = draw(*c.model, pointers, options, {.temperature = 1.3, .seed = 5});
    bool differ = false;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      ASSERT_EQ(drawn[i].size(), 3U);
      differ = differ || drawn[i][0].tokens != drawn[i][1].tokens;
      for (const Hypothesis& h : drawn[i]) {
        SearchOptions one = options;
        one.n_best = 1;
        const Hypothesis want =
            score(*c.model, std::span(&sources[i], 1), std::span(&h.tokens, 1), one).front();
        ASSERT_EQ(h.token_scores.size(), want.token_scores.size());
        for (std::size_t t = 0; t < h.token_scores.size(); ++t) {
          EXPECT_NEAR(h.token_scores[t], want.token_scores[t], 1e-4f);
        }
        EXPECT_NEAR(h.score, want.score, 1e-4);
        EXPECT_EQ(h.attention, want.attention);
        EXPECT_EQ(h.sources, want.sources);
      }
    }
    EXPECT_TRUE(differ);
  }
}

/// The logits after these tokens, read in pieces.
std::vector<float> after(const StepModel& model, const Tokens& source, const Tokens& tokens,
                         std::int64_t piece) {
  const Tokens* const from = &source;
  const auto state = model.start(std::span(&from, 1), false);
  const std::int32_t parent = 0;
  for (std::size_t t = 0; t < tokens.size(); t += static_cast<std::size_t>(piece)) {
    const auto count = std::min(static_cast<std::size_t>(piece), tokens.size() - t);
    state->read(std::span(&parent, 1), std::span(tokens).subspan(t, count),
                Segments::one(static_cast<std::int64_t>(count)));
  }
  const Tensor z = state->logits();
  return {z.values().begin(), z.values().end()};
}

TEST(Policies, APromptReadAtOnceIsOneReadTokenByToken) {
  const Tokens tokens = {1, 7, 9, 30, 4, 12, 8}, source = {5, 6, 7};
  for_every_model([&](const StepModel& model) {
    if (testing::Test::HasFailure()) return;
    const Tokens from = model.reads_sources() ? source : Tokens{};
    const auto* mpt = dynamic_cast<const MptDecoder*>(&model);
    if (mpt && mpt->model().config.attn_config.prefix_lm) return;  // a prefix sees what follows
    const std::vector<float> whole = after(model, from, tokens, 7),
                             each = after(model, from, tokens, 1);
    for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(whole[i], each[i], 2e-4f);
  });
}

TEST(Policies, RowsOfAWrittenBatchMayHaveReadDifferentlyMuch) {
  const Case c = std::move(translators().front());
  const std::vector<Tokens> sources = random_sentences(2, 6, kWords, 9);
  const Tokens* const both[] = {&sources[0], &sources[1]};
  const Tokens first = {kBos, 9, 11}, second = {kBos};
  const auto state = c.model->start(both, true);
  Tokens packed = first;
  packed.insert(packed.end(), second.begin(), second.end());
  state->read(std::vector<std::int32_t>{0, 1}, packed, Segments({3, 1}));
  const Tensor together = state->logits();
  for (std::size_t i = 0; i < 2; ++i) {
    const std::vector<float> alone = after(*c.model, sources[i], i == 0 ? first : second, 3);
    for (std::size_t v = 0; v < alone.size(); ++v) {
      EXPECT_EQ(together.data()[i * kWords + v], alone[v]);
    }
    EXPECT_EQ(state->attention(static_cast<std::int64_t>(i)).size(), sources[i].size() + 1);
  }
}

TEST(Policies, CachesOfEveryPrecisionAreNearAndAWindowForgets) {
  const Mpt m = Mpt::make(1, mpt_config());
  const Tokens tokens = {1, 7, 9, 30, 4, 12, 8, 22, 5};
  const auto with = [&](const CacheOptions& cache) {
    return after(MptDecoder(m, {.cache = cache}), {}, tokens, 1);
  };
  const auto distance = [](const std::vector<float>& a, const std::vector<float>& b) {
    float most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
    return most;
  };
  const std::vector<float> exact = with({});
  EXPECT_EQ(distance(with({.window = 9}), exact), 0.0f);
  EXPECT_GT(distance(with({.window = 3}), exact), 1e-3f);
  for (const CacheType type : {CacheType::bf16, CacheType::int8}) {
    const float off = distance(with({.type = type}), exact);
    EXPECT_GT(off, 0.0f);
    EXPECT_LT(off, 0.1f);
  }
}

TEST(Policies, WhatAModelHasNotIsRefused) {
  Mpt::Config linear = mpt_config();
  linear.attn_config.alibi = false;
  linear.attn_config.linear = linear.attn_config.rope = true;
  const Mpt m = Mpt::make(1, linear);
  const CacheOptions bf16{.type = CacheType::bf16};
  EXPECT_THROW(MptDecoder(m, {.cache = bf16}), Error);
  const RnnLanguage r = RnnLanguage::make(1, {.vocab_size = 9, .embedding = 4, .width = 4});
  EXPECT_THROW(RnnLanguageDecoder(r, {.cache = {.window = 4}}), Error);
  const MptDecoder decoder(m);
  const Tokens source = {4}, none;
  const Tokens *from = &source, *nothing = &none;
  EXPECT_THROW((void)decoder.start(std::span(&from, 1), false), Error) << "a source";
  EXPECT_THROW((void)decoder.start(std::span(&nothing, 1), true), Error) << "attention to it";
  const auto state = decoder.start(std::span(&nothing, 1), false);
  EXPECT_THROW(state->advance(std::vector<std::int32_t>{1}, Tokens{3}), Error);
  EXPECT_THROW(
      state->read(std::vector<std::int32_t>{0}, {}, Segments(std::vector<std::int64_t>{0})), Error);
  // A recurrent translator reads one token of every row a step.
  const RnnTranslator t = rnn_translator();
  const RnnDecoder slow(t, kEos);
  const std::vector<Prompt> uneven = {{.tokens = {kBos, 7}, .source = {5}}, {.source = {5}}};
  EXPECT_THROW((void)search(slow, uneven, {}), Error);
  EXPECT_EQ(search(slow, std::span(uneven).first(1), {}).size(), 1U);
}

// What a cache attends to, step by step, is what the whole pass attends to.
TEST(Policies, AttentionIsSeenWhileDecoding) {
  for (const bool linear : {false, true}) {
    Mpt::Config c = mpt_config();
    c.attn_config.linear = c.attn_config.rope = linear;
    c.attn_config.alibi = !linear;
    const Mpt m = Mpt::make(3, c);
    const Tokens tokens = {1, 7, 9, 30, 4, 12, 8};
    const auto whole =
        attention_seen([&] { (void)m({.ids = tokens, .segments = Segments::one(7)}); });
    const auto steps = attention_seen([&] { (void)after(MptDecoder(m), {}, tokens, 3); });
    ASSERT_EQ(whole.size(), 2U);
    ASSERT_EQ(steps.size(), 2U);
    EXPECT_EQ(whole[1].path, "blocks.1.attn");
    for (std::size_t l = 0; l < 2; ++l) {
      EXPECT_EQ(steps[l].path, whole[l].path);
      ASSERT_EQ(steps[l].weights.shape(), whole[l].weights.shape());
      for (std::int64_t i = 0; i < whole[l].weights.count(); ++i) {
        EXPECT_NEAR(steps[l].weights.data()[i], whole[l].weights.data()[i], 1e-5f);
      }
    }
  }
}

}  // namespace
}  // namespace qkv

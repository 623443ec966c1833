#include "qkv/decode/sample.h"

#include <cmath>
#include <limits>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/decode/language_decoder.h"

namespace qkv {
namespace {

const std::vector<float> kLogits = {1.0f, 3.0f, -2.0f, 3.0f, 0.0f, 2.0f};

std::vector<std::int32_t> ids_of(const std::vector<Candidate>& c) {
  std::vector<std::int32_t> ids;
  for (const Candidate& one : c) ids.push_back(one.id);
  return ids;
}

TEST(Sample, CandidatesAreTheSoftmaxInOrder) {
  const std::vector<Candidate> c = candidates(kLogits, {}, {.temperature = 0.5});
  EXPECT_EQ(ids_of(c), (std::vector<std::int32_t>{1, 3, 5, 0, 4, 2})) << "ties by the lower id";
  double sum = 0, total = 0;
  for (const float z : kLogits) sum += std::exp(2 * double(z));
  for (const Candidate& one : c) {
    EXPECT_NEAR(one.probability, std::exp(2 * double(kLogits[std::size_t(one.id)])) / sum, 1e-12);
    total += one.probability;
  }
  EXPECT_NEAR(total, 1, 1e-12);
}

TEST(Sample, OptionsNarrowTheChoice) {
  const auto left = [](const SampleOptions& o, std::vector<std::int32_t> before = {}) {
    return ids_of(candidates(kLogits, before, o));
  };
  using Ids = std::vector<std::int32_t>;
  EXPECT_EQ(left({.temperature = 0}), Ids{1});
  EXPECT_EQ(left({.top_k = 3}), (Ids{1, 3, 5}));
  EXPECT_EQ(left({.top_k = 99}).size(), 6U);
  // p: .38 .38 .14 .05 …: two make .75, three .89.
  EXPECT_EQ(left({.top_p = 0.3}), Ids{1});
  EXPECT_EQ(left({.top_p = 0.7}), (Ids{1, 3}));
  EXPECT_EQ(left({.top_p = 0.8}), (Ids{1, 3, 5}));
  EXPECT_EQ(left({.top_k = 2, .top_p = 0.5}), Ids{1}) << "half of what top_k left";
  EXPECT_EQ(left({.temperature = 0, .suppressed = {1, -1, 77}}), Ids{3});
  EXPECT_EQ(left({.temperature = 0, .repetition_penalty = 2}, {1, 1}), Ids{3});
  EXPECT_EQ(left({.temperature = 0, .repetition_penalty = 2}, {1, 3}), Ids{5});
  EXPECT_EQ(left({.temperature = 0, .repetition_penalty = 2, .repetition_window = 1}, {1, 3}),
            Ids{1});
  const auto punished =
      candidates(kLogits, std::vector<std::int32_t>{2}, {.repetition_penalty = 2});
  EXPECT_EQ(punished.back().id, 2);
  EXPECT_NEAR(std::log(punished.back().probability / punished[3].probability), -4 - 1, 1e-9)
      << "a negative logit is multiplied";
  EXPECT_THROW((void)left({.suppressed = {0, 1, 2, 3, 4, 5}}), Error);
}

TEST(Sample, DrawsByProbabilityAndByPlaceAlone) {
  SampleOptions o{.temperature = 0.8, .top_k = 4, .seed = 9};
  const std::vector<Candidate> c = candidates(kLogits, {}, o);
  std::map<std::int32_t, int> counts;
  const int draws = 20'000;
  for (int t = 0; t < draws; ++t) ++counts[sample(kLogits, {}, t, o)];
  EXPECT_EQ(counts.size(), 4U);
  for (const Candidate& one : c) {
    const double deviation = std::sqrt(draws * one.probability * (1 - one.probability));
    EXPECT_NEAR(counts[one.id], draws * one.probability, 4 * deviation) << one.id;
  }
  int differ = 0;
  for (int t = 99; t >= 0; --t) {
    EXPECT_EQ(sample(kLogits, {}, t, o), sample(kLogits, {}, t, o));
    SampleOptions other = o;
    other.seed = 10;
    differ += sample(kLogits, {}, t, o) != sample(kLogits, {}, t, other);
  }
  EXPECT_GT(differ, 20);
}

TEST(Sample, RefusesWhatMakesNoSense) {
  for (const SampleOptions& o :
       {SampleOptions{.temperature = -1}, SampleOptions{.top_k = -1}, SampleOptions{.top_p = 0},
        SampleOptions{.top_p = 1.5}, SampleOptions{.repetition_penalty = 0},
        SampleOptions{.repetition_window = -1}, SampleOptions{.temperature = std::nan("")}}) {
    EXPECT_THROW((void)candidates(kLogits, {}, o), Error);
  }
  std::vector<float> bad = kLogits;
  for (const float value : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    bad[2] = value;
    EXPECT_THROW((void)candidates(bad, {}, {}), NumericError);
  }
  bad[2] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(candidates(bad, {}, {}).size(), 5U) << "never drawn";
}

/// Says that the next token is the last one plus one, of ten; counts what it reads.
class Counter final : public StepModel {
 public:
  std::int64_t vocabulary() const override { return 10; }
  bool reads_sources() const override { return false; }
  std::int64_t max_source() const override { return 0; }
  std::int64_t max_target() const override { return kUnlimited; }
  std::unique_ptr<StepState> start(std::span<const Tokens* const> sources, bool) const override {
    started.push_back(sources.size());
    return std::make_unique<State>(*this);
  }
  mutable std::vector<std::size_t> started, reads;

 private:
  struct State final : StepState {
    explicit State(const Counter& of) : counter(of) {}
    void advance(std::span<const std::int32_t>, std::span<const std::int32_t> tokens) override {
      counter.reads.push_back(tokens.size());
      last.assign(tokens.begin(), tokens.end());
    }
    void read(std::span<const std::int32_t>, std::span<const std::int32_t> tokens,
              const Segments& fresh) override {
      counter.reads.push_back(tokens.size());
      last.clear();
      for (std::int64_t b = 0; b < fresh.count(); ++b) {
        last.push_back(tokens[static_cast<std::size_t>(fresh.end(b) - 1)]);
      }
    }
    void choose(const Choice&, std::int32_t*, float*) override { FAIL(); }
    Tensor logits() override {
      Tensor z = Tensor::zeros({static_cast<std::int64_t>(last.size()), 10});
      float* row = z.data();
      for (const std::int32_t id : last) {
        row[(id + 1) % 10] = 5.0f;
        row += 10;
      }
      return z;
    }
    std::span<const float> attention(std::int64_t) const override { return {}; }
    const Counter& counter;
    Tokens last;
  };
};

TEST(Generate, ReadsThePromptOnceAndThenTokenByToken) {
  const Counter counter;
  std::vector<std::int32_t> told;
  const std::vector<std::int32_t> prompt = {4, 5};
  const auto ids = generate(counter, prompt, {.sample = {.temperature = 0}, .max_tokens = 5},
                            [&](std::int32_t id) {
                              told.push_back(id);
                              return true;
                            });
  EXPECT_EQ(ids, (std::vector<std::int32_t>{6, 7, 8, 9, 0}));
  EXPECT_EQ(told, ids);
  EXPECT_EQ(counter.reads, (std::vector<std::size_t>{2, 1, 1, 1, 1}));
  EXPECT_EQ(generate(counter, prompt, {.sample = {.temperature = 0}, .stop = 8}).size(), 2U);
  EXPECT_EQ(generate(counter, prompt, {.sample = {.temperature = 0}},
                     [](std::int32_t id) { return id != 7; })
                .size(),
            2U);
  EXPECT_TRUE(generate(counter, prompt, {.max_tokens = 0}).empty());
  EXPECT_THROW((void)generate(counter, prompt, {.max_tokens = -1}), Error);
  EXPECT_THROW((void)generate(counter, std::vector<std::int32_t>{}, {}), Error);
  EXPECT_THROW((void)generate(counter, prompt, {.batch = 0}), Error);
}

TEST(Generate, TextsThatAreDoneLeaveTheBatchAndEqualPromptsAreReadOnce) {
  const Counter counter;
  const std::vector<Draw> texts = {{.prompt = {.tokens = {4, 5}}},
                                   {.prompt = {.tokens = {4, 5}}, .max_tokens = 1},
                                   {.prompt = {.tokens = {1}}},
                                   {.prompt = {.tokens = {0, 0, 7}}}};
  std::vector<std::vector<std::int32_t>> told(4);
  const GenerateOptions options = {
      .sample = {.temperature = 0}, .max_tokens = 5, .stop = 9, .batch = 3};
  const auto ids = generate(counter, texts, options, [&](const DrawnToken& t) {
    EXPECT_EQ(t.ends, t.token == 9);
    EXPECT_EQ(t.logits.size(), 10U);
    if (!t.ends) told[static_cast<std::size_t>(t.text)].push_back(t.token);
    return true;
  });
  EXPECT_EQ(ids, (std::vector<Tokens>{{6, 7, 8}, {6}, {2, 3, 4, 5, 6}, {8}}));
  EXPECT_EQ(told, ids);
  EXPECT_EQ(counter.started, (std::vector<std::size_t>{2, 1})) << "a batch of 3 texts, one of 1";
  EXPECT_EQ(counter.reads, (std::vector<std::size_t>{3, 2, 2, 2, 1, 3, 1}));
}

Mpt::Config tiny(bool linear) {
  Mpt::Config c{.d_model = 16, .n_heads = 2, .n_layers = 2, .max_seq_len = 12, .vocab_size = 20};
  c.learned_pos_emb = false;
  c.attn_config.linear = c.attn_config.rope = linear;
  c.attn_config.alibi = !linear;
  return c;
}

/// Greedy decoding by whole forward passes.
template <class Logits>
std::vector<std::int32_t> slowly(std::vector<std::int32_t> ids, int count, Logits&& logits) {
  const std::size_t first = ids.size();
  for (int i = 0; i < count; ++i) {
    const Tensor z = logits(ids);
    ids.push_back(
        candidates(z.rows(z.dim(0) - 1, z.dim(0)).values(), {}, {.temperature = 0})[0].id);
  }
  return {ids.begin() + static_cast<std::ptrdiff_t>(first), ids.end()};
}

const GenerateOptions kGreedy = {.sample = {.temperature = 0}, .max_tokens = 40};

TEST(LanguageDecoder, StatesAndCachesGiveWhatWholePassesGive) {
  const std::vector<std::int32_t> prompt = {3, 1, 4, 1, 5};
  for (const bool linear : {false, true}) {
    const Mpt m = Mpt::make(1, tiny(linear));
    MptDecoder decoder(m);
    EXPECT_EQ(generate(decoder, prompt, kGreedy),
              slowly(prompt, 40,
                     [&](const auto& ids) {
                       return m.logits(
                           m({.ids = ids, .segments = Segments::one(std::int64_t(ids.size()))}));
                     }))
        << linear;
  }
  const RnnLanguage r = RnnLanguage::make(1, {.vocab_size = 20, .embedding = 8, .width = 12});
  RnnLanguageDecoder decoder(r);
  EXPECT_EQ(generate(decoder, prompt, kGreedy), slowly(prompt, 40, [&](const auto& ids) {
              return logits(r(ids, Segments::one(std::int64_t(ids.size()))).hidden, r.embedding,
                            VocabularyMatrix::table, r.bias);
            }));
}

TEST(LanguageDecoder, ABoundedContextReadsItsLastHalfAgain) {
  const std::vector<std::int32_t> prompt = {3, 1, 4, 1, 5, 9, 2, 6};
  Mpt::Config c = tiny(false);
  c.learned_pos_emb = true;  // twelve places
  const Mpt m = Mpt::make(1, c);
  MptDecoder decoder(m);
  std::vector<std::int32_t> window = prompt, expected;
  for (int i = 0; i < 40; ++i) {
    if (window.size() > 12) window.erase(window.begin(), window.end() - 6);
    const auto next = slowly(window, 1, [&](const auto& ids) {
      return m.logits(m({.ids = ids, .segments = Segments::one(std::int64_t(ids.size()))}));
    });
    window.push_back(next[0]);
    expected.push_back(next[0]);
  }
  EXPECT_EQ(generate(decoder, prompt, kGreedy), expected);
  EXPECT_THROW(MptDecoder(m, {.context = -1}), Error);
  std::vector<std::int32_t> longer(50, 7);
  const MptDecoder again(m, {.context = 5});
  EXPECT_EQ(generate(again, longer, kGreedy).size(), 40U);
}

TEST(LanguageDecoder, ThreadsDoNotChangeTheText) {
  const int before = threads();
  std::vector<std::int32_t> texts[2];
  for (const int count : {1, 3}) {
    set_threads(count);
    const Mpt m = Mpt::make(1, tiny(true));
    MptDecoder decoder(m);
    const std::vector<std::int32_t> prompt = {3, 1, 4};
    texts[count / 2] = generate(decoder, prompt, {.sample = {.seed = 4}, .max_tokens = 30});
  }
  set_threads(before);
  EXPECT_EQ(texts[0], texts[1]);
}

}  // namespace
}  // namespace qkv

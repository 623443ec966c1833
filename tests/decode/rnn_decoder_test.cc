#include "qkv/decode/rnn_decoder.h"

#include <cmath>

#include "decode/tiny_transformer.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/decode/score.h"
#include "qkv/decode/search.h"

namespace qkv {
namespace {

using test::random_sentences;

constexpr std::int32_t kBos = 1, kEos = 2;

std::vector<RnnTranslator::Config> configs() {
  RnnTranslator::Config plain{.source_vocabulary = 50,
                              .target_vocabulary = 40,
                              .embedding = 9,
                              .width = 20,
                              .context = RnnContext::fixed,
                              .max_length = 64};
  RnnTranslator::Config bahdanau = plain, luong = plain, fed = plain;
  bahdanau.context = RnnContext::before;
  bahdanau.bidirectional = true;
  luong.context = fed.context = RnnContext::after;
  luong.score = RnnScore::general;
  luong.cell = fed.cell = Cell::lstm;
  fed.input_feeding = true;
  RnnTranslator::Config monotonic = bahdanau, predictive = luong;
  monotonic.local = RnnLocal::monotonic;
  predictive.local = RnnLocal::predictive;
  monotonic.local_width = predictive.local_width = 3;
  return {plain, bahdanau, luong, fed, monotonic, predictive};
}

/// Random weights, made larger so that the next token depends on what was read and written.
RnnTranslator model_of(const RnnTranslator::Config& config) {
  RnnTranslator model = RnnTranslator::make(2, config);
  for_each_parameter(model, [](std::string_view, Tensor& p) {
    for (float& x : p.values()) x *= 1.7f;
  });
  return model;
}

std::vector<std::vector<double>> from_scratch(const RnnTranslator& model, const Tokens& source,
                                              const Tokens& target) {
  Tokens in = source, out = {kBos};
  in.push_back(kEos);
  out.insert(out.end(), target.begin(), target.end());
  const Segments s = Segments::one(static_cast<std::int64_t>(in.size()));
  const Tensor hidden =
      model.decode(out, Segments::one(static_cast<std::int64_t>(out.size())), model.encode(in, s));
  const Tensor z =
      logits(hidden, model.output.weight, VocabularyMatrix::projection, model.output.bias);
  std::vector<std::vector<double>> result;
  for (std::int64_t r = 0; r < z.dim(0); ++r) {
    const Tensor row = z.rows(r, r + 1);
    double sum = 0;
    for (float x : row.values()) sum += std::exp(static_cast<double>(x));
    result.emplace_back();
    for (float x : row.values()) {
      result.back().push_back(static_cast<double>(x) - std::log(sum));
    }
  }
  return result;
}

TEST(RnnDecoder, StepsWithBeamsEqualAFreshPass) {
  for (const auto& config : configs()) {
    SCOPED_TRACE(static_cast<int>(config.context));
    const RnnTranslator model = model_of(config);
    const RnnDecoder decoder(model);
    const auto sources = random_sentences(6, 9, config.source_vocabulary);
    const auto found = search(decoder, sources, {.beam = 4, .n_best = 4});
    for (std::size_t i = 0; i < sources.size(); ++i) {
      for (const Hypothesis& h : found[i]) {
        const auto want = from_scratch(model, sources[i], h.tokens);
        for (std::size_t t = 0; t <= h.tokens.size(); ++t) {
          const auto id = static_cast<std::size_t>(t < h.tokens.size() ? h.tokens[t] : kEos);
          EXPECT_NEAR(static_cast<double>(h.token_scores[t]), want[t][id], 2e-5);
        }
      }
    }
  }
}

TEST(RnnDecoder, ASentenceHasTheSameBitsWhateverItsNeighbours) {
  for (const auto& config : configs()) {
    SCOPED_TRACE(static_cast<int>(config.context));
    const RnnTranslator model = model_of(config);
    const RnnDecoder decoder(model);
    const auto sources = random_sentences(7, 9, config.source_vocabulary);
    const SearchOptions options{.beam = 3, .attention = config.attends()};
    const auto together = search(decoder, sources, options);
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const auto alone = search(decoder, std::vector<Tokens>{sources[i]}, options).at(0).at(0);
      EXPECT_EQ(alone.tokens, together[i][0].tokens);
      EXPECT_EQ(alone.token_scores, together[i][0].token_scores);
      EXPECT_EQ(alone.attention, together[i][0].attention);
    }
  }
}

TEST(RnnDecoder, ShowsWeightsThatSumToOne) {
  for (const auto& config : configs()) {
    if (!config.attends()) continue;
    const RnnTranslator model = model_of(config);
    const RnnDecoder decoder(model);
    const auto sources = random_sentences(3, 9, config.source_vocabulary);
    const auto found = search(decoder, sources, {.beam = 3, .attention = true});
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const Hypothesis& h = found[i][0];
      ASSERT_EQ(h.sources, static_cast<std::int64_t>(sources[i].size()) + 1);
      ASSERT_EQ(h.attention.size(), (h.tokens.size() + 1) * (sources[i].size() + 1));
      for (std::size_t t = 0; t <= h.tokens.size(); ++t) {
        double sum = 0;
        for (std::size_t j = 0; j <= sources[i].size(); ++j) {
          sum += static_cast<double>(h.attention[t * (sources[i].size() + 1) + j]);
        }
        // A predicted window's say too how near its middle the words are.
        if (config.local == RnnLocal::predictive) {
          EXPECT_GT(sum, 0.1);
          EXPECT_LT(sum, 1.0);
          continue;
        }
        EXPECT_NEAR(sum, 1.0, 1e-5);
      }
    }
  }
}

TEST(RnnDecoder, RowsOfSourcesMayComeInAnyOrder) {
  const RnnTranslator model = model_of(configs()[1]);
  const RnnDecoder decoder(model);
  const auto sources = random_sentences(3, 9, 50);
  const std::vector<const Tokens*> pointers{&sources[0], &sources[1], &sources[2]};
  const auto first = [&](std::vector<std::int32_t> parents) {
    const auto state = decoder.start(pointers, true);
    state->advance(parents, std::vector<std::int32_t>(parents.size(), kBos));
    std::vector<std::int32_t> ids(parents.size());
    std::vector<float> scores(parents.size());
    state->choose({}, ids.data(), scores.data());
    for (std::size_t r = 0; r < parents.size(); ++r) {
      const auto weights = state->attention(static_cast<std::int64_t>(r));
      scores.push_back(weights[0]);
    }
    return scores;
  };
  const auto sorted = first({0, 1, 2}), mixed = first({2, 0, 1});
  for (std::size_t r = 0; r < 3; ++r) {
    EXPECT_EQ(mixed[(r + 1) % 3], sorted[r]);
    EXPECT_EQ(mixed[3 + (r + 1) % 3], sorted[3 + r]);
  }
}

TEST(RnnDecoder, AModelWithoutAttentionShowsNone) {
  const RnnTranslator model = model_of(configs()[0]);
  const RnnDecoder decoder(model);
  const auto sources = random_sentences(1, 4, 50);
  EXPECT_THROW((void)search(decoder, sources, {.attention = true}), Error);
}

}  // namespace
}  // namespace qkv

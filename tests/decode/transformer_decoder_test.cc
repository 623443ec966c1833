#include "qkv/decode/transformer_decoder.h"

#include <cmath>

#include "decode/tiny_transformer.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/decode/score.h"
#include "qkv/decode/search.h"

namespace qkv {
namespace {

using test::random_sentences;
using test::tiny_config;
using test::tiny_configs;
using test::tiny_transformer;

// Products this small are slower on two threads; translator_test.cc covers threads.
class TransformerDecoderTest : public testing::Test {
  test::Threads one_{1};
};

constexpr std::int32_t kBos = 1, kEos = 2;

// log-softmax of the next token after each prefix of <bos> target, everything computed anew.
std::vector<std::vector<double>> from_scratch(const Transformer& model, const Tokens& source,
                                              const Tokens& target) {
  const NoRecording off;
  Tokens in = source;
  in.push_back(kEos);
  Tokens out = {kBos};
  out.insert(out.end(), target.begin(), target.end());
  const Segments s = Segments::one(static_cast<std::int64_t>(in.size()));
  const Segments t = Segments::one(static_cast<std::int64_t>(out.size()));
  const Tensor hidden = model.decode(out, t, model.encode(in, s), s);
  const Tensor z = logits(hidden, model.output_matrix(), model.output_stored(), model.output_bias);
  std::vector<std::vector<double>> result;
  for (std::int64_t r = 0; r < z.dim(0); ++r) {
    const auto row = z.rows(r, r + 1).values();
    double sum = 0;
    for (float x : row) sum += std::exp(static_cast<double>(x));
    result.emplace_back();
    for (float x : row) result.back().push_back(static_cast<double>(x) - std::log(sum));
  }
  return result;
}

TEST_F(TransformerDecoderTest, CachedEqualsFromScratch) {
  for (const auto& [name, config] : tiny_configs()) {
    SCOPED_TRACE(name);
    const Transformer model = tiny_transformer(config);
    const TransformerDecoder decoder(model);
    const auto sources = random_sentences(6, std::min<std::int64_t>(9, decoder.max_source()),
                                          config.source_vocabulary);
    // With beams the history is reordered again and again; all scores must be those of a fresh
    // pass.
    const auto found = search(decoder, sources, {.beam = 4, .n_best = 4});
    for (std::size_t i = 0; i < sources.size(); ++i) {
      ASSERT_EQ(found[i].size(), 4u);
      for (const Hypothesis& h : found[i]) {
        const auto expected = from_scratch(model, sources[i], h.tokens);
        ASSERT_EQ(h.token_scores.size(), expected.size());
        for (std::size_t t = 0; t < expected.size(); ++t) {
          const std::int32_t id = t < h.tokens.size() ? h.tokens[t] : kEos;
          EXPECT_NEAR(static_cast<double>(h.token_scores[t]),
                      expected[t][static_cast<std::size_t>(id)], 1e-5);
        }
      }
    }
  }
}

TEST_F(TransformerDecoderTest, BeamOfOneIsGreedyFromScratch) {
  for (const auto& [name, config] : tiny_configs()) {
    SCOPED_TRACE(name);
    const Transformer model = tiny_transformer(config, 3);
    const TransformerDecoder decoder(model);
    const auto sources = random_sentences(5, 6, config.source_vocabulary);
    const auto found = search(decoder, sources, {.beam = 1, .max_length = 11});
    for (std::size_t i = 0; i < sources.size(); ++i) {
      Tokens target;
      while (target.size() < 11) {
        const auto next = from_scratch(model, sources[i], target).back();
        const auto best = static_cast<std::int32_t>(std::ranges::max_element(next) - next.begin());
        if (best == kEos) break;
        target.push_back(best);
      }
      EXPECT_EQ(found[i].at(0).tokens, target);
    }
  }
}

TEST_F(TransformerDecoderTest, ScoringWhatSearchFoundGivesItsBits) {
  for (const auto& [name, config] : tiny_configs()) {
    SCOPED_TRACE(name);
    const Transformer model = tiny_transformer(config);
    const TransformerDecoder decoder(model);
    const auto sources = random_sentences(7, 7, config.source_vocabulary);
    const SearchOptions options = {.beam = 3, .n_best = 3, .attention = true};
    const auto found = search(decoder, sources, options);
    for (std::size_t n = 0; n < 3; ++n) {
      std::vector<Tokens> targets;
      for (const auto& f : found) targets.push_back(f.at(n).tokens);
      const auto scored = score(decoder, sources, targets, options);
      for (std::size_t i = 0; i < sources.size(); ++i) {
        EXPECT_EQ(scored[i].tokens, found[i][n].tokens);
        EXPECT_EQ(scored[i].token_scores, found[i][n].token_scores);
        EXPECT_EQ(scored[i].log_probability, found[i][n].log_probability);
        EXPECT_EQ(scored[i].score, found[i][n].score);
        EXPECT_EQ(scored[i].attention, found[i][n].attention);
      }
    }
  }
}

// The weights of one cross-attention for a whole target, from what an observer sees.
std::vector<float> observed_attention(const Transformer& model, const Tokens& source,
                                      const Tokens& target, std::size_t layer, std::int64_t head) {
  std::vector<std::vector<float>> seen;
  {
    const AttentionObserver observer([&](const AttentionCall& call) {
      const Tensor &q = call.q, &k = call.k;
      const std::int64_t heads = q.dim(1), dim = q.dim(2), keys = k.dim(0);
      std::vector<float> mean(static_cast<std::size_t>(q.dim(0) * keys));
      for (std::int64_t h = 0; h < heads; ++h) {
        if (head >= 0 && h != head) continue;
        for (std::int64_t i = 0; i < q.dim(0); ++i) {
          std::vector<double> p;
          double sum = 0;
          for (std::int64_t j = 0; j < keys; ++j) {
            double s = 0;
            for (std::int64_t d = 0; d < dim; ++d) {
              s += static_cast<double>(q.data()[(i * heads + h) * dim + d]) *
                   static_cast<double>(k.data()[(j * heads + h) * dim + d]);
            }
            p.push_back(std::exp(s / std::sqrt(static_cast<double>(dim))));
            sum += p.back();
          }
          for (std::int64_t j = 0; j < keys; ++j) {
            mean[static_cast<std::size_t>(i * keys + j)] +=
                static_cast<float>(p[static_cast<std::size_t>(j)] / sum) /
                static_cast<float>(head >= 0 ? 1 : heads);
          }
        }
      }
      seen.push_back(std::move(mean));
    });
    from_scratch(model, source, target);
  }
  // Encoder layers first, then self and cross of each decoder layer.
  return seen.at(model.encoder.size() + 2 * layer + 1);
}

TEST_F(TransformerDecoderTest, AttentionIsThatOfTheChosenLayerAndHead) {
  const Transformer model = tiny_transformer(tiny_config());
  const auto sources = random_sentences(4, 8, 50);
  struct Case {
    std::int64_t layer, head;
    std::size_t resolved;
  };
  for (const Case c : {Case{-2, -1, 0}, Case{-1, -1, 1}, Case{1, 2, 1}, Case{0, 0, 0}}) {
    const TransformerDecoder decoder(model, {.attention_layer = c.layer, .attention_head = c.head});
    const auto found = search(decoder, sources, {.beam = 3, .attention = true});
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const Hypothesis& h = found[i].at(0);
      const auto expected = observed_attention(model, sources[i], h.tokens, c.resolved, c.head);
      ASSERT_EQ(h.attention.size(), expected.size());
      for (std::size_t j = 0; j < expected.size(); ++j) {
        EXPECT_NEAR(h.attention[j], expected[j], 1e-5);
      }
    }
  }
}

TEST_F(TransformerDecoderTest, LengthsOfTheModelAreKept) {
  Transformer::Config config = tiny_config();
  config.max_length = 8;
  const Transformer model = tiny_transformer(config);
  const TransformerDecoder decoder(model);
  const std::vector<Tokens> longest = {Tokens(7, 5)}, too_long = {Tokens(8, 5)};
  const auto found = search(decoder, longest, {.beam = 5, .n_best = 5});
  for (const Hypothesis& h : found.at(0)) {
    EXPECT_LE(h.tokens.size(), 7u);
  }
  EXPECT_THROW(search(decoder, too_long, {}), Error);
  EXPECT_THROW(score(decoder, longest, too_long, {}), Error);
  EXPECT_EQ(score(decoder, longest, longest, {}).at(0).token_scores.size(), 8u);
}

TEST_F(TransformerDecoderTest, ScoringChecksItsInput) {
  const Transformer model = tiny_transformer(tiny_config());
  const TransformerDecoder decoder(model);
  const std::vector<Tokens> one = {{5}}, two = {{5}, {6}}, alien = {{50}}, negative = {{-1}};
  EXPECT_THROW(score(decoder, two, one, {}), Error);
  EXPECT_THROW(score(decoder, one, alien, {}), Error);
  EXPECT_THROW(score(decoder, one, negative, {}), Error);
  EXPECT_THROW(score(decoder, alien, one, {}), Error);
  EXPECT_TRUE(score(decoder, std::vector<Tokens>{}, std::vector<Tokens>{}, {}).empty());
}

TEST_F(TransformerDecoderTest, LayersAndHeadsThatAreNotThereThrow) {
  const Transformer model = tiny_transformer(tiny_config());
  EXPECT_THROW(TransformerDecoder(model, {.attention_layer = 2}), Error);
  EXPECT_THROW(TransformerDecoder(model, {.attention_layer = -3}), Error);
  EXPECT_THROW(TransformerDecoder(model, {.attention_head = 4}), Error);
  Transformer::Config one = tiny_config(), none = tiny_config();
  one.decoder_layers = 1;
  none.decoder_layers = 0;
  EXPECT_EQ(TransformerDecoder(tiny_transformer(one)).options().attention_layer, 0);
  const Transformer bare = tiny_transformer(none);
  EXPECT_THROW(search(TransformerDecoder(bare), std::vector<Tokens>{{3}}, {.attention = true}),
               Error);
  EXPECT_EQ(search(TransformerDecoder(bare), std::vector<Tokens>{{3}}, {}).size(), 1u);
}

TEST_F(TransformerDecoderTest, NaNWeightsAreReported) {
  Transformer model = tiny_transformer(tiny_config());
  model.source_embedding.values()[700] = NAN;
  EXPECT_THROW(search(TransformerDecoder(model), std::vector<Tokens>{{3}}, {}), NumericError);
}

}  // namespace
}  // namespace qkv

#include "qkv/decode/spelling.h"

#include <cmath>

#include "models/helpers.h"
#include <gtest/gtest.h>

#include "qkv/decode/search.h"
#include "qkv/ops/softmax.h"

namespace qkv {
namespace {

using testing::random_tensor;

class Spelling : public ::testing::Test {
 protected:
  void SetUp() override {
    SoundNetwork::Config c = sound_sizes(SoundTask::text);
    c.method = SpeechMethod::attention;
    c.bands = 3;
    c.symbols = 4;
    c.width = 8;
    c.heads = 2;
    c.feed_forward = 6;
    c.layers = 1;
    network = SoundNetwork::make(5, c);
    testing::shake(network, 2);
    states = network.encode({.segments = Segments({30, 21}), .rows = random_tensor({51, 3}, 8)});
  }
  SoundNetwork network;
  SoundStates states;
  SearchOptions options{.beam = 1, .bos = 4, .eos = 4, .max_length = 6};
};

TEST_F(Spelling, GreedyIsTheNetworksOwnChoice) {
  const TransformerDecoder model = spelling_model(network.decoder, states);
  const std::vector<Tokens> sources = sound_sources(states);
  const auto found = search(model, std::span<const Tokens>(sources), options);
  ASSERT_EQ(found.size(), 2U);
  for (std::int64_t b = 0; b < 2; ++b) {
    const Hypothesis& h = found[static_cast<std::size_t>(b)].front();
    Tokens in = {5};  // the start
    in.insert(in.end(), h.tokens.begin(), h.tokens.end());
    const std::int64_t from = states.segments.begin(b), to = states.segments.end(b);
    const SoundStates one{states.rows.rows(from, to), Segments::one(to - from)};
    const Tensor log_p = log_softmax(network.decoder.output(
        network.decoder.states(in, Segments::one(static_cast<std::int64_t>(in.size())), one, 0.0)));
    for (std::size_t t = 0; t < h.token_scores.size(); ++t) {
      const std::size_t token = t < h.tokens.size() ? static_cast<std::size_t>(h.tokens[t]) : 4;
      const auto row = log_p.values().subspan(t * 5, 5);
      EXPECT_NEAR(static_cast<double>(row[token]), static_cast<double>(h.token_scores[t]), 1e-5);
      if (h.tokens.size() < 6) {
        EXPECT_EQ(static_cast<std::size_t>(std::ranges::max_element(row) - row.begin()), token);
      }
    }
  }
}

TEST_F(Spelling, SoundsDoNotDependOnEachOther) {
  const TransformerDecoder model = spelling_model(network.decoder, states);
  const std::vector<Tokens> sources = sound_sources(states);
  options.beam = 3;
  const auto both = search(model, std::span<const Tokens>(sources), options);
  for (std::size_t b = 0; b < 2; ++b) {
    const auto one = search(model, std::span<const Tokens>(&sources[b], 1), options);
    EXPECT_EQ(one.front().front().tokens, both[b].front().tokens);
    EXPECT_EQ(one.front().front().log_probability, both[b].front().log_probability);
  }
}

}  // namespace
}  // namespace qkv

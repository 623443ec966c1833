// The copy task of the Annotated Transformer: V = 11, ten tokens, the first always 1; trained on
// random sequences until greedy decoding reproduces 1 … 10.
#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

#include "qkv/base/parallel.h"
#include "qkv/models/transformer.h"
#include "qkv/train/optimiser.h"
#include "qkv/train/schedule.h"

namespace qkv {
namespace {

using Ids = std::vector<std::int32_t>;
constexpr std::int64_t kLength = 10;

/// Source and target are the same tokens; the target's first one is given, as in greedy decoding.
TranslationBatch random_batch(std::int64_t sentences, std::uint64_t key) {
  Philox random(key);
  TranslationBatch batch;
  std::vector<std::int64_t> sources, targets;
  for (std::int64_t b = 0; b < sentences; ++b) {
    Ids tokens = {1};
    while (std::ssize(tokens) < kLength) {
      tokens.push_back(static_cast<std::int32_t>(1 + random() % 10));
    }
    batch.source.insert(batch.source.end(), tokens.begin(), tokens.end());
    batch.target_in.insert(batch.target_in.end(), tokens.begin(), tokens.end() - 1);
    batch.target_out.insert(batch.target_out.end(), tokens.begin() + 1, tokens.end());
    sources.push_back(kLength);
    targets.push_back(kLength - 1);
  }
  batch.source_segments = Segments(sources);
  batch.target_segments = Segments(targets);
  return batch;
}

/// Decodes everything again for each new token.
Ids greedy(const Transformer& m, const Ids& source) {
  const Segments one = Segments::one(std::ssize(source));
  const Tensor memory = m.encode(source, one);
  Ids tokens = {source[0]};
  while (tokens.size() < source.size()) {
    const Tensor hidden = m.decode(tokens, Segments::one(std::ssize(tokens)), memory, one);
    const Tensor scores = logits(hidden.rows(hidden.dim(0) - 1, hidden.dim(0)), m.output_matrix(),
                                 m.output_stored(), m.output_bias);
    const auto values = scores.values();
    tokens.push_back(static_cast<std::int32_t>(std::ranges::max_element(values) - values.begin()));
  }
  return tokens;
}

TEST(CopyTask, GreedyDecodingReproducesTheSource) {
  if (QKV_SWEEP > 1) GTEST_SKIP() << "learnt without sanitizers: minutes here, and no other loops";
  Transformer::Config c;
  c.source_vocabulary = c.target_vocabulary = 11;
  c.width = 64;
  c.heads = 4;
  c.feed_forward = 128;
  c.encoder_layers = c.decoder_layers = 2;
  c.max_length = kLength;
  c.dropout = 0.0;
  Transformer model = Transformer::make(1, c);
  Optimiser optimiser(model, {.beta2 = 0.98, .eps = 1e-9});
  const Schedule schedule = {.rate = 3e-3, .warm_up = 100};
  Ids source(kLength);
  std::iota(source.begin(), source.end(), 1);
  EXPECT_NE(greedy(model, source), source) << "an untrained model should not copy";

  // One thread: two would wait for each other at every small loop when the machine is busy.
  const int before = threads();
  set_threads(1);
  // 400 steps suffice for most roundings and not for all: other vector widths are other roundings.
  constexpr std::int64_t kSentences = 80, kSteps = 800;
  for (std::int64_t s = 1; s <= kSteps; ++s) {
    const auto key = static_cast<std::uint64_t>(s);
    optimiser.clear_gradients();
    Tape tape;
    Tensor loss;
    {
      const Recording on(tape, key);
      loss =
          model.loss(random_batch(kSentences, key), {.scale = 1.0 / (kSentences * (kLength - 1))})
              .loss;
    }
    tape.backward(loss);
    optimiser.step(schedule.at(s));
  }
  set_threads(before);

  const CrossEntropyResult unseen = model.loss(random_batch(100, 1'000'000), {});
  EXPECT_LT(unseen.nll_sum / static_cast<double>(unseen.tokens), 0.02);
  EXPECT_GE(unseen.correct, unseen.tokens * 99 / 100);
  EXPECT_EQ(greedy(model, source), source);
  EXPECT_EQ(greedy(model, {1, 10, 9, 8, 7, 6, 5, 4, 3, 2}), (Ids{1, 10, 9, 8, 7, 6, 5, 4, 3, 2}));
  EXPECT_EQ(greedy(model, {1, 5, 5, 5, 1, 2, 2, 1, 5, 5}), (Ids{1, 5, 5, 5, 1, 2, 2, 1, 5, 5}));
}

}  // namespace
}  // namespace qkv

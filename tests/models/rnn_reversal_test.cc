// A recurrent translator learns to write numbers backwards, and its attention says how: it goes
// through the source from the end to the beginning.
#include <algorithm>

#include <gtest/gtest.h>

#include "qkv/base/parallel.h"
#include "qkv/decode/rnn_decoder.h"
#include "qkv/decode/search.h"
#include "qkv/models/rnn_translator.h"
#include "qkv/train/optimiser.h"

namespace qkv {
namespace {

constexpr std::int32_t kBos = 1, kEos = 2, kFirst = 3, kVocabulary = 13;

std::vector<Tokens> random_numbers(std::int64_t count, std::uint64_t seed) {
  Philox random(key_of(seed, 3));
  std::vector<Tokens> all;
  for (std::int64_t i = 0; i < count; ++i) {
    Tokens digits(3 + random.below(5));
    for (std::int32_t& id : digits) {
      id = kFirst + static_cast<std::int32_t>(random.below(kVocabulary - kFirst));
    }
    all.push_back(std::move(digits));
  }
  return all;
}

TranslationBatch batch_of(const std::vector<Tokens>& numbers) {
  TranslationBatch b;
  std::vector<std::int64_t> lengths;
  for (const Tokens& digits : numbers) {
    b.source.insert(b.source.end(), digits.begin(), digits.end());
    b.source.push_back(kEos);
    b.target_in.push_back(kBos);
    b.target_in.insert(b.target_in.end(), digits.rbegin(), digits.rend());
    b.target_out.insert(b.target_out.end(), digits.rbegin(), digits.rend());
    b.target_out.push_back(kEos);
    lengths.push_back(static_cast<std::int64_t>(digits.size()) + 1);
  }
  b.source_segments = b.target_segments = Segments(lengths);
  return b;
}

TEST(RnnReversal, IsLearnedByLookingBackwards) {
  if (QKV_SWEEP > 1) GTEST_SKIP() << "learnt without sanitizers: minutes here, and no other loops";
  // One thread: two would wait for each other at every small loop when the machine is busy.
  const int before = threads();
  set_threads(1);
  RnnTranslator model = RnnTranslator::make(1, {.source_vocabulary = kVocabulary,
                                                .target_vocabulary = kVocabulary,
                                                .embedding = 16,
                                                .width = 32,
                                                .layers = 1,
                                                .bidirectional = true,
                                                .dropout = 0.0});
  Optimiser optimiser(model, {.clip_norm = 1});
  constexpr std::uint64_t kSteps = 500;
  for (std::uint64_t s = 1; s <= kSteps; ++s) {
    const TranslationBatch batch = batch_of(random_numbers(32, s));
    optimiser.clear_gradients();
    Tape tape;
    Tensor loss;
    {
      const Recording on(tape, s);
      loss = model.loss(batch, {.scale = 1.0 / static_cast<double>(batch.target_out.size())}).loss;
    }
    tape.backward(loss);
    optimiser.step(5e-3);
  }

  const std::vector<Tokens> unseen = random_numbers(50, 1'000'000);
  const RnnDecoder decoder(model, kEos);
  const auto found =
      search(decoder, unseen, {.beam = 1, .bos = kBos, .eos = kEos, .attention = true});
  set_threads(before);
  std::int64_t right = 0, steps = 0, backwards = 0;
  for (std::size_t i = 0; i < unseen.size(); ++i) {
    const Hypothesis& h = found[i][0];
    right += h.tokens == Tokens(unseen[i].rbegin(), unseen[i].rend());
    for (std::size_t t = 0; t < std::min(h.tokens.size(), unseen[i].size()); ++t, ++steps) {
      const auto row = h.attention.begin() + static_cast<std::ptrdiff_t>(t) * h.sources;
      const auto seen = static_cast<std::size_t>(std::max_element(row, row + h.sources) - row);
      backwards += seen + t + 1 == unseen[i].size();
    }
  }
  EXPECT_GE(right, 45) << "of 50";
  EXPECT_GE(backwards, steps * 8 / 10) << "of " << steps;
}

}  // namespace
}  // namespace qkv

// What each kind of encoder can learn (Hung-yi Lee's task shapes): a tag that depends on the whole
// sequence, and a class that depends on two words wherever they stand.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "qkv/base/parallel.h"
#include "qkv/models/labeller.h"
#include "qkv/train/optimiser.h"

namespace qkv {
namespace {

std::int32_t drawn(Philox& random, std::int64_t n) {
  return static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(n)));
}

/// Each token's tag is the parity of its count so far.
LabelBatch parities(std::int64_t count, std::uint64_t seed) {
  constexpr std::int64_t kAlphabet = 3;
  Philox random(key_of(seed, 5));
  LabelBatch b;
  std::vector<std::int64_t> lengths;
  for (std::int64_t i = 0; i < count; ++i) {
    lengths.push_back(3 + drawn(random, 4));
    std::vector<std::int32_t> seen(kAlphabet);
    for (std::int64_t t = 0; t < lengths.back(); ++t) {
      b.words.push_back(drawn(random, kAlphabet));
      b.tags.push_back(++seen[static_cast<std::size_t>(b.words.back())] % 2);
    }
  }
  b.segments = Segments(lengths);
  return b;
}

/// Class 1: both 0 and 1 occur; half of the sequences, which have one or none of them otherwise.
LabelBatch pairs(std::int64_t count, std::uint64_t seed) {
  Philox random(key_of(seed, 6));
  LabelBatch b;
  std::vector<std::int64_t> lengths;
  for (std::int64_t i = 0; i < count; ++i) {
    std::vector<std::int32_t> words(static_cast<std::size_t>(5 + drawn(random, 6)));
    for (std::int32_t& word : words) word = 2 + drawn(random, 6);
    const bool both = random.below(2) == 1;
    const std::int32_t which = both ? 3 : drawn(random, 3);  // a bit for each
    const std::size_t place = random.below(words.size());
    const std::size_t other = (place + 1 + random.below(words.size() - 1)) % words.size();
    if ((which & 1) != 0) words[place] = 0;
    if ((which & 2) != 0) words[other] = 1;
    b.words.insert(b.words.end(), words.begin(), words.end());
    lengths.push_back(static_cast<std::int64_t>(words.size()));
    b.classes.push_back(both ? 1 : 0);
  }
  b.segments = Segments(lengths);
  return b;
}

double share_equal(const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
  double equal = 0;
  for (std::size_t i = 0; i < a.size(); ++i) equal += a[i] == b[i];
  return equal / static_cast<double>(a.size());
}

Labeller trained(Labeller::Config config, LabelBatch (*batch)(std::int64_t, std::uint64_t),
                 int steps, double rate) {
  config.embedding = config.width = 32;
  config.feed_forward = 64;
  config.max_length = 16;
  config.positions = PositionKind::learned;
  config.crf = false;
  config.dropout = config.embedding_dropout = 0;
  Labeller m = Labeller::make(1, config);
  Optimiser optimiser(m, {.clip_norm = 1});
  for (int s = 1; s <= steps; ++s) {
    const LabelBatch b = batch(32, static_cast<std::uint64_t>(s));
    optimiser.clear_gradients();
    Tape tape;
    Tensor loss;
    {
      const Recording on(tape, static_cast<std::uint64_t>(s));
      loss = m.loss(b, {.tag_scale = 1.0 / static_cast<double>(b.words.size()),
                        .class_scale = 1.0 / 32})
                 .loss;
    }
    tape.backward(loss);
    const double warm = std::min(1.0, s / 50.0);
    optimiser.step(rate * warm * std::min(1.0, (steps - s + 1) / (0.3 * steps)));
  }
  return m;
}

/// One thread: two would wait for each other at every small loop when the machine is busy.
class LabellerLearning : public ::testing::Test {
 protected:
  void SetUp() override { set_threads(1); }
  void TearDown() override { set_threads(before_); }
  int before_ = threads();
};

TEST_F(LabellerLearning, ParityNeedsTheWholeSequence) {
  const LabelBatch unseen = parities(300, 1'000'000);
  const auto accuracy = [&](LabelEncoder encoder, std::int64_t layers, int steps, double rate) {
    const Labeller m = trained({.words = 3,
                                .tags = 2,
                                .encoder = encoder,
                                .layers = layers,
                                .cell = Cell::gru,
                                .bidirectional = false},
                               parities, steps, rate);
    return share_equal(m.predict(unseen).tags, unseen.tags);
  };
  EXPECT_GE(accuracy(LabelEncoder::rnn, 1, 150, 0.01), 0.99);
  EXPECT_GE(accuracy(LabelEncoder::attention, 2, 500, 0.007), 0.99);
  // A word by itself tells nothing but that first occurrences are odd and common.
  const double odd = share_equal(unseen.tags, std::vector<std::int32_t>(unseen.tags.size(), 1));
  EXPECT_LE(accuracy(LabelEncoder::fc, 2, 150, 0.01), odd + 0.01);
}

TEST_F(LabellerLearning, AClassCanHangOnTwoWords) {
  const LabelBatch unseen = pairs(300, 1'000'000);
  const Labeller m =
      trained({.words = 8, .classes = 2, .encoder = LabelEncoder::attention}, pairs, 300, 0.005);
  EXPECT_GE(share_equal(m.predict(unseen).classes, unseen.classes), 0.99);
}

}  // namespace
}  // namespace qkv

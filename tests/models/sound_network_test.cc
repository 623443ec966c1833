#include "qkv/models/sound_network.h"

#include <cstring>

#include "models/picture_helpers.h"
#include <gtest/gtest.h>

#include "qkv/attention/observer.h"
#include "qkv/nn/positions.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/pieces.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

using testing::check_module;
using testing::expect_near;
using testing::expect_same_on_two_threads;
using testing::random_tensor;
using testing::same_bits;
using testing::shake;

SoundNetwork::Config published(SoundTask task, SpeechMethod method = SpeechMethod::ctc) {
  SoundNetwork::Config c = sound_sizes(task);
  c.method = method;
  c.symbols = task == SoundTask::frame ? 11 : 10;
  return c;
}

TEST(SoundNetwork, ParameterCounts) {
  EXPECT_EQ(parameter_count(SoundNetwork::make(1, published(SoundTask::clip))), 87'883);
  EXPECT_EQ(parameter_count(SoundNetwork::make(1, published(SoundTask::frame))), 264'971);
  const auto text = [](SpeechMethod method) {
    return parameter_count(SoundNetwork::make(1, published(SoundTask::text, method)));
  };
  EXPECT_EQ(text(SpeechMethod::ctc), 339'755);
  EXPECT_EQ(text(SpeechMethod::joint), 339'755 + 226'859);
  EXPECT_EQ(text(SpeechMethod::joint), 566'614);
  EXPECT_EQ(text(SpeechMethod::attention), 566'614 - 97 * 11);
}

SoundNetwork::Config small(SoundTask task, SpeechMethod method = SpeechMethod::ctc) {
  SoundNetwork::Config c = sound_sizes(task);
  c.method = method;
  c.bands = 3;
  c.symbols = 4;
  c.width = 8;
  c.heads = 2;
  c.feed_forward = 6;
  c.layers = 1;
  c.decoder_layers = 1;
  if (task == SoundTask::frame) c.window = 3;
  return c;
}

SoundBatch batch_of(const SoundNetwork::Config& c, DType type) {
  SoundBatch b;
  b.segments = Segments({13, 9, 10});
  b.rows = random_tensor({32, c.bands}, 5, type);
  b.first = {0, 7, 2};
  if (c.task == SoundTask::clip) b.labels = {1, 3, 0};
  if (c.task == SoundTask::frame) {
    for (std::int32_t t = 0; t < 32; ++t) b.labels.push_back(t % 5 - 1);  // some count for nothing
  }
  if (c.task == SoundTask::text) {
    b.labels = {2, 2, 0, 3};
    b.texts = Segments({3, 0, 1});
  }
  return b;
}

std::vector<SoundNetwork::Config> kinds() {
  std::vector<SoundNetwork::Config> all = {
      small(SoundTask::clip), small(SoundTask::frame), small(SoundTask::text),
      small(SoundTask::text, SpeechMethod::attention), small(SoundTask::text, SpeechMethod::joint)};
  all.push_back(all.front());
  all.back().positions = SoundPositions::alibi;
  return all;
}

TEST(SoundNetwork, GradientsInDouble) {
  for (const SoundNetwork::Config& c : kinds()) {
    SoundNetwork m = SoundNetwork::make({3, DType::f64}, c);
    shake(m, 9);
    const SoundBatch batch = batch_of(c, DType::f64);
    SCOPED_TRACE(std::string(name_of(c.task)) + " " + std::string(name_of(c.method)));
    check_module<SoundNetwork>(
        m, [&](const SoundNetwork& n) { return n.loss(batch, {.scale = 0.2}).loss; });
  }
}

TEST(SoundNetwork, JointLossIsTheWeightedSum) {
  const SoundNetwork m =
      SoundNetwork::make({3, DType::f64}, small(SoundTask::text, SpeechMethod::joint));
  const SoundBatch batch = batch_of(m.config, DType::f64);
  const auto at = [&](double share) { return m.loss(batch, {.ctc_share = share}).nll_sum; };
  EXPECT_NEAR(at(0.3), 0.3 * at(1.0) + 0.7 * at(0.0), 1e-9);
  EXPECT_NEAR(number(m.loss(batch).loss, 0), at(0.3), 1e-9);
  EXPECT_EQ(m.loss(batch).tokens, 4 + 3);
}

/// One sound of a batch alone.
SoundBatch alone(const SoundBatch& all, std::int64_t b) {
  return {.segments = Segments::one(all.segments.length(b)),
          .rows = all.rows.rows(all.segments.begin(b), all.segments.end(b)),
          .first = {all.first[static_cast<std::size_t>(b)]}};
}

TEST(SoundNetwork, PackedIsAloneToTheBit) {
  for (const SoundNetwork::Config& c : kinds()) {
    const SoundNetwork m = SoundNetwork::make(3, c);
    const SoundBatch batch = batch_of(c, DType::f32);
    const SoundStates all = m.encode(batch);
    for (std::int64_t b = 0; b < 3; ++b) {
      const SoundStates one = m.encode(alone(batch, b));
      EXPECT_EQ(one.segments.total(), m.rows_of(batch.segments.length(b)));
      EXPECT_TRUE(same_bits(one.rows, all.rows.rows(all.segments.begin(b), all.segments.end(b))));
      if (c.task != SoundTask::clip) continue;
      EXPECT_TRUE(same_bits(m.logits(one), m.logits(all).rows(b, b + 1)));
    }
    expect_same_on_two_threads([&] { return m.encode(batch).rows; });
  }
}

TEST(SoundNetwork, StridesShortenEachSoundByItself) {
  const SoundNetwork m = SoundNetwork::make(1, small(SoundTask::text));
  const SoundStates s = m.encode(batch_of(m.config, DType::f32));
  EXPECT_EQ(s.segments.length(0), 4);  // 13 -> 7 -> 4
  EXPECT_EQ(s.segments.length(1), 3);
  EXPECT_EQ(s.segments.length(2), 3);
}

TEST(SoundNetwork, WindowHidesWhatIsFurther) {
  SoundNetwork::Config c = small(SoundTask::frame);
  const SoundNetwork m = SoundNetwork::make(3, c);
  SoundBatch b{.segments = Segments::one(20), .rows = random_tensor({20, 3}, 1)};
  const Tensor before = m.logits(m.encode(b));
  b.rows = b.rows.clone();
  for (std::int64_t i = 0; i < 3; ++i) b.rows.data()[19 * 3 + i] += 1;
  const Tensor after = m.logits(m.encode(b));
  // Two convolutions reach 2 rows, the window 2 more.
  EXPECT_TRUE(same_bits(before.rows(0, 15), after.rows(0, 15)));
  EXPECT_FALSE(same_bits(before.rows(15, 16), after.rows(15, 16)));
}

TEST(SoundNetwork, PositionsCountFromTheFirst) {
  const SoundNetwork m = SoundNetwork::make(3, small(SoundTask::text));
  SoundBatch b{.segments = Segments::one(8), .rows = random_tensor({8, 3}, 1)};
  const Tensor from0 = m.encode(b).rows;
  b.first = {0};
  EXPECT_TRUE(same_bits(from0, m.encode(b).rows));
  b.first = {5};
  EXPECT_FALSE(same_bits(from0, m.encode(b).rows));
}

TEST(SoundNetwork, PoolingLooksThroughOneQuery) {
  const SoundNetwork m = SoundNetwork::make(3, small(SoundTask::clip));
  const SoundBatch batch = batch_of(m.config, DType::f32);
  const auto seen = attention_seen([&] { (void)m.logits(m.encode(batch)); });
  ASSERT_EQ(seen.back().path, "encoder.pooling");
  const Tensor rows = m.encode(batch).rows;
  double sum = 0;  // softmax over the first sound's 7 rows, by hand
  std::vector<double> e;
  for (std::int64_t t = 0; t < 7; ++t) {
    double score = 0;
    for (std::int64_t c = 0; c < 8; ++c)
      score += number(rows, t * 8 + c) * number(m.pooling.weight, c);
    sum += e.emplace_back(std::exp(score));
  }
  for (std::int64_t t = 0; t < 7; ++t) {
    EXPECT_NEAR(number(seen.back().weights, t), e[static_cast<std::size_t>(t)] / sum, 1e-5);
  }
}

TEST(SoundNetwork, RefusesWhatMakesNoModel) {
  SoundNetwork::Config c = small(SoundTask::frame);
  c.second_stride = 2;
  EXPECT_THROW(c.check(), Error);
  c = small(SoundTask::clip);
  c.symbols = 1;
  EXPECT_THROW(c.check(), Error);
  c = small(SoundTask::clip);
  c.heads = 3;
  EXPECT_THROW(c.check(), Error);
  const SoundNetwork m = SoundNetwork::make(3, small(SoundTask::clip));
  EXPECT_THROW((void)m.encode({.segments = Segments({2, 0}), .rows = random_tensor({2, 3}, 1)}),
               ShapeError);
  EXPECT_THROW((void)m.encode({.segments = Segments::one(2), .rows = random_tensor({2, 4}, 1)}),
               ShapeError);
  EXPECT_THROW((void)m.loss({.segments = Segments::one(2), .rows = random_tensor({2, 3}, 1)}),
               ShapeError);
}

TEST(SoundNetwork, ImpossibleTextsAreCounted) {
  const SoundNetwork m = SoundNetwork::make(3, small(SoundTask::text));
  SoundBatch b{.segments = Segments({8, 8}), .rows = random_tensor({16, 3}, 1)};
  b.labels = {1, 1, 2};  // "1 1" needs three rows, there are two
  b.texts = Segments({2, 1});
  EXPECT_EQ(m.loss(b).impossible, 1);
}

}  // namespace
}  // namespace qkv

#include "qkv/models/labeller.h"

#include <algorithm>
#include <limits>

#include "models/helpers.h"
#include "models/small_labeller.h"

#include "qkv/base/parallel.h"

namespace qkv {
namespace {

using namespace small_labeller;
using testing::check_module;
using testing::same_bits;

TEST(Labeller, HasTheParametersOfItsFormula) {
  const std::int64_t in = 6 + 4 + 2, C = 8, F = 10;
  const std::int64_t features = kWords * 6 + kCharacters * 3 + (3 * 3 * 4 + 4) + kShapes * 2;
  const std::int64_t tag_head = C * kTags + kTags, chain = kTags * kTags + 2 * kTags;
  const std::int64_t class_head = C * kClasses + kClasses, pooling = C * C + C + C;
  const std::int64_t heads = tag_head + chain + class_head + pooling;
  const auto count = [](const Labeller::Config& c) {
    return parameter_count(Labeller::make(1, c));
  };
  const auto lstm = [](std::int64_t x, std::int64_t h) { return 4 * (x * h + h * h + 2 * h); };
  const std::int64_t block = 4 * (C * C + C) + (C * F + F) + (F * C + C) + 2 * 2 * C;

  EXPECT_EQ(count(small(LabelEncoder::fc)), features + (in * C + C) + (C * C + C) + heads);
  EXPECT_EQ(count(small(LabelEncoder::cnn)), features + (3 * in * C + C) + (3 * C * C + C) + heads);
  EXPECT_EQ(count(small(LabelEncoder::rnn)),
            features + 2 * lstm(in, C / 2) + 2 * lstm(C, C / 2) + heads);
  for (const LabelEncoder encoder : {LabelEncoder::attention, LabelEncoder::linear}) {
    EXPECT_EQ(count(small(encoder)), features + (in * C + C) + 2 * block + 2 * C + heads);
  }

  Labeller::Config c = small(LabelEncoder::attention);
  c.positions = PositionKind::learned;
  c.norm = NormPlacement::post;
  c.crf = false;
  c.pooling = Pooling::token;
  EXPECT_EQ(count(c), features + (in * C + C) + 2 * block + 16 * C + tag_head + class_head + in);
  c.embedding = 2;  // now the features are as wide as the model: nothing projects them
  EXPECT_EQ(count(c), features - kWords * 4 + 2 * block + 16 * C + tag_head + class_head + C);

  c = small(LabelEncoder::rnn, 0);
  c.cell = Cell::gru;
  c.bidirectional = false;
  c.characters = c.shapes = 0;
  c.pooling = Pooling::max;
  EXPECT_EQ(count(c),
            kWords * 6 + 3 * (6 * C + C * C + 2 * C) + 3 * (2 * C * C + 2 * C) + class_head);
  c = small(LabelEncoder::rnn, kTags, 0);
  EXPECT_EQ(count(c), count(small(LabelEncoder::rnn)) - class_head - pooling);
  EXPECT_EQ(count(joint(LabelEncoder::rnn)),
            count(small(LabelEncoder::rnn)) + 2 * kTags * kClasses);
}

TEST(Labeller, GradientsMatchFiniteDifferences) {
  // An empty sequence, one word, several.
  const LabelBatch batch = random_batch({3, 0, 1, 4}, 1);
  for (const LabelEncoder encoder : kEncoders) {
    for (const bool crf : {false, true}) {
      Labeller::Config c = joint(encoder);
      c.crf = crf;
      c.activation = Activation::gelu;
      SCOPED_TRACE(static_cast<int>(encoder));
      check_module<Labeller>(
          made(c, 2, DType::f64),
          [&](const Labeller& m) {
            return m.loss(batch, {.tag_scale = 0.2, .class_scale = 0.5}).loss;
          },
          2);
    }
  }
  for (const Pooling pooling : {Pooling::mean, Pooling::max, Pooling::token}) {
    Labeller::Config c = small(LabelEncoder::attention, 0);
    c.pooling = pooling;
    c.activation = Activation::gelu;
    c.positions = PositionKind::learned;
    SCOPED_TRACE(static_cast<int>(pooling));
    check_module<Labeller>(
        made(c, 3, DType::f64),
        [&](const Labeller& m) { return m.loss(batch, {.smoothing = 0.1}).loss; }, 2);
  }
}

TEST(Labeller, ASequenceIsTheSameAmongAnyNeighboursAndThreads) {
  const std::vector<std::int64_t> lengths{5, 1, 0, 9, 7};
  const LabelBatch all = random_batch(lengths, 3);
  for (const LabelEncoder encoder : kEncoders) {
    for (const Pooling pooling : {Pooling::attention, Pooling::token}) {
      if (encoder == LabelEncoder::fc && pooling == Pooling::token) continue;
      Labeller::Config c = joint(encoder);
      c.pooling = pooling;
      const Labeller m = made(c);
      const int before = threads();
      set_threads(1);
      const LabelPrediction one = m.predict(all);
      set_threads(2);
      const LabelPrediction two = m.predict(all);
      set_threads(before);
      EXPECT_EQ(one.tags, two.tags);
      EXPECT_EQ(one.tag_scores, two.tag_scores);
      EXPECT_TRUE(same_bits(one.class_log_probabilities, two.class_log_probabilities));
      for (std::int64_t b = 0; b < all.segments.count(); ++b) {
        const std::int64_t first = all.segments.begin(b), last = all.segments.end(b);
        const auto part = [&](const std::vector<std::int32_t>& x) {
          return std::vector<std::int32_t>(x.begin() + first, x.begin() + last);
        };
        LabelBatch own;
        own.segments = Segments({last - first});
        own.words = part(all.words);
        own.shapes = part(all.shapes);
        std::vector<std::int64_t> pieces;
        for (std::int64_t t = first; t < last; ++t) {
          pieces.push_back(all.word_characters.length(t));
          for (std::int64_t i = all.word_characters.begin(t); i < all.word_characters.end(t); ++i) {
            own.characters.push_back(all.characters[static_cast<std::size_t>(i)]);
          }
        }
        own.word_characters = Segments(pieces);
        const LabelPrediction alone = m.predict(own);
        EXPECT_EQ(alone.tags, part(one.tags));
        EXPECT_EQ(alone.tag_scores[0], one.tag_scores[static_cast<std::size_t>(b)]);
        EXPECT_EQ(alone.classes[0], one.classes[static_cast<std::size_t>(b)]);
        EXPECT_TRUE(
            same_bits(alone.class_log_probabilities, one.class_log_probabilities.rows(b, b + 1)));
      }
    }
  }
}

TEST(Labeller, WithoutPositionsAttentionIsEquivariant) {
  Labeller::Config c = small(LabelEncoder::attention, kTags, 0);
  c.positions = PositionKind::none;
  c.characters = c.shapes = 0;
  const Labeller m = made(c);
  LabelBatch there = random_batch({6}, 9), back = there;
  std::reverse(back.words.begin(), back.words.end());
  const Tensor a = m.encode(there).words, b = m.encode(back).words;
  for (std::int64_t t = 0; t < 6; ++t) {
    testing::expect_near(a.rows(t, t + 1), b.rows(5 - t, 6 - t), 1e-5);
  }
}

TEST(Labeller, TheFcEncoderSeesOnlyItsOwnWord) {
  const Labeller m = made(small(LabelEncoder::fc, kTags, 0));
  LabelBatch batch = random_batch({6}, 9);
  const Tensor before = m.encode(batch).words;
  batch.words[2] = (batch.words[2] + 1) % static_cast<std::int32_t>(kWords);
  const Tensor after = m.encode(batch).words;
  for (std::int64_t t = 0; t < 6; ++t) {
    EXPECT_EQ(bool(same_bits(before.rows(t, t + 1), after.rows(t, t + 1))), t != 2);
  }
}

TEST(Labeller, ShowsWhatItLooksAt) {
  const LabelBatch batch = random_batch({5}, 8);
  const auto seen_by = [&](const Labeller& m) {
    return attention_seen([&] { (void)m.encode(batch); });
  };
  for (const LabelEncoder encoder : {LabelEncoder::attention, LabelEncoder::linear}) {
    for (const Pooling pooling : {Pooling::attention, Pooling::token}) {
      Labeller::Config c = small(encoder);
      c.pooling = pooling;
      const std::vector<SeenAttention> seen = seen_by(made(c));
      const bool token = pooling == Pooling::token;
      ASSERT_EQ(seen.size(), token ? 2U : 3U);
      EXPECT_EQ(seen[1].path, "encoder.layers.1.self");
      const std::int64_t n = token ? 6 : 5;
      EXPECT_EQ(seen[0].weights.shape(), (Shape{2, n, n}));
      if (!token) {
        EXPECT_EQ(seen[2].path, "encoder.pooling");
        EXPECT_EQ(seen[2].weights.shape(), (Shape{2, 1, n}));
      }
      for (const SeenAttention& a : seen) {
        for (std::int64_t row = 0; row < a.weights.count() / n; ++row) {
          double sum = 0;
          for (std::int64_t i = 0; i < n; ++i) {
            const float w = a.weights.data()[row * n + i];
            EXPECT_GE(w, 0.0F);
            sum += static_cast<double>(w);
          }
          EXPECT_NEAR(sum, 1.0, 1e-4);
        }
      }
    }
  }
  EXPECT_EQ(seen_by(made(small(LabelEncoder::rnn))).size(), 1U);
  EXPECT_TRUE(seen_by(made(small(LabelEncoder::cnn, kTags, 0))).empty());
}

TEST(Labeller, WordDropoutReadsTheUnknownWord) {
  Labeller::Config c = small(LabelEncoder::fc, kTags, 0);
  c.word_dropout = 0.5;
  c.characters = c.shapes = 0;
  c.unknown = 3;
  const Labeller m = made(c);
  LabelBatch batch = random_batch({200}, 8), unknown = batch;
  std::fill(unknown.words.begin(), unknown.words.end(), 3);
  Tape tape;
  Tensor noisy;
  {
    const Recording on(tape, 7);
    noisy = m.encode(batch).words;
  }
  const Tensor plain = m.encode(batch).words, all = m.encode(unknown).words;
  std::int64_t replaced = 0;
  for (std::int64_t t = 0; t < 200; ++t) {
    const bool kept = bool(same_bits(noisy.rows(t, t + 1), plain.rows(t, t + 1)));
    replaced += !kept;
    EXPECT_TRUE(kept || same_bits(noisy.rows(t, t + 1), all.rows(t, t + 1)));
  }
  EXPECT_GT(replaced, 60);
  EXPECT_LT(replaced, 130);
}

TEST(Labeller, RejectsWhatMakesNoModel) {
  const auto bad = [](auto change) {
    Labeller::Config c = small(LabelEncoder::attention);
    change(c);
    EXPECT_THROW((void)Labeller::make(1, c), Error);
  };
  using Config = Labeller::Config;
  bad([](Config& c) { c.tags = c.classes = 0; });
  bad([](Config& c) { c.words = 0; });
  bad([](Config& c) { c.tags = -1; });
  bad([](Config& c) { c.heads = 3; });
  bad([](Config& c) { c.dropout = 1.0; });
  bad([](Config& c) { c.word_dropout = std::numeric_limits<double>::quiet_NaN(); });
  bad([](Config& c) { c.unknown = kWords; });
  bad([](Config& c) { c.encoder = LabelEncoder::cnn, c.kernel = 4; });
  bad([](Config& c) { c.encoder = LabelEncoder::rnn, c.width = 9, c.pooling_heads = 1; });
  bad([](Config& c) { c.encoder = LabelEncoder::fc, c.pooling = Pooling::token; });
  bad([](Config& c) { c.classes = 0, c.prior = PriorMask::soft; });
  bad([](Config& c) { c.tags = 0, c.class_to_tags = true; });
}

TEST(Labeller, RejectsBatchesThatDoNotFit) {
  const Labeller m = made(small(LabelEncoder::attention));
  const LabelBatch good = random_batch({3, 2}, 1);
  const auto bad = [&](auto change) {
    LabelBatch b = good;
    change(b);
    EXPECT_THROW((void)m.loss(b), ShapeError);
  };
  bad([](LabelBatch& b) { b.words.pop_back(); });
  bad([](LabelBatch& b) { b.words[0] = kWords; });
  bad([](LabelBatch& b) { b.shapes.clear(); });
  bad([](LabelBatch& b) { b.characters.push_back(0); });
  bad([](LabelBatch& b) { b.word_characters = Segments(); });
  bad([](LabelBatch& b) { b.tags[1] = kTags; });
  bad([](LabelBatch& b) { b.tags[1] = -1; });  // a chain has no holes
  bad([](LabelBatch& b) { b.tags.clear(); });
  bad([](LabelBatch& b) { b.classes.clear(); });
  bad([](LabelBatch& b) { b.classes[0] = kClasses; });
  EXPECT_THROW((void)m.predict(random_batch({17}, 1)), ShapeError);
  Labeller::Config c = small(LabelEncoder::rnn);
  c.prior = PriorMask::soft;
  EXPECT_THROW((void)Labeller::make(1, c).predict(good), Error);  // without its table
  EXPECT_THROW(Labeller::make(1, c).set_prior(Tensor::zeros({2, 2})), ShapeError);
  EXPECT_THROW(Labeller::make(1, c).set_prior(Tensor::full({kClasses, kTags}, 2.0)), Error);
}

TEST(Labeller, NothingIsAnAnswerToNothing) {
  for (const LabelEncoder encoder : kEncoders) {
    const Labeller m = made(joint(encoder));
    const LabelPrediction none = m.predict(LabelBatch{});
    EXPECT_TRUE(none.tags.empty());
    EXPECT_TRUE(none.classes.empty());
    const LabelPrediction empty = m.predict(random_batch({0}, 1));
    EXPECT_EQ(empty.classes.size(), 1U);
    EXPECT_EQ(empty.tag_scores, std::vector<double>{0.0});
  }
}

}  // namespace
}  // namespace qkv

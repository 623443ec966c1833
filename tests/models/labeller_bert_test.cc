// A labeller whose encoder is a BERT.
#include <cmath>
#include <string>
#include <vector>

#include "models/helpers.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/models/labeller.h"

namespace qkv {
namespace {

Labeller::Config config_of(Pooling pooling) {
  Labeller::Config c;
  c.encoder = LabelEncoder::bert;
  c.tags = 3;
  c.classes = 2;
  c.width = 8;
  c.pooling = pooling;
  c.class_to_tags = true;
  c.dropout = 0;
  c.bert.vocab_size = 12;
  c.bert.hidden_size = 8;
  c.bert.num_hidden_layers = 1;
  c.bert.num_attention_heads = 2;
  c.bert.intermediate_size = 10;
  c.bert.max_position_embeddings = 9;
  c.bert.hidden_dropout_prob = c.bert.attention_probs_dropout_prob = 0;
  c.bert.initializer_range = 0.5;
  return c;
}

/// Two words of one and two pieces, no word at all, one word; 2 is [CLS], 3 [SEP].
LabelBatch batch_of() {
  LabelBatch b;
  b.segments = Segments({2, 0, 1});
  b.pieces = {2, 5, 6, 7, 3, 2, 3, 2, 9, 3};
  b.piece_segments = Segments({5, 2, 3});
  b.first_piece = {1, 2, 1};
  b.tags = {0, 2, 1};
  b.classes = {1, 0, 1};
  return b;
}

TEST(LabellerBert, GradientsAgreeWithFiniteDifferences) {
  for (const Pooling pooling : {Pooling::mean, Pooling::token, Pooling::attention}) {
    Labeller m = Labeller::make({3, DType::f64}, config_of(pooling));
    testing::shake(m, 5);
    testing::check_module<Labeller>(
        m, [](const Labeller& l) { return l.loss(batch_of(), {.class_scale = 0.5}).loss; });
  }
}

TEST(LabellerBert, NumbersAndSeveralLabelsOfTwoSegments) {
  for (const ClassAnswer answer : {ClassAnswer::number, ClassAnswer::labels}) {
    Labeller::Config c = config_of(Pooling::token);
    c.tags = 0;
    c.class_to_tags = false;
    c.answer = answer;
    c.classes = answer == ClassAnswer::number ? 1 : 2;
    Labeller m = Labeller::make({3, DType::f64}, c);
    testing::shake(m, 5);
    LabelBatch b = batch_of();
    b.piece_types = {0, 0, 0, 1, 1, 0, 0, 0, 1, 1};
    b.numbers = {-1.5, 0, 3};
    b.marks = {1, 0, 0, 0, 1, 1};
    testing::check_module<Labeller>(m, [&](const Labeller& l) {
      return l.loss(b, {.class_scale = 0.5, .smoothing = answer == ClassAnswer::labels ? 0.1 : 0})
          .loss;
    });
    const LabelPrediction p = m.predict(b);
    double expected = 0;  // without smoothing
    for (std::size_t i = 0; i < 3; ++i) {
      if (answer == ClassAnswer::number) {
        expected += std::pow(p.numbers[i] - b.numbers[i], 2);
        continue;
      }
      for (std::size_t k = 0; k < 2; ++k) {
        const double log_p = p.class_log_probabilities.values<double>()[2 * i + k];
        expected -= (b.marks[2 * i + k] == 1 ? log_p : std::log1p(-std::exp(log_p))) / 2;
      }
    }
    EXPECT_NEAR(m.loss(b).class_sum, expected, 1e-9);
    b.piece_types.assign(10, 0);
    EXPECT_NE(m.loss(b).class_sum, expected) << "segments count";
    b.numbers.clear();
    b.marks.clear();
    EXPECT_THROW((void)m.loss(b), ShapeError);
  }
}

TEST(LabellerBert, AWordIsItsFirstPieceAndASentenceItsPieces) {
  const Labeller m = Labeller::make(3, config_of(Pooling::mean));
  const LabelBatch b = batch_of();
  const Tensor states = m.bert({b.pieces, {}, b.piece_segments});
  const Labeller::States s = m.encode(b);
  EXPECT_TRUE(testing::same_bits(s.words.rows(0, 1), states.rows(1, 2)));
  EXPECT_TRUE(testing::same_bits(s.words.rows(1, 2), states.rows(2, 3)));
  EXPECT_TRUE(testing::same_bits(s.words.rows(2, 3), states.rows(8, 9)));
  ASSERT_EQ(s.pooled.shape(), (Shape{3, 8}));
  for (std::int64_t c = 0; c < 8; ++c) {
    EXPECT_NEAR(s.pooled.data()[8 + c], (states.data()[40 + c] + states.data()[48 + c]) / 2, 1e-6);
  }
  const Labeller token = Labeller::make(3, config_of(Pooling::token));
  EXPECT_TRUE(testing::same_bits(
      token.encode(b).pooled,
      token.bert.pooled(token.bert({b.pieces, {}, b.piece_segments}), b.piece_segments)));
  EXPECT_FALSE(m.bert.pooler.weight.defined()) << "nobody asks it";
}

TEST(LabellerBert, NeighboursChangeNoBit) {
  const Labeller m = Labeller::make(3, config_of(Pooling::token));
  LabelBatch alone;
  alone.segments = Segments({1});
  alone.pieces = {2, 9, 3};
  alone.piece_segments = Segments({3});
  alone.first_piece = {1};
  const LabelPrediction together = m.predict(batch_of()), single = m.predict(alone);
  EXPECT_EQ(together.tags[2], single.tags[0]);
  EXPECT_EQ(together.tag_scores[2], single.tag_scores[0]);
  EXPECT_TRUE(testing::same_bits(together.class_log_probabilities.rows(2, 3),
                                 single.class_log_probabilities));
}

TEST(LabellerBert, RefusesWhatDoesNotFit) {
  Labeller::Config c = config_of(Pooling::mean);
  c.words = 5;
  EXPECT_THROW((void)Labeller::make(1, c), Error);
  c = config_of(Pooling::mean);
  c.width = 16;
  EXPECT_THROW((void)Labeller::make(1, c), Error);
  const Labeller m = Labeller::make(1, config_of(Pooling::mean));
  LabelBatch b = batch_of();
  b.first_piece[1] = 5;  // of the next sequence
  EXPECT_THROW((void)m.predict(b), ShapeError);
  b = batch_of();
  b.first_piece.pop_back();
  EXPECT_THROW((void)m.predict(b), ShapeError);
  b = batch_of();
  b.piece_segments = Segments({5, 5});
  EXPECT_THROW((void)m.predict(b), ShapeError);
}

}  // namespace
}  // namespace qkv

#include "experiments/comparison.h"

#include <cmath>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/data/synthetic.h"

namespace qkv {
namespace {

using testing::HasSubstr;

constexpr LabelEncoder kAll[] = {LabelEncoder::fc, LabelEncoder::cnn, LabelEncoder::rnn,
                                 LabelEncoder::attention, LabelEncoder::linear};

TEST(Comparison, ParametersAreCountedWithoutTheFeatures) {
  Labeller::Config c{.words = 1000, .characters = 60, .shapes = 9, .tags = 7, .classes = 3};
  for (const LabelEncoder encoder : kAll) {
    c.encoder = encoder;
    c.layers = 2;
    const std::int64_t features = 1000 * c.embedding + 60 * c.character_embedding +
                                  3 * c.character_embedding * c.character_filters +
                                  c.character_filters + 9 * c.shape_embedding;
    EXPECT_EQ(encoder_parameters(c), parameter_count(Labeller::make(1, c)) - features)
        << name_of(encoder);
  }
}

TEST(Comparison, EveryEncoderGetsAsManyParameters) {
  for (const LabelTask task : {LabelTask::tag, LabelTask::classify}) {
    for (const std::string_view preset : {"tiny", "small"}) {
      for (const std::int64_t budget : {20'000, 70'000, 500'000}) {
        for (const LabelEncoder encoder : kAll) {
          Labeller::Config c = labelling_recipe(preset, task, encoder).network;
          c.tags = task == LabelTask::tag ? 17 : 0;
          c.classes = task == LabelTask::tag ? 0 : 6;
          c.crf = false;
          const Labeller::Config found = with_encoder_parameters(c, budget);
          const auto count = static_cast<double>(encoder_parameters(found));
          EXPECT_NEAR(count / static_cast<double>(budget), 1.0, 0.03)
              << name_of(encoder) << " " << preset << " " << found.width;
          EXPECT_EQ(found.layers, c.layers);
          if (encoder == LabelEncoder::attention) {  // the shape of its layers is kept
            const double inside =
                static_cast<double>(found.feed_forward) / static_cast<double>(found.width);
            EXPECT_GT(inside, 1.0);
            EXPECT_LT(inside, 4.0);
          }
        }
      }
    }
  }
  Labeller::Config rnn = labelling_recipe("tiny", LabelTask::tag, LabelEncoder::rnn).network;
  rnn.tags = 17;
  EXPECT_THROW((void)with_encoder_parameters(rnn, 100), Error);
}

TEST(Comparison, ASmallerDrawBeginsALargerOne) {
  const LabelledText text = make_puzzle(Puzzle::parity, 60, 1, {3, 8, 3});
  const LabelledText few = draw_sentences(text, 10, 5), more = draw_sentences(text, 60, 5);
  EXPECT_TRUE(std::equal(few.words.begin(), few.words.end(), more.words.begin()));
  EXPECT_TRUE(std::equal(few.tags.begin(), few.tags.end(), more.tags.begin()));
  EXPECT_EQ(few.size(), 10);
  EXPECT_NE(few.words, draw_sentences(text, 10, 6).words);
  for (std::size_t i = 0; i < 60; ++i) {
    EXPECT_THAT(text.words, testing::Contains(more.words[i]));
    EXPECT_EQ(more.tags[i].size(), more.words[i].size());
  }
  EXPECT_THROW((void)draw_sentences(text, 61, 1), Error);
  EXPECT_THROW((void)draw_sentences(text, 0, 1), Error);
}

TEST(Comparison, MeanAndSpreadByEncoderAndSize) {
  std::vector<ComparisonRun> runs;
  const auto add = [&](const char* encoder, std::int64_t size, double score) {
    runs.push_back({.encoder = encoder, .size = size, .score = score});
  };
  add("rnn", 2000, 90);
  add("rnn", 500, 80);
  add("cnn", 500, 70);
  add("rnn", 500, 84);
  add("rnn", 500, 82);
  const std::vector<ComparisonCell> cells = summarise(runs);
  ASSERT_EQ(cells.size(), 3U);
  EXPECT_EQ(cells[0].encoder, "rnn");
  EXPECT_EQ(cells[0].size, 500);
  EXPECT_EQ(cells[0].runs, 3);
  EXPECT_DOUBLE_EQ(cells[0].mean, 82);
  EXPECT_DOUBLE_EQ(cells[0].deviation, 2);
  EXPECT_EQ(cells[0].low, 80);
  EXPECT_EQ(cells[0].high, 84);
  EXPECT_EQ(cells[1].deviation, 0);
  const std::string table = comparison_table(cells);
  EXPECT_THAT(table, HasSubstr("82.00 ±2.00          90.00\n"));
  EXPECT_THAT(table, HasSubstr("70.00              -\n"));
  EXPECT_THAT(comparison_svg(cells, "t", "accuracy"), HasSubstr("rnn: 82 at 500"));
}

TEST(Comparison, TheMajorityIsCounted) {
  LabelledText train, test;
  train.words = {{"x", "y", "z"}};
  train.tags = {{"b", "b", "a"}};
  test.words = {{"x", "y"}, {"y", "z"}};
  test.tags = {{"b", "a"}, {"a", "a"}};
  EXPECT_DOUBLE_EQ(majority_score(train, test), 25.0);
  LabelledText yes{.words = {{"x"}, {"y"}}, .labels = {"yes", "yes"}},
      mixed{.words = {{"x"}, {"y"}}, .labels = {"yes", "no"}};
  EXPECT_DOUBLE_EQ(majority_score(yes, mixed), 50.0);
}

/// What "first" asks: an RNN carries the first word along, a word by itself knows nothing of it.
TEST(Comparison, RunsAreRepeatableAndTellEncodersApart) {
  const int before = threads();
  set_threads(1);
  const Temporary folder;
  const PuzzleOptions options{.shortest = 4, .longest = 6, .alphabet = 3};
  const LabelledText train = make_puzzle(Puzzle::first, 400, 1, options),
                     valid = make_puzzle(Puzzle::first, 50, 2, options),
                     test = make_puzzle(Puzzle::first, 200, 3, options);
  const auto run = [&](LabelEncoder encoder) {
    LabellingRecipe p = labelling_recipe("tiny", LabelTask::tag, encoder);
    p.network.characters = p.network.shapes = 0;
    p.network.crf = false;
    p.network.tags = 3;
    p.network.dropout = p.network.embedding_dropout = 0;
    p.network = with_encoder_parameters(p.network, 6000);
    p.batch_tokens = 100;
    p.train.steps = 60;
    p.train.validate_every = 30;
    p.train.schedule.rate = 0.01;
    p.train.schedule.warm_up = 10;
    p.train.optimiser.ema = 0;
    return run_comparison(p, {train, valid, test}, 200, 1, folder / "run");
  };
  const ComparisonRun rnn = run(LabelEncoder::rnn), fc = run(LabelEncoder::fc);
  EXPECT_EQ(rnn.encoder, "rnn");
  EXPECT_EQ(rnn.steps, 60);
  EXPECT_GT(rnn.score, 95);
  // The first word itself is right, and a third of the others: 1/5 + 1/3 of 4/5 = 47 %.
  EXPECT_LT(fc.score, 55);
  EXPECT_EQ(rnn.score, run(LabelEncoder::rnn).score);
  set_threads(before);
}

}  // namespace
}  // namespace qkv

#include "experiments/lengths.h"

#include <cmath>

#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"

namespace qkv {
namespace {

RnnTranslator::Config network(RnnContext context) {
  return {.embedding = 16,
          .width = 32,
          .layers = 1,
          .bidirectional = true,
          .context = context,
          .dropout = 0.0};
}

const LengthTask kTask{.symbols = 6, .shortest = 2, .longest = 4};

TEST(Lengths, AModelLearnsToCopyAndLooksAlongTheDiagonal) {
  const int before = threads();
  set_threads(1);
  LengthTask task = kTask;
  task.copy = true;
  const RnnTranslator model = train_on_lengths(network(RnnContext::before), task, {.steps = 250});
  const auto scores = score_lengths(model, task, 2, 4, 1, 40, 1);
  set_threads(before);
  ASSERT_EQ(scores.size(), 3U);
  for (const LengthScore& s : scores) {
    EXPECT_GE(s.exact, 0.9) << s.length;
    EXPECT_GE(s.symbols, s.exact) << s.length;
    EXPECT_LT(s.distance, 0.5) << s.length;  // even weights over the sequence and its end: 1 to 1.8
  }
}

TEST(Lengths, AnUntrainedModelKnowsNothing) {
  const RnnTranslator attends = train_on_lengths(network(RnnContext::before), kTask, {.steps = 1});
  const RnnTranslator plain = train_on_lengths(network(RnnContext::fixed), kTask, {.steps = 1});
  const LengthScore a = score_lengths(attends, kTask, 12, 12, 1, 20, 1).at(0);
  EXPECT_EQ(a.length, 12);
  EXPECT_EQ(a.exact, 0.0);
  EXPECT_LT(a.symbols, 0.5);
  EXPECT_GT(a.distance, 1.0);
  EXPECT_TRUE(std::isnan(score_lengths(plain, kTask, 3, 3, 1, 5, 1).at(0).distance));
}

TEST(Lengths, WhatMakesNoSenseThrows) {
  const RnnTranslator::Config c = network(RnnContext::before);
  EXPECT_THROW((void)train_on_lengths(c, {.symbols = 1}, {}), Error);
  EXPECT_THROW((void)train_on_lengths(c, {.shortest = 5, .longest = 4}, {}), Error);
  EXPECT_THROW((void)train_on_lengths(c, kTask, {.steps = 0}), Error);
  const RnnTranslator model = train_on_lengths(c, kTask, {.steps = 1});
  EXPECT_THROW((void)score_lengths(model, kTask, 3, 2, 1, 5, 1), Error);
  EXPECT_THROW((void)score_lengths(model, kTask, 1, 2, 1, 0, 1), Error);
}

}  // namespace
}  // namespace qkv

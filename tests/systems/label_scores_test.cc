#include "qkv/systems/label_scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::HasSubstr;

TEST(LabelScores, PutTagsAndLabelsTogether) {
  LabelledText gold;
  gold.words = {{"Bob", "sees", "Rome"}, {"go"}, {"New", "York", "is", "far"}};
  gold.tags = {{"I-PER", "O", "I-LOC"}, {"O"}, {"I-LOC", "I-LOC", "O", "O"}};
  gold.labels = {"tell", "ask", "tell"};
  std::vector<Labelled> found(3);
  found[0] = {.tags = {"B-PER", "O", "B-LOC"}, .label = "tell"};
  found[1] = {.tags = {"O"}, .label = "tell"};
  found[2] = {.tags = {"B-LOC", "O", "O", "O"}, .label = "tell"};
  const LabelScores scores = score_labelled(gold, found);
  EXPECT_NEAR(scores.spans->all.f1(), 200.0 / 3, 1e-9);
  EXPECT_NEAR(scores.classes->accuracy(), 200.0 / 3, 1e-9);
  EXPECT_NEAR(scores.sentence_accuracy(), 100.0 / 3, 1e-9);
  EXPECT_NEAR(scores.score(), (200.0 + 200.0 + 100.0) / 9, 1e-9);
  EXPECT_EQ(scores.line(), "F1 66.67  intent 66.67  sentences 33.33");
  EXPECT_THAT(scores.text(), HasSubstr("everything right: 1 of 3 sentences (33.33%)"));
  LabelledText words = gold;
  words.labels.clear();
  words.tags = {{"NOUN", "VERB", "NOUN"}, {"VERB"}, {"ADJ", "NOUN", "VERB", "ADJ"}};
  for (std::size_t i = 0; i < 3; ++i) found[i] = {.tags = words.tags[i]};
  found[2].tags[0] = "NOUN";
  const LabelScores plain = score_labelled(words, found);
  EXPECT_FALSE(plain.spans.has_value());
  EXPECT_DOUBLE_EQ(plain.score(), 87.5);
  EXPECT_THROW(score_labelled(gold, std::vector<Labelled>(2)), Error);
}

}  // namespace
}  // namespace qkv

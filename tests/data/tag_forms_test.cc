#include "qkv/data/tag_forms.h"

#include "data/notices.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::HasSubstr;

struct Case {
  const char* form;
  Tags tags;
};

// X [0,2), X [2,3), Y [4,7).
const std::vector<TagSpan> kSpans = {{"X", 0, 2}, {"X", 2, 3}, {"Y", 4, 7}};

TEST(TagForms, EveryFormGivesTheSameSpans) {
  const std::vector<Case> cases = {
      {"BILOU", {"B-X", "L-X", "U-X", "O", "B-Y", "I-Y", "L-Y"}},
      {"BMES", {"B-X", "E-X", "S-X", "O", "B-Y", "M-Y", "E-Y"}},
      {"BMES", {"B-X", "E-X", "W-X", "O", "B-Y", "M-Y", "E-Y"}},
      {"BMES", {"B_X", "E_X", "S_X", "O", "B_Y", "M_Y", "E_Y"}},
      {"IOE", {"I-X", "E-X", "E-X", "O", "I-Y", "I-Y", "E-Y"}},  // IOE2
      {"IOE", {"I-X", "E-X", "I-X", "O", "I-Y", "I-Y", "I-Y"}},  // IOE1
      {"a type and a letter", {"X-B", "X-I", "X-B", "O", "Y-B", "Y-I", "Y-I"}},
      {"a type and a letter", {"X_B", "X_L", "X_U", "O", "Y_B", "Y_I", "Y_L"}},
      {"a letter and a type", {"B_X", "I_X", "B_X", "O", "B_Y", "I_Y", "I_Y"}},
      {"a letter and a type", {"B:X", "E:X", "S:X", "O", "B:Y", "I:Y", "E:Y"}},
      {"small letters", {"b-X", "i-X", "b-X", "o", "b-Y", "i-Y", "i-Y"}},
      {"BILOU", {"b-X", "l-X", "u-X", "o", "b-Y", "i-Y", "l-Y"}}};
  for (const auto& [form, tags] : cases) {
    std::vector<Tags> sentences = {tags};
    const TagReading reading = understand_tags(sentences);
    EXPECT_TRUE(reading.spans) << tags[0] << " " << tags[1];
    EXPECT_EQ(reading.form, form) << tags[0] << " " << tags[1];
    EXPECT_EQ(spans_of(sentences[0]), kSpans) << tags[0] << " " << tags[1];
    EXPECT_EQ(sentences[0], tags_of(kSpans, 7, TagScheme::iob2)) << tags[0] << " " << tags[1];
  }
}

TEST(TagForms, WhatTheSchemesKnowStaysAsItIs) {
  for (const Tags& tags :
       {Tags{"B-X", "I-X", "O"}, Tags{"I-X", "B-X", "O"}, Tags{"B-X", "E-X", "S-X"},
        Tags{"B", "I", "O"}, Tags{"B-X_B", "O", "I-a-b"}}) {
    std::vector<Tags> sentences = {tags};
    const TagReading reading = understand_tags(sentences);
    EXPECT_TRUE(reading.spans);
    EXPECT_EQ(reading.form, "");
    EXPECT_EQ(sentences[0], tags);
  }
}

TEST(TagForms, LettersAloneNeedABeginning) {
  std::vector<Tags> words = {{"B", "M", "E", "S"}};
  EXPECT_TRUE(understand_tags(words).spans);
  EXPECT_EQ(words[0], (Tags{"B", "I", "I", "B"}));
  for (const Tags& plain : {Tags{"S", "M", "L"}, Tags{"M-1", "L-2"}, Tags{"U", "W"}}) {
    std::vector<Tags> sentences = {plain};
    EXPECT_FALSE(understand_tags(sentences).spans) << plain[0];
    EXPECT_EQ(sentences[0], plain);
  }
}

TEST(TagForms, PlainTagsArePlain) {
  std::vector<Tags> sentences = {{"DET", "NOUN"}, {"-LRB-", "O"}};
  const TagReading reading = understand_tags(sentences);
  EXPECT_FALSE(reading.spans);
  EXPECT_EQ(reading.typed, 0);
  EXPECT_EQ(reading.other, 3);
  std::vector<Tags> outside = {{"O", "O"}, {}};
  EXPECT_FALSE(understand_tags(outside).spans);
}

TEST(TagForms, ASlipIsRefusedAndAMixtureIsSaid) {
  std::vector<Tags> sentences(20, Tags{"B-X", "O"});
  sentences.push_back({"O", "BX"});
  const auto line_of = [](TagPlace at) {
    return static_cast<std::int64_t>(100 * at.sentence + at.word);
  };
  try {
    settle_tags(sentences, "file", line_of);
    ADD_FAILURE();
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("file:2001: 'BX' is no tag of spans as 20 others are"));
  }
  const Notices said;
  std::vector<Tags> mixed = {{"B-X", "NOUN"}};
  EXPECT_FALSE(settle_tags(mixed, "file", line_of).spans);
  ASSERT_EQ(said.lines.size(), 1u);
  EXPECT_THAT(said.lines[0], HasSubstr("file:1: 'NOUN' is no tag of spans"));
}

}  // namespace
}  // namespace qkv

#include "qkv/train/labelling.h"

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

LabelledText small_text() {
  LabelledText text;
  text.words = {{"Bob", "sees", "Rome"}, {"go"}, {"New", "York", "is", "far"}};
  text.tags = {{"I-PER", "O", "I-LOC"}, {"O"}, {"I-LOC", "I-LOC", "O", "O"}};
  text.labels = {"tell", "ask", "tell"};
  return text;
}

LabellingPreset small_preset(LabelTask task, LabelEncoder encoder = LabelEncoder::rnn) {
  LabellingPreset p = labelling_preset("tiny", task, encoder);
  p.model.width = p.model.embedding = p.model.feed_forward = 8;
  p.model.heads = 2;
  return p;
}

TEST(Labelling, LabelsAreLearntInTheSchemeAskedFor) {
  const LabelledText text = small_text();
  const LabellerModel model =
      make_labeller(small_preset(LabelTask::intent), text, TagScheme::iobes, 1);
  EXPECT_EQ(model.task(), "intent");
  EXPECT_TRUE(writes_spans(model.tags));
  EXPECT_EQ(label_name(model.tags, 0), "O");  // by falling count
  EXPECT_GE(label_id(model.tags, "S-PER"), 0);
  EXPECT_GE(label_id(model.tags, "E-LOC"), 0);
  EXPECT_EQ(label_id(model.tags, "I-LOC"), -1);
  EXPECT_EQ(label_id(model.classes, "tell"), 0);
  EXPECT_FALSE(model.network.rules.empty());
  const LabelledSet set = encode_labelled(model, text, TagScheme::iobes);
  EXPECT_EQ(set.all.segments.count(), 3);
  EXPECT_EQ(set.all.tags[0], label_id(model.tags, "S-PER"));
  EXPECT_THAT(set.all.classes, ElementsAre(0, 1, 0));
  LabelledText other = text;
  other.tags[1][0] = "B-XYZ";
  other.labels[1] = "none";
  const LabelledSet unknown = encode_labelled(model, other, TagScheme::iobes);
  EXPECT_EQ(unknown.all.tags[3], -1);
  EXPECT_EQ(unknown.all.classes[1], -1);
}

TEST(Labelling, PackTakesSentencesWithAllThatBelongsToThem) {
  const LabelledText text = small_text();
  const LabellerModel model =
      make_labeller(small_preset(LabelTask::intent), text, TagScheme::iob2, 1);
  const LabelledSet set = encode_labelled(model, text, TagScheme::iob2);
  LabelledText turned;
  for (std::size_t i : {2U, 0U}) {
    turned.words.push_back(text.words[i]);
    turned.tags.push_back(text.tags[i]);
    turned.labels.push_back(text.labels[i]);
  }
  const LabelBatch expected = encode_labelled(model, turned, TagScheme::iob2).all;
  const std::vector<std::int64_t> index = {2, 0};
  const LabelBatch packed = pack(set.all, index);
  EXPECT_EQ(packed.words, expected.words);
  EXPECT_EQ(packed.characters, expected.characters);
  EXPECT_EQ(packed.shapes, expected.shapes);
  EXPECT_EQ(packed.tags, expected.tags);
  EXPECT_EQ(packed.classes, expected.classes);
  EXPECT_EQ(packed.segments.total(), 7);
  ASSERT_EQ(packed.word_characters.count(), expected.word_characters.count());
  for (std::int64_t t = 0; t < packed.word_characters.count(); ++t) {
    EXPECT_EQ(packed.word_characters.length(t), expected.word_characters.length(t));
  }
}

TEST(Labelling, TextMustHaveWhatTheTaskNeeds) {
  LabelledText text = small_text();
  text.labels.clear();
  EXPECT_THAT([&] { make_labeller(small_preset(LabelTask::intent), text, TagScheme::iob2, 1); },
              ThrowsMessage<Error>(HasSubstr("intent needs text with a label a sentence")));
  text.tags = {{"O", "O", "O"}, {"O"}, {"O", "O", "O", "O"}};
  EXPECT_THAT([&] { make_labeller(small_preset(LabelTask::tag), text, TagScheme::iob2, 1); },
              ThrowsMessage<Error>(HasSubstr("at least two tags, the text has 1")));
  text.tags.clear();
  EXPECT_THAT([&] { make_labeller(small_preset(LabelTask::tag), text, TagScheme::iob2, 1); },
              ThrowsMessage<Error>(HasSubstr("tag needs text with a tag a word")));
  EXPECT_THROW(labelling_preset("huge", LabelTask::tag, LabelEncoder::rnn), Error);
}

TEST(Labelling, WhatTheModelCannotHoldGetsTheCommonTag) {
  LabellingPreset preset = small_preset(LabelTask::tag, LabelEncoder::attention);
  preset.model.max_length = 4;
  const LabellerModel model = make_labeller(preset, small_text(), TagScheme::iobes, 1);
  ASSERT_EQ(longest_sentence(model), 4);
  const std::vector<std::vector<std::string>> sentences = {
      std::vector<std::string>(7, "Rome"), {}, std::vector<std::string>(4, "Rome")};
  const std::vector<Labelled> results = label_sentences(model, sentences);
  ASSERT_EQ(results[0].tags.size(), 7u);
  EXPECT_TRUE(results[1].tags.empty());
  EXPECT_EQ(Tags(results[0].tags.begin(), results[0].tags.begin() + 4), results[2].tags);
  EXPECT_THAT(Tags(results[0].tags.begin() + 4, results[0].tags.end()), ElementsAre("O", "O", "O"));
  LabelledText text = small_text();
  EXPECT_EQ(cut_long(text, 3), 1);
  EXPECT_EQ(text.tags[2].size(), 3u);
  EXPECT_EQ(cut_long(text, 0), 0);
}

TEST(Labelling, ScoresPutTagsAndLabelsTogether) {
  const LabelledText gold = small_text();
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

// Labels that training never showed must not make the loss infinite.
TEST(Labelling, UnknownLabelsDoNotCountInTheLoss) {
  const Temporary folder;
  const LabelledText text = small_text();
  LabelledText valid = text;
  valid.tags[0][0] = "I-XYZ";
  valid.labels[1] = "none";
  for (const LabelTask task : {LabelTask::tag, LabelTask::classify, LabelTask::intent}) {
    LabellerModel model = make_labeller(small_preset(task), text, TagScheme::iobes, 1);
    const LabelledSet train_set = encode_labelled(model, text, TagScheme::iobes);
    const LabelledSet valid_set = encode_labelled(model, valid, TagScheme::iobes);
    LabellingTraining training{.train = train_set, .valid = valid_set, .valid_text = valid};
    training.batches = {.max_tokens = 5};
    const TrainTask run = labelling_task(model, training, folder.path());
    const Validation v = run.validate();
    EXPECT_GT(v.loss, 0);
    EXPECT_LT(v.loss, 100);
    EXPECT_EQ(run.plan(0).size(), 2u);
    const std::vector<std::int64_t> all = {0, 1, 2};
    EXPECT_EQ(run.tokens(all), task == LabelTask::classify ? 3 : 8);
  }
}

}  // namespace
}  // namespace qkv

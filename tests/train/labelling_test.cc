#include "qkv/train/labelling.h"

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

LabelledText small_text() {
  LabelledText text;
  text.words = {{"Bob", "sees", "Rome"}, {"go"}, {"New", "York", "is", "far"}};
  text.tags = {{"I-PER", "O", "I-LOC"}, {"O"}, {"I-LOC", "I-LOC", "O", "O"}};
  text.labels = {"tell", "ask", "tell"};
  text.report.read = 3;
  text.report.tokens = 8;
  return text;
}

LabellingRecipe small_recipe(LabelTask task, TagScheme scheme = TagScheme::iob2,
                             LabelEncoder encoder = LabelEncoder::rnn) {
  LabellingRecipe p = labelling_recipe("tiny", task, encoder);
  p.scheme = scheme;
  p.network.width = p.network.embedding = p.network.feed_forward = 8;
  p.network.heads = 2;
  return p;
}

TEST(Labelling, LabelsAreLearntInTheSchemeAskedFor) {
  const LabelledText text = small_text();
  const LabellerModel model =
      make_labeller(small_recipe(LabelTask::intent, TagScheme::iobes), text, 1);
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
      make_labeller(small_recipe(LabelTask::intent, TagScheme::iob2), text, 1);
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
  EXPECT_THAT([&] { make_labeller(small_recipe(LabelTask::intent, TagScheme::iob2), text, 1); },
              ThrowsMessage<Error>(HasSubstr("intent needs text with a label a sentence")));
  text.tags = {{"O", "O", "O"}, {"O"}, {"O", "O", "O", "O"}};
  EXPECT_THAT([&] { make_labeller(small_recipe(LabelTask::tag, TagScheme::iob2), text, 1); },
              ThrowsMessage<Error>(HasSubstr("at least two tags, the text has 1")));
  text.tags.clear();
  EXPECT_THAT([&] { make_labeller(small_recipe(LabelTask::tag, TagScheme::iob2), text, 1); },
              ThrowsMessage<Error>(HasSubstr("tag needs text with a tag a word")));
  EXPECT_THROW(labelling_recipe("huge", LabelTask::tag, LabelEncoder::rnn), Error);
}

TEST(Labelling, WhatTheModelCannotHoldGetsTheCommonTag) {
  LabellingRecipe recipe = small_recipe(LabelTask::tag, TagScheme::iobes, LabelEncoder::attention);
  recipe.network.max_length = 4;
  const LabellerModel model = make_labeller(recipe, small_text(), recipe.train.seed);
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

TEST(Labelling, RecipeSaysHowWordsAreLookedUpAndWhatInformsWhat) {
  LabellingRecipe r = small_recipe(LabelTask::intent);
  const LabellerModel lower = make_labeller(r, small_text(), r.train.seed);
  EXPECT_GE(lower.words.id("bob"), Vocabulary::kSpecials);
  EXPECT_TRUE(lower.network.config.class_to_tags && lower.network.config.tags_to_class);
  EXPECT_EQ(lower.network.config.shapes, kWordShapes);
  r.cased = true;
  r.interaction = LabelInteraction::tags_to_class;
  r.network.character_filters = r.network.shape_embedding = 0;
  r.check();
  const LabellerModel cased = make_labeller(r, small_text(), r.train.seed);
  EXPECT_GE(cased.words.id("Bob"), Vocabulary::kSpecials);
  EXPECT_FALSE(cased.word_options.lowercase);
  EXPECT_FALSE(cased.network.config.class_to_tags);
  EXPECT_TRUE(cased.network.config.tags_to_class);
  EXPECT_EQ(cased.network.config.characters, 0);
  EXPECT_EQ(cased.network.config.shapes, 0);
}

TEST(Labelling, PriorIsHardFromTheFirstPairUnlessMoreAreAskedFor) {
  LabellingRecipe r = small_recipe(LabelTask::intent);
  r.network.prior = PriorMask::hard;
  const auto allowed = [&](const char* label, const char* tag) {
    const LabellerModel m = make_labeller(r, small_text(), r.train.seed);
    const auto row = static_cast<std::size_t>(label_id(m.classes, label)),
               column = static_cast<std::size_t>(label_id(m.tags, tag));
    return m.network.prior.values()[row * static_cast<std::size_t>(label_count(m.tags)) + column];
  };
  EXPECT_EQ(allowed("tell", "B-PER"), 1);
  EXPECT_EQ(allowed("ask", "B-PER"), 0);
  r.prior_least = 2;
  EXPECT_EQ(allowed("tell", "B-PER"), 0);  // in one sentence
  EXPECT_EQ(allowed("tell", "B-LOC"), 1);  // in two
}

TEST(Labelling, RecipeRefusesWhatCannotBe) {
  const auto refused = [](const auto& change, const char* why) {
    LabellingRecipe r = small_recipe(LabelTask::tag);
    change(r);
    EXPECT_THAT([&] { r.check(); }, ThrowsMessage<Error>(HasSubstr(why)));
  };
  small_recipe(LabelTask::tag).check();
  refused([](auto& r) { r.network.width = 7; }, "width 7 is no multiple of directions 2");
  refused([](auto& r) { r.interaction = LabelInteraction::both; }, "need both tags and classes");
  refused([](auto& r) { r.fresh = true; }, "--fresh is for --init");
  refused([](auto& r) { r.init = "bert"; }, "cannot be rnn");
  refused([](auto& r) { r.network.encoder = LabelEncoder::bert; }, "give a BERT with --init");
}

/// A run of 8 words of training text; what it says of itself.
TrainReport short_run(const LabellingRecipe& recipe, const LabelledText& text, RunOptions options,
                      std::vector<std::string>* lines = nullptr) {
  TrainingRun run(std::move(options));
  const auto line = [&](const std::string& said) {
    if (lines != nullptr) lines->push_back(said);
  };
  return train_labeller(recipe, {.train = text, .valid = small_text()}, run,
                        {.progress = {}, .line = line});
}

TEST(Labelling, RunGoesOnWithTheSameTextOnly) {
  const Temporary folder;
  const std::string model = (folder / "m").string();
  LabellingRecipe r = small_recipe(LabelTask::intent, TagScheme::iobes);
  r.train.steps = 2;
  std::vector<std::string> lines;
  short_run(r, small_text(), {.model = model}, &lines);
  EXPECT_THAT(lines, testing::Contains("train: 3 sentences read, 8 tokens"));
  EXPECT_THAT(lines, testing::Contains("tags: iob1, learnt as iobes"));
  EXPECT_EQ(load_labeller_model(model).task(), "intent");
  r.train.steps = 3;
  EXPECT_EQ(short_run(r, small_text(), {.model = model, .resume = true}).steps, 3);
  r.train.steps = 4;
  for (int part = 0; part < 3; ++part) {
    LabelledText other = small_text();
    if (part == 0) other.words[1][0] = "stay";
    if (part == 1) other.tags[1][0] = "I-PER";
    if (part == 2) other.labels[1] = "tell";
    EXPECT_THAT([&] { short_run(r, other, {.model = model, .resume = true}); },
                ThrowsMessage<Error>(AllOf(HasSubstr("--train: 3 lines"), HasSubstr(model),
                                           HasSubstr("resume with the same files"))));
  }
  r.task = LabelTask::tag;
  EXPECT_THAT([&] { short_run(r, small_text(), {.model = model, .resume = true}); },
              ThrowsMessage<Error>(HasSubstr("resume with qkv train intent")));
}

// Labels that training never showed must not make the loss infinite.
TEST(Labelling, UnknownLabelsDoNotCountInTheLoss) {
  const Temporary folder;
  const LabelledText text = small_text();
  LabelledText valid = text;
  valid.tags[0][0] = "I-XYZ";
  valid.labels[1] = "none";
  for (const LabelTask task : {LabelTask::tag, LabelTask::classify, LabelTask::intent}) {
    LabellerModel model = make_labeller(small_recipe(task, TagScheme::iobes), text, 1);
    const LabelledSet train_set = encode_labelled(model, text, TagScheme::iobes);
    const LabelledSet valid_set = encode_labelled(model, valid, TagScheme::iobes);
    LabellingTraining training{.train = train_set, .valid = valid_set, .valid_text = valid};
    training.batches = {.max_tokens = 5};
    const TrainTask run = labelling_task(model, training);
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

#include "qkv/systems/labeller_model.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/io/json.h"
#include "qkv/io/safetensors.h"

namespace qkv {
namespace {

using Sentences = std::vector<std::vector<std::string>>;

Vocabulary vocabulary(std::initializer_list<const char*> tokens) {
  TokenCounts counts;
  std::int64_t times = 100;
  for (const char* token : tokens) count_token(counts, token, times--);
  return Vocabulary(counts);
}

/// A joint model with everything that a directory can hold.
LabellerModel whole_model() {
  LabellerModel m;
  m.words = vocabulary({"fly", "to", "boston", "0000"});
  m.characters = vocabulary({"a", "b", "o", "é"});
  m.tags = vocabulary({"O", "B-city", "I-city"});
  m.classes = vocabulary({"flight", "fare"});
  m.word_options = {.lowercase = true, .zero_digits = true, .cut = WordCut::word};
  m.preset = "test";
  m.network = Labeller::make(3, {.words = m.words.size(),
                                 .characters = m.characters.size(),
                                 .shapes = kWordShapes,
                                 .tags = label_count(m.tags),
                                 .classes = label_count(m.classes),
                                 .embedding = 6,
                                 .character_embedding = 3,
                                 .character_filters = 4,
                                 .shape_embedding = 2,
                                 .width = 8,
                                 .class_to_tags = true,
                                 .prior = PriorMask::soft});
  m.network.set_prior(tag_prior(std::vector<std::int64_t>{5, 2, 1, 4, 0, 0}, 2, 3));
  m.network.set_rules(
      {.transition = {1, 1, 0, 1, 1, 1, 1, 1, 1}, .start = {1, 1, 0}, .end = {1, 1, 1}});
  return m;
}

const Sentences kSentences{{"Fly", "to", "Boston"}, {}, {"1984", "Tokyo", "", "\xff"}};

/// whole_model() on disk, once for all: a file that is written safely takes its time.
const std::filesystem::path& saved_model() {
  static const Temporary folder;
  static const bool saved = [] {
    save_labeller_model(whole_model(), folder.path());
    return true;
  }();
  (void)saved;
  return folder.path();
}

/// What loading says of a directory that `damage` has changed.
template <class Damage>
std::string error_after(Damage damage) {
  const Temporary folder;
  const std::filesystem::path model = folder / "model";
  std::filesystem::copy(saved_model(), model);
  damage(model);
  try {
    (void)load_labeller_model(model);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

/// The same with one value of config.json changed.
template <class Change>
std::string error_of_config(Change change) {
  return error_after([&](const std::filesystem::path& folder) {
    Json config = read_json(folder / kConfigFile);
    change(config);
    write_json(folder / kConfigFile, config);
  });
}

/// The same with the weights changed.
template <class Change>
std::string error_of_weights(Change change) {
  return error_after([&](const std::filesystem::path& folder) {
    std::vector<NamedTensor> tensors;
    {
      const SafetensorsFile file(folder / kWeightsFile);
      for (const std::string& name : file.names()) {
        tensors.push_back({name, file.tensor_copy(name)});
      }
    }
    change(tensors);
    save_safetensors(folder / kWeightsFile, tensors);
  });
}

::testing::AssertionResult mentions(const std::string& message,
                                    std::initializer_list<const char*> parts) {
  for (const char* part : parts) {
    if (message.find(part) == std::string::npos) {
      return ::testing::AssertionFailure() << "no '" << part << "' in: " << message;
    }
  }
  return ::testing::AssertionSuccess();
}

NamedTensor& named(std::vector<NamedTensor>& tensors, std::string_view name) {
  for (NamedTensor& t : tensors) {
    if (t.name == name) return t;
  }
  fail("no tensor {}", name);
}

TEST(LabellerModel, ComesBackAsItWas) {
  const Temporary folder;
  const LabellerModel before = whole_model();
  save_labeller_model(before, folder.path());
  const LabellerModel after = load_labeller_model(folder.path());
  EXPECT_EQ(after.task(), "intent");
  EXPECT_EQ(after.preset, "test");
  EXPECT_TRUE(after.word_options.lowercase && after.word_options.zero_digits);
  EXPECT_EQ(after.word_options.cut, WordCut::word);
  EXPECT_EQ(after.words.to_text(), before.words.to_text());
  EXPECT_EQ(after.network.rules.transition, before.network.rules.transition);
  const LabelPrediction a = before.network.predict(before.batch(kSentences));
  const LabelPrediction b = after.network.predict(after.batch(kSentences));
  EXPECT_EQ(a.tags, b.tags);
  EXPECT_EQ(a.tag_scores, b.tag_scores);
  for (std::int64_t i = 0; i < 6; ++i) {
    EXPECT_EQ(a.class_log_probabilities.data()[i], b.class_log_probabilities.data()[i]);
  }
}

TEST(LabellerModel, SmallerModelsKeepWhatTheyHave) {
  for (const bool tags : {false, true}) {
    const Temporary folder;
    LabellerModel m = whole_model();
    m.network = Labeller::make(3, {.words = m.words.size(),
                                   .tags = tags ? 3 : 0,
                                   .classes = tags ? 0 : 2,
                                   .embedding = 4,
                                   .encoder = LabelEncoder::attention,
                                   .width = 8});
    save_labeller_model(m, folder.path());
    const LabellerModel after = load_labeller_model(folder.path());
    EXPECT_EQ(after.task(), tags ? "tag" : "classify");
    EXPECT_EQ(std::filesystem::exists(folder.path() / "tags.vocabulary"), tags);
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "characters.vocabulary"));
    EXPECT_EQ(after.network.predict(after.batch(kSentences)).tags.size(), tags ? 7U : 0U);
  }
}

TEST(LabellerModel, ReadsWordsAsItWasTrained) {
  const LabellerModel m = whole_model();
  const LabelBatch b = m.batch(kSentences);
  EXPECT_EQ(b.segments.count(), 3);
  const std::int32_t unknown = Vocabulary::kUnk;
  EXPECT_EQ(b.words,
            (std::vector<std::int32_t>{m.words.id("fly"), m.words.id("to"), m.words.id("boston"),
                                       m.words.id("0000"), unknown, unknown, unknown}));
  EXPECT_EQ(b.word_characters.length(2), 6);
  EXPECT_EQ(b.word_characters.length(5), 0);
  EXPECT_EQ(b.characters[6], m.characters.id("o"));  // B o ston: capitals are what they are
  EXPECT_EQ(b.characters[5], unknown);
  EXPECT_EQ(word_as_read("Ünder-1999", {.lowercase = true}), "ünder-1999");
  EXPECT_EQ(word_as_read("Ünder-1999", {.zero_digits = true}), "Ünder-0000");
}

TEST(LabellerModel, WordsHaveShapes) {
  const std::vector<std::vector<const char*>> alike{{"under", "über", "o'clock"},
                                                    {"Paris", "A", "Élan", "O-k"},
                                                    {"USA", "U.S."},
                                                    {"iPhone", "McDonald", "eBay"},
                                                    {"7", "1984"},
                                                    {"3.50", "1,000", "10:30", "-5"},
                                                    {"B52", "2nd", "F-16"},
                                                    {",", "--", "$", "…"},
                                                    {"王", "中文", "", " "}};
  std::vector<std::int32_t> shapes;
  for (const auto& words : alike) {
    for (const char* word : words) EXPECT_EQ(word_shape(word), word_shape(words[0])) << word;
    shapes.push_back(word_shape(words[0]));
    EXPECT_TRUE(shapes.back() >= 0 && shapes.back() < kWordShapes);
  }
  std::sort(shapes.begin(), shapes.end());
  EXPECT_EQ(std::unique(shapes.begin(), shapes.end()), shapes.end());
  EXPECT_LT(word_shape("\xff\xfe"), kWordShapes);
}

TEST(LabellerModel, LabelsAreNumberedBehindTheSpecialTokens) {
  const Vocabulary v = vocabulary({"O", "B-x"});
  EXPECT_EQ(label_count(v), 2);
  EXPECT_EQ(label_id(v, "O"), 0);
  EXPECT_EQ(label_name(v, 1), "B-x");
  EXPECT_EQ(label_id(v, "B-y"), -1);
  EXPECT_EQ(label_id(v, "<pad>"), -1);
}

TEST(LabellerModel, SaysWhatIsMissing) {
  EXPECT_TRUE(mentions(error_after([](auto f) { std::filesystem::remove_all(f); }), {"directory"}));
  for (const char* name : {kWeightsFile, kConfigFile, "words.vocabulary", "characters.vocabulary",
                           "tags.vocabulary", "classes.vocabulary"}) {
    EXPECT_TRUE(mentions(error_after([&](auto f) { std::filesystem::remove(f / name); }), {name}));
  }
}

TEST(LabellerModel, RejectsConfigurationsThatDoNotFit) {
  EXPECT_TRUE(mentions(error_of_config([](Json& c) { c["task"] = "translate"; }),
                       {"config.json", "task 'translate'"}));
  EXPECT_TRUE(mentions(error_of_config([](Json& c) { c["task"] = "tag"; }), {"config.json"}));
  EXPECT_TRUE(mentions(error_of_config([](Json& c) { c["model"]["encoder"] = "rnnn"; }),
                       {"config.json", "model.encoder"}));
  EXPECT_TRUE(mentions(error_of_config([](Json& c) { c["model"].erase("crf"); }), {"model.crf"}));
  EXPECT_TRUE(mentions(error_of_config([](Json& c) { c["model"]["depth"] = 3; }), {"depth"}));
  EXPECT_TRUE(mentions(error_of_config([](Json& c) { c["words"]["cut"] = 7; }), {"words.cut"}));
  EXPECT_TRUE(mentions(error_of_config([](Json& c) { c["model"]["width"] = 9; }), {"width"}));
  EXPECT_TRUE(mentions(error_of_config([](Json& c) { c["model"]["shapes"] = 5; }), {"shapes"}));
  EXPECT_TRUE(mentions(error_of_config([](Json& c) { c["model"]["tags"] = 4; }),
                       {"tags.vocabulary", "3 tags", "expects 4"}));
  // Sizes that would take more memory than the weights fill.
  for (const char* field :
       {"embedding", "width", "character_filters", "layers", "kernel", "shape_embedding"}) {
    EXPECT_TRUE(mentions(error_of_config([&](Json& c) {
                           c["model"]["encoder"] = "cnn";
                           c["model"]["kernel"] = 3;
                           c["model"][field] = (std::int64_t{1} << 30) - 1;
                           if (std::string(field) == "width") c["model"]["width"] = 1 << 30;
                         }),
                         {"model.safetensors", "numbers"}))
        << field;
  }
}

TEST(LabellerModel, RejectsWeightsThatDoNotFit) {
  using Tensors = std::vector<NamedTensor>;
  EXPECT_TRUE(mentions(
      error_of_weights([](Tensors& t) { named(t, "crf.start").tensor = Tensor::zeros({4}); }),
      {"model.safetensors", "crf.start", "[4]", "[3]"}));
  EXPECT_TRUE(mentions(error_of_weights([](Tensors& t) {
                         named(t, "tag_output.bias").tensor.data()[1] =
                             std::numeric_limits<float>::quiet_NaN();
                       }),
                       {"model.safetensors", "tag_output.bias"}));
  EXPECT_TRUE(mentions(error_of_weights([](Tensors& t) { named(t, "crf.end").name = "crf.last"; }),
                       {"model.safetensors", "crf.end"}));
  EXPECT_TRUE(mentions(error_of_weights([](Tensors& t) {
                         t.push_back({"more", Tensor::zeros({2})});
                       }),
                       {"model.safetensors", "tensors"}));
  EXPECT_TRUE(mentions(error_of_weights([](Tensors& t) { named(t, "prior").name = "posterior"; }),
                       {"model.safetensors", "prior"}));
  EXPECT_TRUE(mentions(error_of_weights([](Tensors& t) {
                         named(t, "prior").tensor = Tensor::zeros({3, 2});
                       }),
                       {"model.safetensors", "prior"}));
  EXPECT_TRUE(mentions(error_of_weights([](Tensors& t) { named(t, "prior").tensor.data()[0] = 2; }),
                       {"model.safetensors", "prior"}));
  EXPECT_TRUE(mentions(
      error_of_weights([](Tensors& t) { named(t, "rules.start").tensor.data()[0] = 0.5F; }),
      {"model.safetensors", "rules.start"}));
  EXPECT_TRUE(mentions(
      error_of_weights([](Tensors& t) { named(t, "rules.end").tensor = Tensor::zeros({2}); }),
      {"model.safetensors", "end"}));
}

TEST(LabellerModel, TornFilesAreErrorsAndNothingElse) {
  const Temporary folder;
  const std::filesystem::path model = folder / "model";
  std::filesystem::copy(saved_model(), model);
  for (const char* name : {kWeightsFile, kConfigFile, "tags.vocabulary"}) {
    const auto size = std::filesystem::file_size(model / name);
    for (std::uintmax_t part = 7; part < 8; --part) {
      std::filesystem::resize_file(model / name, size * part / 8);
      EXPECT_THROW((void)load_labeller_model(model), Error) << name << " " << part;
    }
    std::filesystem::copy_file(saved_model() / name, model / name,
                               std::filesystem::copy_options::overwrite_existing);
  }
  EXPECT_NO_THROW((void)load_labeller_model(model));
}

TEST(LabellerModel, APriorThatNeverCameIsNotSaved) {
  const Temporary folder;
  LabellerModel m = whole_model();
  m.network.prior = Tensor();
  EXPECT_THROW(save_labeller_model(m, folder.path() / "model"), Error);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "model"));
}

}  // namespace
}  // namespace qkv

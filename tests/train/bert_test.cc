// A BERT on disk, its training, and what it learns that a bag of words cannot.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/directory.h"
#include "qkv/io/safetensors.h"
#include "qkv/train/masked_language.h"

namespace qkv {
namespace {

using ::testing::HasSubstr;

BertModel small_model(bool pairs = true) {
  MaskedRecipe p = masked_recipe("tiny");
  p.network.hidden_size = 8;
  p.network.num_attention_heads = 2;
  p.network.intermediate_size = 16;
  p.masks.max_length = 16;
  p.masks.pairs = pairs;
  return make_bert(p,
                   WordPiece::from_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nc\n.\n",
                                        "vocab.txt", false),
                   3);
}

const std::vector<std::string> kTexts = {"ab c [MASK] .", "c", ""};

std::vector<float> numbers(const BertModel& m) {
  const Tensor v = text_vectors(m, rows_of(m, kTexts, true), TextVector::mean);
  return {v.values().begin(), v.values().end()};
}

TEST(BertModel, ComesBackAsItWas) {
  for (const bool pairs : {true, false}) {
    const Temporary folder;
    const BertModel before = small_model(pairs);
    save_bert_model(before, folder.path());
    const BertModel after = load_bert_model(folder.path());
    EXPECT_EQ(after.preset, "tiny");
    EXPECT_FALSE(after.pieces.lower());
    EXPECT_EQ(after.pieces.word_piece()->to_text(), before.pieces.word_piece()->to_text());
    EXPECT_EQ(after.network.parts().next, pairs);
    EXPECT_EQ(numbers(after), numbers(before));
    const BertRows rows = rows_of(before, kTexts, true);
    const auto a = fill_masks(before, rows, 3), b = fill_masks(after, rows, 3);
    ASSERT_EQ(a.size(), 1U);
    ASSERT_EQ(a[0].size(), 3U);
    EXPECT_EQ(a[0][0].id, b[0][0].id);
    EXPECT_EQ(a[0][0].probability, b[0][0].probability);
    EXPECT_GE(a[0][0].probability, a[0][1].probability);
  }
}

TEST(BertModel, FillsNoSpecialTokenAndSumsToOne) {
  const BertModel m = small_model();
  const auto filled = fill_masks(m, rows_of(m, kTexts, true), 100);
  ASSERT_EQ(filled.size(), 1U);
  EXPECT_EQ(filled[0].size(), 4U) << "a, ##b, c and the point";
  double sum = 0;
  for (const BertCandidate& c : filled[0]) {
    EXPECT_FALSE(m.pieces.is_special(c.id));
    sum += c.probability;
  }
  EXPECT_LT(sum, 1.0) << "special tokens keep their share";
  EXPECT_GT(sum, 0.3);
}

TEST(BertModel, VectorsAreWhatTheyAreCalled) {
  const BertModel m = small_model();
  const BertRows rows = rows_of(m, kTexts);
  const NoRecording off;
  const Tensor states = m.network.bert(rows);
  const Tensor mean = text_vectors(m, rows, TextVector::mean);
  const Tensor cls = text_vectors(m, rows, TextVector::cls);
  const Tensor pooled = text_vectors(m, rows, TextVector::pooled);
  ASSERT_EQ(mean.shape(), (Shape{3, 8}));
  const std::int64_t second = rows.segments.begin(1), end = rows.segments.end(1);
  for (std::int64_t c = 0; c < 8; ++c) {
    double sum = 0;
    for (std::int64_t t = second; t < end; ++t) {
      sum += static_cast<double>(states.data()[t * 8 + c]);
    }
    EXPECT_NEAR(mean.data()[8 + c], sum / static_cast<double>(end - second), 1e-6);
    EXPECT_EQ(cls.data()[8 + c], states.data()[second * 8 + c]);
    EXPECT_LE(std::abs(pooled.data()[8 + c]), 1.0F);
  }
  std::string longer;
  for (int i = 0; i < 40; ++i) longer += "c ";
  EXPECT_EQ(rows_of(m, std::span(&longer, 1)).ids.size(), 16U) << "what does not fit is cut off";
}

/// The directory as Hugging Face would have written it: other fields, old names, a copy of the
/// decoder, half of the heads.
TEST(BertModel, ReadsAForeignDirectory) {
  const Temporary folder;
  const BertModel m = small_model(false);
  save_bert_model(m, folder.path());
  Json config = read_json(folder / kConfigFile);
  for (const char* field : {"format", "task", "preset", "do_lower_case", "manifest"}) {
    config.erase(field);
  }
  config["transformers_version"] = "4.0";
  config["classifier_dropout"] = nullptr;
  write_json(folder / kConfigFile, config);
  write_json(folder / "tokenizer_config.json", {{"do_lower_case", false}});
  std::vector<NamedTensor> tensors;
  for (auto& [name, tensor] : bert_state(m.network)) {
    std::string old = name;
    if (const auto at = old.find("LayerNorm.weight"); at != std::string::npos) {
      old.replace(at, 16, "LayerNorm.gamma");
    }
    tensors.push_back({old, tensor});
  }
  tensors.push_back({"cls.predictions.decoder.weight", m.network.bert.words});
  save_safetensors(folder / kWeightsFile, tensors, {{"format", "pt"}});
  const BertModel after = load_bert_model(folder.path());
  EXPECT_FALSE(after.pieces.lower());
  EXPECT_EQ(numbers(after), numbers(m));
  EXPECT_TRUE(is_bert_config(read_json(folder / kConfigFile)));

  // A bare encoder.
  std::vector<NamedTensor> bare;
  for (const NamedTensor& t : tensors) {
    if (t.name.starts_with("bert.")) bare.push_back({t.name.substr(5), t.tensor});
  }
  save_safetensors(folder / kWeightsFile, bare, {});
  const BertModel encoder = load_bert_model(folder.path());
  EXPECT_EQ(numbers(encoder), numbers(m));
  EXPECT_THROW((void)fill_masks(encoder, rows_of(encoder, kTexts, true), 1), Error);
}

/// What loading says of a directory that `damage` has changed.
template <class Damage>
std::string error_after(Damage damage) {
  const Temporary folder;
  save_bert_model(small_model(), folder.path());
  Json config = read_json(folder / kConfigFile);
  damage(folder.path(), config);
  write_json(folder / kConfigFile, config);
  try {
    (void)load_bert_model(folder.path());
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}
std::string error_of(const std::string& field, const Json& value) {
  return error_after([&](const auto&, Json& config) { config[field] = value; });
}

TEST(BertModel, SaysWhatIsWrongWithADirectory) {
  EXPECT_THAT(error_of("task", "lm"), HasSubstr("is no BERT (task '\"lm\"')"));
  EXPECT_THAT(error_of("hidden_size", 9), HasSubstr("num_attention_heads"));
  EXPECT_THAT(error_of("hidden_size", "wide"), HasSubstr("'hidden_size': expected"));
  EXPECT_THAT(error_of("hidden_size", 1 << 20), HasSubstr("not the model of"));
  EXPECT_THAT(error_of("num_hidden_layers", 1 << 29), HasSubstr("not the model of"));
  EXPECT_THAT(error_of("num_hidden_layers", 3), HasSubstr("not the model of"));
  EXPECT_THAT(error_of("num_hidden_layers", 1), HasSubstr("has no place in the model"));
  EXPECT_THAT(error_of("preset", "other"), HasSubstr("remove the field 'manifest'"));
  EXPECT_THAT(error_of("vocab_size", 10), HasSubstr("vocab.txt: has 9 pieces"));
  EXPECT_THAT(error_of("hidden_act", "mish"), HasSubstr("hidden_act"));
  EXPECT_THAT(error_of("position_embedding_type", "relative_key"),
              HasSubstr("position_embedding_type"));
  EXPECT_THAT(error_of("is_decoder", true), HasSubstr("is_decoder"));
  EXPECT_THAT(error_of("do_lower_case", 1), HasSubstr("do_lower_case"));
  EXPECT_THAT(
      error_after([](const auto& folder, Json&) { write_file(folder / "vocab.txt", "a\na\n"); }),
      HasSubstr("vocab.txt:2: "));
  EXPECT_THAT(error_after([](const auto& folder, Json&) {
                const std::string bytes = read_file(folder / kWeightsFile);
                write_file(folder / kWeightsFile, bytes.substr(0, bytes.size() - 4));
              }),
              HasSubstr("model.safetensors"));
  EXPECT_THAT(
      error_after([](const auto& folder, Json&) { std::filesystem::remove(folder / "vocab.txt"); }),
      HasSubstr("vocab.txt"));
}

// "a d says a": who speaks hangs on the order of the names alone.
std::vector<std::string> ordered_sentences() {
  const std::vector<std::string> names = {"a", "b", "c", "d", "e", "f"};
  std::vector<std::string> lines;
  for (const std::string& first : names) {
    for (const std::string& second : names) {
      if (first != second) lines.push_back(first + " " + second + " says " + first);
    }
  }
  return lines;
}

/// Share of the last words that the best guess from the others, whatever their order, finds.
double bag_of_words(const std::vector<std::string>& lines, const WordPiece& pieces) {
  std::map<std::set<std::int32_t>, std::map<std::int32_t, int>> counts;
  for (const std::string& line : lines) {
    const auto ids = pieces.encode(line);
    ++counts[{ids.begin(), ids.end() - 1}][ids.back()];
  }
  int right = 0;
  for (const auto& [bag, words] : counts) {
    int most = 0;
    for (const auto& word : words) most = std::max(most, word.second);
    right += most;
  }
  return right / static_cast<double>(lines.size());
}

TEST(MaskedLanguage, LearnsTheOrderOfWords) {
  const std::vector<std::string> lines = ordered_sentences();
  MaskedRecipe p = masked_recipe("tiny");
  p.network.hidden_size = p.network.intermediate_size = 32;
  p.network.initializer_range = 0.2;  // the published 0.02 suits a width of hundreds
  p.network.hidden_dropout_prob = p.network.attention_probs_dropout_prob = 0;
  p.masks.max_length = 8;
  p.masks.duplicates = 0;
  p.batch_tokens = 90;
  p.train.steps = 400;
  p.train.schedule.rate = 5e-3;
  p.train.schedule.warm_up = 40;
  p.train.schedule.steps = p.train.steps;
  p.train.validate_every = 400;
  const WordPiece pieces = WordPiece::train({.vocabulary_size = 100}, lines);
  BertModel model = make_bert(p, pieces, p.train.seed);
  const Documents text = make_documents(
      lines, [&](std::string_view line) { return pieces.encode(line); }, true);
  const MaskedTraining training{
      .train = text, .valid = text, .masks = p.masks, .batch_tokens = p.batch_tokens};
  const Temporary folder;
  Optimiser optimiser(model, p.train.optimiser);
  (void)train(masked_task(model, training), optimiser, p.train, folder.path(), false);
  double right = 0;
  for (const std::string& line : lines) {
    const std::size_t last = line.rfind(' ') + 1;
    const std::string hidden = line.substr(0, last) + "[MASK]";
    const auto best = fill_masks(model, rows_of(model, std::span(&hidden, 1), true), 1);
    right += model.pieces.piece(best[0][0].id) == line.substr(last);
  }
  EXPECT_DOUBLE_EQ(bag_of_words(lines, pieces), 0.5);
  EXPECT_GE(right / static_cast<double>(lines.size()), 0.9);
}

TEST(MaskedLanguage, PresetsHaveThePublishedRecipe) {
  for (const char* name : {"tiny", "mini", "small", "base"}) {
    const MaskedRecipe p = masked_recipe(name);
    EXPECT_FALSE(p.train.optimiser.bias_correction);
    EXPECT_FALSE(p.train.optimiser.decay_vectors);
    EXPECT_EQ(p.train.optimiser.eps, 1e-6);
    EXPECT_EQ(p.train.optimiser.clip_norm, 1.0);
    EXPECT_EQ(p.train.schedule.kind, Schedule::Kind::linear);
    EXPECT_EQ(p.train.schedule.floor, 0.0);
    EXPECT_EQ(p.masks.share, 0.15);
  }
  EXPECT_THROW((void)masked_recipe("huge"), UsageError);
}

TEST(MaskedLanguage, ARecipeThatMakesNoModelIsRefusedBeforeAnyTextIsRead) {
  const auto refused = [](const char* message, auto&& change) {
    MaskedRecipe r = masked_recipe("tiny");
    EXPECT_NO_THROW(r.check());
    change(r);
    EXPECT_THAT([&] { r.check(); }, ::testing::ThrowsMessage<Error>(HasSubstr(message)));
  };
  refused("batch_tokens: 0", [](MaskedRecipe& r) { r.batch_tokens = 0; });
  refused("num_attention_heads 5", [](MaskedRecipe& r) { r.network.num_attention_heads = 5; });
  refused("a length of 3", [](MaskedRecipe& r) { r.masks.max_length = 3; });
  // It would train, and then its directory could not say it.
  refused("gelu, gelu_new or relu",
          [](MaskedRecipe& r) { r.network.hidden_act = Activation::tanh; });
}

TEST(MaskedLanguage, TheWholeRunGoesOnWithItsOwnTextOnly) {
  const Temporary folder;
  MaskedRecipe r = masked_recipe("tiny");
  r.network.hidden_size = r.network.intermediate_size = 8;
  r.masks.max_length = 8;
  r.vocabulary = 40;
  r.by_line = true;
  r.train.steps = r.train.schedule.steps = 2;
  r.train.schedule.warm_up = 0;
  std::string file;
  for (const std::string& line : ordered_sentences()) file += line + "\n";
  write_file(folder / "text", file);
  const MaskedTexts texts = read_masked_texts({(folder / "text").string()}, {});
  EXPECT_EQ(texts.train.size(), 29U);
  EXPECT_EQ(texts.valid.size(), 1U) << "a fiftieth of 30, rounded up";
  TrainingRun begun({.model = (folder / "m").string()});
  EXPECT_EQ(train_masked(r, texts, begun, {}).steps, 2);
  EXPECT_EQ(load_bert_model(folder / "m").network.bert.config.max_position_embeddings, 8);

  r.train.steps = r.train.schedule.steps = 3;
  const auto resumed = [&](const MaskedTexts& with) {
    TrainingRun run({.model = (folder / "m").string(), .resume = true});
    return train_masked(r, with, run, {}).steps;
  };
  EXPECT_EQ(resumed(texts), 3);
  MaskedTexts other = texts;
  other.train[0] = "a b says b";
  EXPECT_THAT([&] { (void)resumed(other); }, ::testing::ThrowsMessage<Error>(HasSubstr("--train")));
  r.masks.pairs = true;
  EXPECT_THAT([&] { (void)resumed(texts); },
              ::testing::ThrowsMessage<Error>(HasSubstr("was begun without --nsp")));
}

}  // namespace
}  // namespace qkv

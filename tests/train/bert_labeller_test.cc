// Taggers and classifiers that begin with a BERT: batches, weights, files.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/train/labelling.h"
#include "qkv/train/masked_language.h"

namespace qkv {
namespace {

using Sentences = std::vector<std::vector<std::string>>;
using Ids = std::vector<std::int32_t>;

BertModel small_bert() {
  MaskedRecipe p = masked_recipe("tiny");
  p.network.hidden_size = 8;
  p.network.num_attention_heads = 2;
  p.network.intermediate_size = 16;
  p.masks.max_length = 8;
  return make_bert(
      p, WordPiece::from_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nc\n.\n", "v", false), 3);
}

LabellingRecipe recipe_of(LabelTask task, TagScheme scheme, std::uint64_t seed = 1) {
  LabellingRecipe r = labelling_recipe("tiny", task, LabelEncoder::bert);
  r.scheme = scheme;
  r.train.seed = seed;
  r.fresh = true;
  return r;
}

LabelledText text() {
  LabelledText t;
  t.words = {{"ab", "c"}, {"c", "."}, {"xyz", "a."}};
  t.tags = {{"B-x", "O"}, {"O", "O"}, {"B-x", "I-x"}};
  t.labels = {"yes", "no", "yes"};
  return t;
}

TEST(BertLabeller, WordsBecomePieces) {
  const BertModel bert = small_bert();
  const LabellerModel m =
      make_labeller(recipe_of(LabelTask::tag, TagScheme::iobes), text(), 1, &bert);
  // "abbb" has four pieces; with it and five more words the sentence has one too many for six.
  const LabelBatch b = m.batch(
      Sentences{{"ab", "z", ""}, {}, {"abbb", "c", "c", "c"}, {"a", "ab", "c", "c", "abb"}});
  EXPECT_EQ(b.pieces, (Ids{2, 5, 6, 1, 1, 3, 2, 3, 2, 5, 6, 6, 7, 7, 7, 3, 2, 5, 5, 7, 7, 5, 3}));
  EXPECT_EQ(b.first_piece, (Ids{1, 3, 4, 1, 4, 5, 6, 1, 2, 3, 4, 5}));
  EXPECT_EQ(b.piece_segments.count(), 4);
  const LabelBatch packed = pack(b, std::vector<std::int64_t>{2, 0});
  EXPECT_EQ(packed.pieces, (Ids{2, 5, 6, 6, 7, 7, 7, 3, 2, 5, 6, 1, 1, 3}));
  EXPECT_EQ(packed.first_piece, (Ids{1, 4, 5, 6, 1, 3, 4}));
  EXPECT_EQ(longest_sentence(m), 6);
}

TEST(BertLabeller, TakesTheWeightsAndNoOthers) {
  const BertModel bert = small_bert();
  LabellerModel m =
      make_labeller(recipe_of(LabelTask::classify, TagScheme::iob2), text(), 77, &bert);
  const auto equal = [](const Tensor& a, const Tensor& b) {
    return std::ranges::equal(a.values(), b.values());
  };
  EXPECT_FALSE(equal(m.network.bert.words, bert.network.bert.words)) << "other seeds";
  take_weights(m, bert);
  EXPECT_TRUE(equal(m.network.bert.words, bert.network.bert.words));
  EXPECT_TRUE(equal(m.network.bert.layers[1].layer.feed_forward.outer.weight,
                    bert.network.bert.layers[1].layer.feed_forward.outer.weight));
  EXPECT_NE(m.network.bert.words.data(), bert.network.bert.words.data()) << "a copy";
  BertModel other = small_bert();
  other.network.bert.types = Tensor::zeros({3, 8});
  EXPECT_THROW(take_weights(m, other), ShapeError);
}

TEST(BertLabeller, BeginsWithTheWeightsUnlessItIsToBeFresh) {
  const BertModel bert = small_bert();
  LabellingRecipe r = recipe_of(LabelTask::tag, TagScheme::iobes, 77);
  const auto begins = [&] {
    const LabellerModel m = make_labeller(r, text(), r.train.seed, &bert);
    return std::ranges::equal(m.network.bert.words.values(), bert.network.bert.words.values());
  };
  EXPECT_FALSE(begins());
  r.fresh = false;
  EXPECT_TRUE(begins());
  EXPECT_THROW(make_labeller(r, text(), 1), Error) << "there is no BERT";
}

TEST(BertLabeller, ComesBackFromDisk) {
  const BertModel bert = small_bert();
  for (const LabelTask task : {LabelTask::tag, LabelTask::classify, LabelTask::intent}) {
    const Temporary folder;
    LabellerModel before = make_labeller(recipe_of(task, TagScheme::iob2), text(), 1, &bert);
    take_weights(before, bert);
    save_labeller_model(before, folder.path());
    EXPECT_TRUE(std::filesystem::exists(folder / "vocab.txt"));
    EXPECT_FALSE(std::filesystem::exists(folder / "words.vocabulary"));
    const LabellerModel after = load_labeller_model(folder.path());
    EXPECT_EQ(after.task(), name_of(task));
    EXPECT_EQ(after.word_options.lowercase, after.pieces.lower());
    const Sentences sentences{{"ab", "."}, {"c"}};
    const auto a = label_sentences(before, sentences), b = label_sentences(after, sentences);
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].tags, b[i].tags);
      EXPECT_EQ(a[i].tag_score, b[i].tag_score);
      EXPECT_EQ(a[i].class_probabilities, b[i].class_probabilities);
    }
  }
}

TEST(BertLabeller, SaysWhatIsWrongWithADirectory) {
  const Temporary folder;
  const BertModel bert = small_bert();
  save_labeller_model(make_labeller(recipe_of(LabelTask::tag, TagScheme::iob2), text(), 1, &bert),
                      folder.path());
  const Json good = read_json(folder / kConfigFile);
  const auto error_of = [&](const char* field, const Json& value) -> std::string {
    Json config = good;
    config["bert"][field] = value;
    write_json(folder / kConfigFile, config);
    try {
      (void)load_labeller_model(folder.path());
    } catch (const DataError& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of("hidden_size", 16), ::testing::HasSubstr("hidden_size 16"));
  EXPECT_THAT(error_of("vocab_size", 10), ::testing::HasSubstr("vocab.txt: has 9 pieces"));
  EXPECT_THAT(error_of("num_hidden_layers", 1 << 28), ::testing::HasSubstr("model.safetensors"));
  EXPECT_THAT(error_of("hidden_act", "mish"), ::testing::HasSubstr("hidden_act"));
  Json config = good;
  config.erase("bert");
  write_json(folder / kConfigFile, config);
  EXPECT_THROW((void)load_labeller_model(folder.path()), DataError);
}

}  // namespace
}  // namespace qkv

// BERT and its relatives as transformers computes them: hidden states, logits, the loss and its
// gradient, from the directories that save_pretrained() wrote (tools/golden_hf.py).
#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>

#include "golden/golden.h"
#include "systems/golden_folders.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/data/lines.h"
#include "qkv/io/json.h"
#include "qkv/ops/pieces.h"
#include "qkv/ops/softmax.h"
#include "qkv/systems/bert_model.h"
#include "qkv/systems/import/bert_labels.h"
#include "qkv/systems/label_sentences.h"
#include "qkv/systems/open.h"

namespace qkv {
namespace {

using testing::Golden;
namespace fs = std::filesystem;

/// A golden model with a tokeniser beside it.
class GoldenFolder {
 public:
  explicit GoldenFolder(const std::string& name) {
    testing::make_golden_bert(name, folder_.path());
  }
  const fs::path& path() const { return folder_.path(); }

 private:
  Temporary folder_;
};

double difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.count(), b.count());
  double most = 0;
  for (std::int64_t i = 0; i < std::min(a.count(), b.count()); ++i) {
    most = std::max(most,
                    std::abs(static_cast<double>(a.data()[i]) - static_cast<double>(b.data()[i])));
  }
  return most;
}

BertRows rows_of_golden(const Golden& golden, const std::string& n) {
  BertRows rows{.ids = golden.ids(n + ".ids"), .types = {}, .segments = {}};
  if (golden.has(n + ".types")) rows.types = golden.ids(n + ".types");
  rows.segments = Segments({static_cast<std::int64_t>(rows.ids.size())});
  return rows;
}

/// The gradients that the file has, after backward() from the same loss.
template <class M>
void expect_gradients(const M& module, const BertConfig& config, BertHead head,
                      const Golden& golden, const std::string& name) {
  int compared = 0;
  for_each_parameter(module, [&](std::string_view path, const Tensor& p) {
    const std::string there = "grad." + foreign_bert_name(std::string(path), config, head);
    if (!golden.has(there)) return;
    const bool turned = p.shape().rank() == 2 && !path.ends_with("_embeddings.weight");
    EXPECT_LT(difference(gradient_of(p), turned ? golden.matrix(there) : golden[there]), 1e-5)
        << name << ": " << path;
    ++compared;
  });
  EXPECT_GE(compared, 2) << name;
}

std::string test_name(const ::testing::TestParamInfo<const char*>& param) {
  std::string name = param.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class GoldenBert : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenBert, GivesTheSameNumbers) {
  const std::string name = GetParam();
  const GoldenFolder folder(name);
  const BertModel model = load_bert_model(folder.path());
  const Golden golden(name);
  EXPECT_TRUE(model.notes.empty()) << model.notes.front();
  for (const std::string n : {"0", "1"}) {
    const BertRows rows = rows_of_golden(golden, n);
    const Tensor states = model.network.bert(rows);
    EXPECT_LT(difference(states, golden[n + ".hidden.2"]), 1e-5) << n;
    if (golden.has(n + ".pooled")) {
      EXPECT_LT(difference(model.network.bert.pooled(states, rows.segments), golden[n + ".pooled"]),
                1e-5);
    }
    if (!golden.has(n + ".logits")) continue;
    std::vector<std::int64_t> all;
    for (std::size_t t = 0; t < rows.ids.size(); ++t) all.push_back(static_cast<std::int64_t>(t));
    EXPECT_LT(difference(model.network.word_logits(rows, all), golden[n + ".logits"]), 1e-5) << n;
  }
}

TEST_P(GoldenBert, LearnsTheSame) {
  const std::string name = GetParam();
  const Golden golden(name);
  if (!golden.has("0.logits")) GTEST_SKIP() << "its loss is of no head";
  const GoldenFolder folder(name);
  const BertModel model = load_bert_model(folder.path());
  BertRows both;  // one batch, so that neighbours would be seen
  std::vector<std::int64_t> lengths, where;
  std::vector<std::int32_t> targets, follows;
  for (const std::string n : {"0", "1"}) {
    const BertRows rows = rows_of_golden(golden, n);
    const std::vector<std::int32_t> labels = golden.ids(n + ".labels");
    for (std::size_t t = 0; t < labels.size(); ++t) {
      if (labels[t] < 0) continue;
      where.push_back(static_cast<std::int64_t>(both.ids.size() + t));
      targets.push_back(labels[t]);
    }
    both.ids.insert(both.ids.end(), rows.ids.begin(), rows.ids.end());
    both.types.insert(both.types.end(), rows.types.begin(), rows.types.end());
    lengths.push_back(rows.segments.total());
    if (golden.has(n + ".sentence")) follows.push_back(golden.ids(n + ".sentence.labels").front());
  }
  both.segments = Segments(lengths);
  Tape tape;
  const Recording recording(tape);
  const BertLoss loss = model.network.loss(
      both, where, targets, follows,
      {.word_scale = 1.0 / static_cast<double>(where.size()),
       .next_scale = 1.0 / static_cast<double>(std::max<std::size_t>(1, follows.size()))});
  EXPECT_NEAR(static_cast<double>(loss.loss.values()[0]), golden.number("loss"), 1e-5);
  tape.backward(loss.loss);
  expect_gradients(model.network, model.network.bert.config, BertHead::words, golden, name);
}

TEST_P(GoldenBert, KeepsEveryBitInADirectoryOfOurs) {
  const std::string name = GetParam();
  const GoldenFolder folder(name);
  const BertModel model = load_bert_model(folder.path());
  const Temporary copy;
  save_bert_model(model, copy / "m");
  const BertModel again = load_bert_model(copy / "m");
  EXPECT_TRUE(again.notes.empty());
  const BertRows rows = rows_of_golden(Golden(name), "0");
  EXPECT_EQ(difference(again.network.bert(rows), model.network.bert(rows)), 0.0);
  EXPECT_EQ(again.pieces.encode_masked("w7 [MASK] w9"), model.pieces.encode_masked("w7 [MASK] w9"));
  EXPECT_EQ(again.pieces.cls(), model.pieces.cls());
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenBert,
                         ::testing::Values("bert-bare", "bert-masked", "bert-pretraining",
                                           "distilbert-masked", "distilbert-masked-sinusoid",
                                           "roberta-masked", "albert-masked", "bert-masked-v5"),
                         test_name);

class GoldenLabels : public ::testing::TestWithParam<const char*> {};

/// The logits as the class gives them: a row a token, or one of the sequence.
Tensor logits_of(const Labeller& network, const BertRows& rows) {
  const Tensor states = network.bert(rows);
  return network.config.tags > 0 ? network.tag_output(states)
                                 : network.class_output(network.bert.pooled(states, rows.segments));
}

TEST_P(GoldenLabels, GiveTheSameNumbers) {
  const std::string name = GetParam();
  const GoldenFolder folder(name);
  const LabellerModel model = load_labeller_model(folder.path());
  const Labeller& network = model.network;
  const Golden golden(name);
  EXPECT_TRUE(model.notes.empty()) << model.notes.front();
  Tape tape;
  const Recording recording(tape);
  std::vector<Tensor> logits;
  std::vector<std::int32_t> labels;
  for (const std::string n : {"0", "1"}) {
    const BertRows rows = rows_of_golden(golden, n);
    EXPECT_LT(difference(network.bert(rows), golden[n + ".hidden.2"]), 1e-5) << n;
    logits.push_back(logits_of(network, rows));
    EXPECT_LT(difference(logits.back(), golden[n + ".logits"]), 1e-5) << n;
    for (const std::int32_t label : golden.ids(n + ".labels")) labels.push_back(label);
  }
  const auto counted = std::count_if(labels.begin(), labels.end(), [](auto l) { return l >= 0; });
  const CrossEntropyResult loss =
      cross_entropy(stack_rows(logits), labels, {.scale = 1.0 / static_cast<double>(counted)});
  EXPECT_NEAR(static_cast<double>(loss.loss.values()[0]), golden.number("loss"), 1e-5);
  tape.backward(loss.loss);
  expect_gradients(network, network.config.bert,
                   network.config.tags > 0 ? BertHead::tags : BertHead::classes, golden, name);
}

/// What predict() makes of a sequence of pieces, each a word.
TEST_P(GoldenLabels, ChooseTheStrongest) {
  const std::string name = GetParam();
  const Golden golden(name);
  const GoldenFolder folder(name);
  const LabellerModel model = load_labeller_model(folder.path());
  LabelBatch batch;
  batch.pieces = golden.ids("0.ids");
  if (golden.has("0.types")) batch.piece_types = golden.ids("0.types");
  const auto count = static_cast<std::int64_t>(batch.pieces.size());
  batch.segments = batch.piece_segments = Segments({count});
  for (std::int32_t t = 0; t < count; ++t) batch.first_piece.push_back(t);
  const LabelPrediction p = model.network.predict(batch);
  const std::vector<std::int32_t>& found = model.network.config.tags > 0 ? p.tags : p.classes;
  const Tensor logits = golden["0.logits"];
  ASSERT_EQ(static_cast<std::int64_t>(found.size()), logits.dim(0));
  for (std::int64_t t = 0; t < logits.dim(0); ++t) {
    const auto row = logits.values().subspan(static_cast<std::size_t>(t * logits.dim(1)),
                                             static_cast<std::size_t>(logits.dim(1)));
    EXPECT_EQ(found[static_cast<std::size_t>(t)],
              std::max_element(row.begin(), row.end()) - row.begin());
  }
}

TEST_P(GoldenLabels, KeepEveryBitInADirectoryOfOurs) {
  const GoldenFolder folder(GetParam());
  const LabellerModel model = load_labeller_model(folder.path());
  const Temporary copy;
  save_labeller_model(model, copy / "m");
  const LabellerModel again = load_labeller_model(copy / "m");
  EXPECT_EQ(again.task(), model.task());
  const std::vector<std::vector<std::string>> sentences = {{"w5", "w9", "w11"}, {"w6"}};
  const auto a = label_sentences(model, sentences), b = label_sentences(again, sentences);
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].tags, b[i].tags);
    EXPECT_EQ(a[i].label, b[i].label);
    EXPECT_EQ(a[i].class_probabilities, b[i].class_probabilities);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenLabels,
                         ::testing::Values("bert-tags", "bert-classes", "distilbert-tags",
                                           "distilbert-classes", "xlm-roberta-tags",
                                           "xlm-roberta-classes"),
                         test_name);

/// Both sequences as one text of one word each, with what is right.
LabelBatch batch_of_golden(const Golden& golden, const Labeller& network) {
  LabelBatch batch;
  std::vector<std::int64_t> lengths;
  for (const std::string n : {"0", "1"}) {
    const BertRows rows = rows_of_golden(golden, n);
    batch.pieces.insert(batch.pieces.end(), rows.ids.begin(), rows.ids.end());
    batch.piece_types.insert(batch.piece_types.end(), rows.types.begin(), rows.types.end());
    lengths.push_back(rows.segments.total());
    batch.first_piece.push_back(1);
    if (network.config.answer == ClassAnswer::number) {
      batch.numbers.push_back(1);  // as the loss of the file has it
    } else {
      for (const std::int32_t mark : golden.ids(n + ".labels")) batch.marks.push_back(mark);
    }
  }
  batch.segments = Segments({1, 1});
  batch.piece_segments = Segments(lengths);
  return batch;
}

TEST(GoldenLabels, NumbersAndSeveralLabels) {
  for (const auto& [name, answer, scale] : {std::tuple{"roberta-classes", ClassAnswer::number, 1.0},
                                            std::tuple{"bert-several", ClassAnswer::labels, 0.5}}) {
    const GoldenFolder folder(name);
    const LabellerModel model = load_labeller_model(folder.path());
    const Labeller& network = model.network;
    ASSERT_EQ(network.config.answer, answer) << name;
    const Golden golden(name);
    const LabelBatch batch = batch_of_golden(golden, network);
    const LabelPrediction p = network.predict(batch);
    for (std::int64_t b = 0; b < 2; ++b) {
      const Tensor logits = golden[std::to_string(b) + ".logits"];
      for (std::int64_t k = 0; k < logits.count(); ++k) {
        const auto x = static_cast<double>(logits.values()[static_cast<std::size_t>(k)]);
        if (answer == ClassAnswer::number) {
          EXPECT_NEAR(p.numbers[static_cast<std::size_t>(b)], x, 1e-5);
        } else {
          EXPECT_NEAR(
              std::exp(static_cast<double>(
                  p.class_log_probabilities.rows(b, b + 1).values()[static_cast<std::size_t>(k)])),
              1 / (1 + std::exp(-x)), 1e-5);
        }
      }
    }
    Tape tape;
    const Recording recording(tape);
    const LabelLoss loss = network.loss(batch, {.class_scale = scale});
    EXPECT_NEAR(static_cast<double>(loss.loss.values()[0]), golden.number("loss"), 1e-5) << name;
    EXPECT_NEAR(loss.class_sum * scale, golden.number("loss"), 1e-5) << name;
    tape.backward(loss.loss);
    expect_gradients(network, network.config.bert, BertHead::classes, golden, name);
    // As people ask.
    const Classifier classifier = Classifier::load(folder.path());
    const LabelledSentence s = classifier.classify("w7 w8");
    EXPECT_EQ(s.value.has_value(), answer == ClassAnswer::number);
    EXPECT_EQ(s.labels.has_value(), answer == ClassAnswer::labels);
    EXPECT_FALSE(classifier.classify(" ").value || classifier.classify(" ").labels) << "no text";
  }
}

TEST(GoldenLabels, SeveralNumbersAreRefused) {
  const GoldenFolder folder("bert-classes");
  Json config = read_json(folder.path() / "config.json");
  config["problem_type"] = "regression";
  write_json(folder.path() / "config.json", config);
  try {
    (void)load_labeller_model(folder.path());
    ADD_FAILURE();
  } catch (const DataError& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("a regression of 4 numbers"));
  }
}

/// The very ids, segments and logits of BertTokenizerFast and the class, cut ones too.
TEST(GoldenLabels, TwoTexts) {
  const fs::path folder = testing::golden_folder("bert-pairs");
  const LabellerModel model = load_labeller_model(folder);
  const Classifier classifier = Classifier::load(folder);
  const Golden golden("bert-pairs");
  std::vector<std::vector<std::string>> pairs;
  for (const std::string& line : read_lines((folder / "pairs.tsv").string())) {
    pairs.push_back(cut_words(line, WordCut::pair));
  }
  ASSERT_EQ(pairs.size(), 8U);
  const std::vector<Labelled> together = label_sentences(model, pairs, {.cut = WordCut::pair});
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const std::string n = std::to_string(i);
    const PiecePair pair = model.pieces.encode_pair(pairs[i][0], pairs[i][1], 20);
    EXPECT_EQ(pair.ids, golden.ids(n + ".ids")) << n;
    EXPECT_EQ(pair.types, golden.ids(n + ".types")) << n;
    EXPECT_NEAR(*together[i].value, golden.number(n + ".logits"), 1e-5) << n;
    const LabelledSentence alone = classifier.classify_pair(pairs[i][0], pairs[i][1]);
    EXPECT_EQ(*alone.value, *together[i].value) << "neighbours";
    EXPECT_EQ(alone.cut, pair.left_out);
    EXPECT_EQ(alone.cut > 0, i >= 2 && i <= 6);
  }
  const Temporary copy;
  classifier.save(copy / "m");
  EXPECT_EQ(*Classifier::load(copy / "m").classify_pair("w7 w8", "w9").value,
            *classifier.classify_pair("w7 w8", "w9").value);
}

TEST(GoldenLabels, OpenFindsTheHead) {
  EXPECT_EQ(verb_of(open(GoldenFolder("distilbert-classes").path())), "classify");
  EXPECT_EQ(verb_of(open(GoldenFolder("xlm-roberta-tags").path())), "tag");
  EXPECT_EQ(verb_of(open(GoldenFolder("roberta-masked").path())), "fill");
  const Tagger tagger = Tagger::load(GoldenFolder("xlm-roberta-tags").path());
  EXPECT_EQ(tagger.tag("w7 w8").tags.size(), 2U);
  const Classifier classifier = Classifier::load(GoldenFolder("distilbert-classes").path());
  const LabelledSentence s = classifier.classify("w7  w8 ");
  EXPECT_EQ(s.words, std::vector<std::string>{"w7  w8 "}) << "read as it is";
  ASSERT_EQ(s.scores.size(), 2U);
  EXPECT_EQ(s.scores[0].first, "LABEL_0");
}

TEST(LabelNames, TheWeightsSayHowMany) {
  std::vector<std::string> notes;
  const auto names = [&](const Json& config, std::int64_t count) {
    notes.clear();
    return label_names(config, "config.json", count, notes);
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(names({{"id2label", {{"0", "no"}, {"1", "yes"}}}}, 2), ElementsAre("no", "yes"));
  EXPECT_TRUE(notes.empty());
  EXPECT_THAT(names(Json::object(), 2), ElementsAre("LABEL_0", "LABEL_1"));
  EXPECT_TRUE(notes.empty());
  EXPECT_THAT(names({{"id2label", {{"0", "a"}, {"1", "b"}}}}, 3), ElementsAre("a", "b", "LABEL_2"));
  EXPECT_EQ(notes.size(), 1U);
  EXPECT_THAT(names({{"id2label", {{"0", "a"}, {"1", "a"}}}}, 2), ElementsAre("a", "LABEL_1"));
  EXPECT_EQ(notes.size(), 1U);
  EXPECT_THAT(names({{"id2label", {{"0", "<pad>"}, {"1", "x\ny"}}}}, 2),
              ElementsAre("LABEL_0", "LABEL_1"));
  EXPECT_EQ(notes.size(), 1U);
}

}  // namespace
}  // namespace qkv

// qkv tokenise on directories of other programs and on our own.
#include <algorithm>

#include "app/run_qkv.h"
#include "systems/tiny_argos.h"
#include "systems/tiny_models.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "qkv/systems/bert_model.h"
#include "qkv/systems/translation_model.h"
#include "qkv/text/tokeniser.h"

namespace qkv {
namespace {

const std::string kBert =
    "tokenise --model '" + std::string(QKV_SOURCE_DIR) + "/tests/text/tokenisers/bert-files' ";

TEST(Tokenise, NumbersPiecesOffsetsAndBack) {
  const Ran ids = run_qkv(kBert, "The cat\n\n");
  ASSERT_EQ(ids.exit, 0) << ids.err;
  EXPECT_EQ(run_qkv(kBert + "--ids", "The cat\n\n").out, ids.out);
  EXPECT_EQ(run_qkv(kBert + "--decode", ids.out).out, "The cat\n\n");
  EXPECT_EQ(run_qkv(kBert + "--pieces --offsets", "The cat\n").out,
            "[CLS]/0-0 The/0-3 cat/4-7 [SEP]/0-0\n");
  EXPECT_EQ(run_qkv(kBert + "--pieces --bare", "The cat\n").out, "The cat\n");
  const auto json = nlohmann::json::parse(run_qkv(kBert + "--json", "The cat\n").out);
  EXPECT_EQ(json["pieces"], nlohmann::json({"[CLS]", "The", "cat", "[SEP]"}));
  EXPECT_EQ(json["offsets"][2], nlohmann::json({4, 7}));
  EXPECT_EQ(json["special"], nlohmann::json({1, 0, 0, 1}));
}

TEST(Tokenise, QuotedLinesHoldAnyTextAndPairs) {
  const Ran two = run_qkv(kBert + "--quoted --pieces", "\"The\\ncat\"\n[\"The\", \"cat\"]\n\"\"\n");
  EXPECT_EQ(two.exit, 0) << two.err;
  EXPECT_EQ(two.out, "[CLS] The cat [SEP]\n[CLS] The [SEP] cat [SEP]\n[CLS] [SEP]\n");
  for (const char* line : {"The cat", "3", "[\"a\"]", "[\"a\", 3]"}) {
    const Ran wrong = run_qkv(kBert + "--quoted", "\"x\"\n" + std::string(line) + "\n");
    EXPECT_EQ(wrong.exit, 1) << line;
    EXPECT_NE(wrong.err.find("<stdin>:2"), std::string::npos) << wrong.err;
  }
  EXPECT_EQ(run_qkv(kBert + "--quoted --decode", "").exit, 2);
}

TEST(Tokenise, LinesAnswerInOrderOnAnyNumberOfThreads) {
  std::string lines;
  for (int i = 0; i < 3000; ++i)
    lines += "The cat " + std::string(static_cast<std::size_t>(i % 7), 's') + "\n";
  const Ran one = run_qkv(kBert + "--threads 1", lines);
  EXPECT_EQ(one.exit, 0) << one.err;
  EXPECT_EQ(run_qkv(kBert + "--threads 3", lines).out, one.out);
}

TEST(Tokenise, SpeedIsMeasured) {
  const Temporary folder;
  spill(folder / "text", "The cat\n\nthe dog\n");
  const std::string bert = std::string(QKV_SOURCE_DIR) + "/tests/text/tokenisers/bert-files";
  const std::string bench = "bench tokenise --runs 1 --json --model '" + bert + "' '";
  const Ran ran = run_qkv(bench + (folder / "text").string() + "'");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(nlohmann::json::parse(ran.out)["lines"], 3);
  EXPECT_EQ(run_qkv(bench + "/dev/null'").exit, 1);
}

TEST(Tokenise, SaysWhatIsWrong) {
  const Ran none = run_qkv("tokenise --model /nowhere", "");
  EXPECT_EQ(none.exit, 1);
  EXPECT_NE(none.err.find("has no tokenizer.json"), std::string::npos) << none.err;
  const Ran number = run_qkv(kBert + "--decode", "1 2\n3 x\n");
  EXPECT_EQ(number.exit, 1);
  EXPECT_NE(number.err.find("<stdin>:2: 'x' is no number"), std::string::npos) << number.err;
  EXPECT_EQ(run_qkv(kBert + "--decode --ids", "").exit, 2);
  EXPECT_EQ(run_qkv(kBert + "--decode", "99999\n").exit, 1);
}

TEST(Tokenise, OurOwnDirectories) {
  const Temporary folder;
  const std::vector<std::string> text = {"the cat sees the dog"};
  const Tokeniser t = Tokeniser::train({.kind = TokeniserOptions::Kind::word}, text);
  t.save(folder.path(), "tokens");
  const std::string own = "tokenise --model '" + folder.path().string() + "' ";
  const Ran ids = run_qkv(own, "the dog\n");
  ASSERT_EQ(ids.exit, 0) << ids.err;
  EXPECT_EQ(run_qkv(own + "--decode", ids.out).out, "the dog\n");
  EXPECT_EQ(run_qkv(own + "--pieces", "the dog\n").out, "the dog\n");
  EXPECT_EQ(run_qkv(own + "--offsets", "the dog\n").exit, 2);
}

// Translators that are known by other files than those of a tokeniser.
TEST(Tokenise, PackagesAndMarian) {
  const Temporary folder;
  tiny::make_argosmodel(folder / "en_xx.argosmodel", "en", "xx");
  tiny::make_argos(folder / "unpacked");
  const std::string text = "a t\nthe mill\n\n";
  const auto asked = [&](const std::filesystem::path& model, const std::string& more,
                         const std::string& lines) {
    const Ran ran = run_qkv("tokenise --model '" + model.string() + "' " + more, lines);
    EXPECT_EQ(ran.exit, 0) << ran.err;
    return ran.out;
  };
  const std::string ids = asked(folder / "en_xx.argosmodel", "", text);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), '\n'), 3);
  EXPECT_EQ(asked(folder / "unpacked", "", text), ids);
  EXPECT_EQ(asked(folder / "en_xx.argosmodel", "--decode --bare", "4\n"), "a\n");
  EXPECT_EQ(asked(folder / "en_xx.argosmodel", "--decode --bare --target", "4\n"), "x\n");
  const std::filesystem::path marian =
      std::filesystem::path(QKV_SOURCE_DIR) / "tests/golden/marian/two-tables";
  const TranslationModel model = load_translation_model(marian);
  for (const bool target : {false, true}) {
    const Tokeniser& t = target ? model.target : model.source;
    std::string expected;
    for (const std::int32_t id : t.encode("piece9 nothing piece11")) {
      expected += (expected.empty() ? "" : " ") + std::to_string(id);
    }
    EXPECT_EQ(asked(marian, target ? "--bare --target" : "--bare", "piece9 nothing piece11\n"),
              expected + "\n");
  }
  spill(folder / "other.zip", slurp(folder / "en_xx.argosmodel").substr(0, 40));
  EXPECT_EQ(run_qkv("tokenise --model '" + (folder / "other.zip").string() + "'", "").exit, 1);
}

// As the model reads them: a word of 150 letters is cut, unless another program's says otherwise.
TEST(Tokenise, OurOwnBertsHaveTheRulesOfTheModel) {
  const Temporary folder;
  const std::vector<std::string> words = {"a" + std::string(149, 'b'), "a" + std::string(200, 'b')};
  for (const std::size_t longest : {std::size_t{0}, std::size_t{100}}) {
    BertModel bert = tiny::bert();
    if (longest > 0) {
      WordPiece pieces = *bert.pieces.word_piece();
      pieces.set_longest_word(longest);
      bert.pieces = pieces;
    }
    save_bert_model(bert, folder / "bert");
    std::string expected;
    for (const std::string& line : words) {
      std::string ids;
      for (const std::int32_t id : bert.pieces.encode(line)) {
        ids += (ids.empty() ? "" : " ") + std::to_string(id);
      }
      expected += ids + "\n";
    }
    EXPECT_EQ(expected.size() > 100, longest == 0);
    EXPECT_EQ(run_qkv("tokenise --bare --model '" + (folder / "bert").string() + "'",
                      words[0] + "\n" + words[1] + "\n")
                  .out,
              expected);
  }
}

TEST(Tokenise, HelpPrintsNoDefaultThatCannotBeGiven) {
  const std::string help = run_qkv("tokenise --help").out;
  EXPECT_NE(help.find("default: all cores"), std::string::npos);
  EXPECT_EQ(help.find("1000000]=0"), std::string::npos) << help;
}

}  // namespace
}  // namespace qkv

// Two texts a line, numbers and several labels, sentence encoders and their nearest lines, through
// the verbs.
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "app/run_qkv.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// A BERT of a few steps over a dozen words, for all tests.
class Pairs : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new Temporary;
    std::string text;
    for (int i = 0; i < 60; ++i) text += "the cat sat .\nthe dog ran .\na man saw it .\n\n";
    spill(*shared_ / "toy.txt", text);
    const Ran ran =
        run_qkv("train mlm --train " + quoted(*shared_ / "toy.txt") + " --model " +
                quoted(*shared_ / "bert") +
                " --width 32 --layers 1 --heads 2 --length 24 --vocabulary 60 "
                "--batch-tokens 240 --rate 0.01 --threads 1 --steps 60 --by-line --dropout 0 "
                "--attention-dropout 0");
    ASSERT_EQ(ran.exit, 0) << ran.err;
  }
  static void TearDownTestSuite() { delete shared_; }
  static std::string quoted(const std::filesystem::path& path) { return "'" + path.string() + "'"; }
  std::string path(const char* name) { return quoted(folder_ / name); }
  std::string training(const std::string& noun, const char* data, const char* model) {
    return "train " + noun + " --train " + path(data) + " --valid " + path(data) + " --model " +
           path(model) + " --init " + quoted(*shared_ / "bert") +
           " --threads 1 --warm-up 5 --schedule constant --patience 0 ";
  }

  static Temporary* shared_;
  Temporary folder_;
};
Temporary* Pairs::shared_ = nullptr;

const char* const kWho[] = {"the cat", "the dog", "a man"};

TEST_F(Pairs, AClassifierOfTwoTexts) {
  std::string table;  // who comes first: the same words in another order
  for (int i = 0; i < 12; ++i) {
    table += "first\tthe cat sat\tthe dog ran\nsecond\tthe dog sat\tthe cat ran\n";
  }
  spill(folder_ / "pairs.tsv", table);
  const std::string command = training("classify --words pair", "pairs.tsv", "m") +
                              "--pooling token --rate 0.003 --steps 60 --dropout 0 --ema 0 ";
  const Ran trained = run_qkv(command + "--json --test " + path("pairs.tsv"));
  ASSERT_EQ(trained.exit, 0) << trained.err;
  EXPECT_EQ(Json::parse(trained.out)["classes"]["accuracy"], 100.0);
  const std::string classify = "classify --threads 1 --model " + path("m") + " ";
  const std::string asked = "the cat sat\tthe dog ran\n\nthe dog sat\tthe cat ran\n";
  const Ran ran = run_qkv(classify, asked);
  EXPECT_EQ(ran.out, "first\n\nsecond\n") << ran.err;
  EXPECT_EQ(run_qkv(classify + "--scores --batch-sentences 1", asked).out,
            run_qkv(classify + "--scores", asked).out);
  const Ran one = run_qkv(classify, "the cat sat\ta\nno tab here\n");
  EXPECT_EQ(one.exit, 1);
  EXPECT_THAT(one.err, HasSubstr("<stdin>:2: expected two texts with a tab between, found 0 tabs"));
  std::string longer = "the cat sat";
  for (int i = 0; i < 30; ++i) longer += " cat";
  EXPECT_THAT(run_qkv(classify, longer + "\tthe cat ran\n").err, HasSubstr("<stdin>:1: "));
  const Ran scores = run_qkv(classify + "--json --evaluate " + path("pairs.tsv"));
  EXPECT_EQ(Json::parse(scores.out)["classes"]["accuracy"], 100.0) << scores.err;
  EXPECT_THAT(run_qkv("info " + path("m")).out, HasSubstr("two a line"));
  EXPECT_EQ(
      run_qkv("look --kind encoder --model " + path("m") + " --source 'the cat\tthe dog'").exit, 0);
  spill(folder_ / "long.tsv", table + "first\t" + longer + "\tthe cat\n");
  const Ran cut = run_qkv(training("classify --words pair", "long.tsv", "c") + "--steps 1");
  EXPECT_THAT(cut.err, HasSubstr("cut to 24 tokens: 1 pairs"));
}

TEST_F(Pairs, WhatCannotBeReadAsPairs) {
  spill(folder_ / "bad.tsv", "a\tthe cat\tthe dog\nb\tthe cat\n");
  const auto refused = [](const std::string& command, const std::string& why, int exit) {
    const Ran ran = run_qkv(command, "x\n");
    EXPECT_EQ(ran.exit, exit) << command;
    EXPECT_THAT(ran.err, HasSubstr(why));
  };
  refused(training("classify --words pair", "bad.tsv", "m"),
          "bad.tsv:2: expected label TAB text TAB text, found 2 columns", 1);
  refused("train classify --words pair --train " + path("bad.tsv") + " --model " + path("m"),
          "with a BERT; give one with --init", 2);
  refused(training("classify --answer number", "bad.tsv", "m"), "'a' is no number", 1);
  refused(training("classify --answer number --smoothing 0.1", "bad.tsv", "m"), "--smoothing", 2);
  refused(training("tag --answer number", "bad.tsv", "m"), "--answer", 2);
  spill(folder_ / "tags", "the O\ncat B-X\n\n");
  ASSERT_EQ(run_qkv(training("tag", "tags", "t") + "--steps 1").exit, 0);
  refused("tag --words pair --model " + path("t"), "two texts a line are for classifiers", 1);
}

TEST_F(Pairs, ARegressionGivesNumbers) {
  std::string table;  // 100 and a half for each text about the cat
  for (int i = 0; i < 6; ++i) {
    for (const std::string a : kWho) {
      for (const std::string b : kWho) {
        const double y = 100 + (a == "the cat" ? 0.5 : 0) + (b == "the cat" ? 0.5 : 0);
        table += std::to_string(y) + "\t" + a + " sat\t" + b + " ran\n";
      }
    }
  }
  spill(folder_ / "numbers.tsv", table);
  const Ran trained =
      run_qkv(training("classify --words pair --answer number", "numbers.tsv", "m") +
              "--rate 0.003 --steps 200 --dropout 0 --ema 0 --json --test " + path("numbers.tsv"));
  ASSERT_EQ(trained.exit, 0) << trained.err;
  EXPECT_THAT(trained.err, HasSubstr("Spearman"));
  const Json scores = Json::parse(trained.out)["numbers"];
  EXPECT_GT(scores["pearson"], 0.95);
  EXPECT_LT(scores["mean_squared_error"], 0.02);
  const std::string classify = "classify --model " + path("m") + " ";
  const Ran ran = run_qkv(classify, "the cat sat\tthe cat ran\n\n");
  EXPECT_NEAR(std::stod(ran.out), 101, 0.3) << ran.err;
  EXPECT_EQ(lines_of(ran.out).at(1), "");
  const Json json = Json::parse(run_qkv(classify + "--json", "a man sat\ta man ran\n").out);
  EXPECT_NEAR(json["value"], 100, 0.3);
  const Ran again = run_qkv(training("classify", "numbers.tsv", "m") + "--steps 202 --resume");
  EXPECT_EQ(again.exit, 0) << again.err << "the record knows the rest";
}

TEST_F(Pairs, SeveralLabelsEachForItself) {
  std::string table;
  for (int i = 0; i < 8; ++i) {
    table += "animal, cat\tthe cat sat .\nanimal\tthe dog ran .\n\ta man saw it .\n";
  }
  spill(folder_ / "several.tsv", table);
  const std::string one =
      "train classify --answer labels --train " + path("several.tsv") + " --valid " +
      path("several.tsv") + " --model " + path("m") +
      " --preset tiny --encoder fc --epochs 20 --rate 0.02 --warm-up 5 --threads 1 ";
  const Ran trained = run_qkv(one + "--json --test " + path("several.tsv"));
  ASSERT_EQ(trained.exit, 0) << trained.err;
  EXPECT_EQ(Json::parse(trained.out)["labels"]["exact"], 100.0) << trained.out;
  const std::string classify = "classify --model " + path("m") + " ";
  EXPECT_EQ(run_qkv(classify, "the cat sat .\nthe dog ran .\na man saw it .\n").out,
            "animal,cat\nanimal\n\n");
  const Json json = Json::parse(run_qkv(classify + "--json --scores", "the dog ran .\n").out);
  EXPECT_EQ(json["labels"], Json::array({"animal"}));
  EXPECT_LT(json["scores"]["cat"], 0.5);
}

TEST_F(Pairs, ASentenceEncoderOfPairs) {
  std::string table;  // who it is about makes two texts alike
  for (const char* verb : {"sat .", "ran .", "saw it ."}) {
    for (const std::string who : kWho) table += who + " " + verb + "\t" + who + "\n";
  }
  spill(folder_ / "pairs.tsv", table);
  const std::string command =
      training("embed", "pairs.tsv", "m") + "--rate 0.01 --batch-pairs 9 --validate-every 20 ";
  const std::string evaluate = "embed --json --evaluate " + path("pairs.tsv") + " --model ";
  const double before =
      Json::parse(run_qkv(evaluate + quoted(*shared_ / "bert")).out)["mean_reciprocal_rank"];
  const Ran trained = run_qkv(command + "--steps 60 --test " + path("pairs.tsv"));
  ASSERT_EQ(trained.exit, 0) << trained.err;
  EXPECT_THAT(trained.err, HasSubstr("loss: ranking; vectors: mean, 32 numbers"));
  EXPECT_THAT(trained.out, HasSubstr("9 pairs; accuracy: 100.00%; mean reciprocal rank: 1.0000"));
  EXPECT_LT(before, 1.0);
  EXPECT_EQ(Json::parse(run_qkv(evaluate + path("m")).out)["accuracy"], 100.0);
  EXPECT_THAT(run_qkv("info " + path("m")).out, HasSubstr("encoder alone"));
  // To the same bits in two parts.
  ASSERT_EQ(run_qkv(training("embed", "pairs.tsv", "p") +
                    "--rate 0.01 --batch-pairs 9 --validate-every 20 --steps 25")
                .exit,
            0);
  const Ran rest =
      run_qkv("train embed --train " + path("pairs.tsv") + " --valid " + path("pairs.tsv") +
              " --model " + path("p") + " --steps 60 --resume --threads 2");
  ASSERT_EQ(rest.exit, 0) << rest.err;
  EXPECT_TRUE(slurp(folder_ / "m/model.safetensors") == slurp(folder_ / "p/model.safetensors"));
}

TEST_F(Pairs, AnEncoderByScoresKeepsItsSettings) {
  std::string table;
  for (const std::string a : kWho) {
    for (const std::string b : kWho)
      table += a + " sat .\t" + b + " ran .\t" + (a == b ? "5" : "1") + "\n";
  }
  spill(folder_ / "scored.tsv", table);
  const Ran trained = run_qkv(training("embed", "scored.tsv", "m") +
                              "--rate 0.003 --steps 60 --pooling cls --normalise --max-length 8");
  ASSERT_EQ(trained.exit, 0) << trained.err;
  EXPECT_THAT(trained.err, HasSubstr("loss: cosent; vectors: cls"));
  EXPECT_THAT(trained.err, HasSubstr("Spearman"));
  const std::string embed = "embed --model " + path("m") + " ";
  const Ran vector = run_qkv(embed, "the cat sat .\n");
  EXPECT_EQ(vector.out, run_qkv(embed + "--pooling cls --normalise", "the cat sat .\n").out);
  EXPECT_NE(vector.out, run_qkv(embed + "--pooling mean", "the cat sat .\n").out);
  EXPECT_THAT(run_qkv(embed, "a a a a a a a a a\n").err, HasSubstr("<stdin>:1: "));
  const auto refused = [&](const std::string& options, const char* why, int exit = 1) {
    const Ran ran = run_qkv(training("embed", "scored.tsv", "x") + "--steps 1 " + options);
    EXPECT_EQ(ran.exit, exit) << options;
    EXPECT_THAT(ran.err, HasSubstr(why));
  };
  refused("--loss ranking", "the pairs have scores");
  refused("--loss cosine", "a cosine cannot be 5");
  refused("--max-length 600", "--max-length 600: the model of ");
  refused("--max-length 2", "--max-length", 2);
  refused("--loss near", "ranking, cosent, cosine", 2);
  EXPECT_EQ(run_qkv("train embed --train " + path("scored.tsv") + " --model " + path("y")).exit, 2);
}

TEST_F(Pairs, TheNearestLinesOfAFile) {
  spill(folder_ / "lines.txt", "the cat sat .\na man saw it .\nthe cat\tsat .\n\nthe dog ran .\n");
  const std::string embed =
      "embed --model " + quoted(*shared_ / "bert") + " --similar " + path("lines.txt");
  const Ran ran = run_qkv(embed + " --top 2", "the cat sat .\nthe dog ran .\n");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const std::vector<std::string> lines = lines_of(ran.out);
  ASSERT_EQ(lines.size(), 6U) << ran.out;
  EXPECT_EQ(lines[0], "1.000000\t1\tthe cat sat .");
  EXPECT_THAT(lines[1], StartsWith("1.000000\t3\tthe cat\tsat ."));
  EXPECT_EQ(lines[2], "");
  EXPECT_THAT(lines[3], HasSubstr("\t5\tthe dog ran ."));
  EXPECT_EQ(
      run_qkv(embed + " --top 2 --batch-sentences 1 --threads 2", "the cat sat .\nthe dog ran .\n")
          .out,
      ran.out);
  const Json json = Json::parse(run_qkv(embed + " --json --by euclidean", "the dog ran .\n").out);
  EXPECT_EQ(json["nearest"].size(), 5U);
  EXPECT_EQ(json["nearest"][0]["line"], 5);
  EXPECT_NEAR(json["nearest"][0]["score"], 0, 1e-6);
  EXPECT_LT(json["nearest"][4]["score"], 0);
  spill(folder_ / "empty.txt", "");
  const Ran empty = run_qkv(
      "embed --model " + quoted(*shared_ / "bert") + " --similar " + path("empty.txt"), "x\n");
  EXPECT_EQ(empty.exit, 1);
  EXPECT_THAT(empty.err, HasSubstr("empty.txt: holds no line to compare with"));
  EXPECT_EQ(run_qkv("embed --top 3 --model " + quoted(*shared_ / "bert"), "x\n").exit, 2);
}

TEST_F(Pairs, SpansWithTheirPlacesAndScores) {
  std::string columns, bare;
  for (int i = 0; i < 20; ++i) {
    columns += "the O\ncat B-pet\nsat O\n\na O\nman B-one\nsaw O\nit O\n\n";
    bare += "the O\ncat pet\ncat pet\nsat O\n\na O\nman one\nsaw O\n\n";
  }
  spill(folder_ / "tags", columns);
  spill(folder_ / "bare", bare);
  for (const bool crf : {true, false}) {
    const std::string model = crf ? "crf" : "each";
    const Ran trained =
        run_qkv(training("tag", "tags", model.c_str()) +
                "--rate 0.005 --steps 60 --ema 0 --dropout 0 --crf=" + (crf ? "true" : "false"));
    ASSERT_EQ(trained.exit, 0) << trained.err;
    const std::string tag = "tag --model " + path(model.c_str()) + " ";
    const Ran ran = run_qkv(tag + "--spans", "the  cat sat\n\nä cat\n");
    const std::vector<std::string> lines = lines_of(ran.out);
    ASSERT_EQ(lines.size(), 5U) << ran.out << ran.err;
    EXPECT_THAT(lines[0], StartsWith("pet\t5\t8\t0."));
    EXPECT_THAT(lines[0], HasSubstr("\tcat"));
    EXPECT_THAT(lines[3], StartsWith("pet\t2\t5\t0.")) << "characters, not bytes";
    const Json json = Json::parse(run_qkv(tag + "--json", "the cat sat\n").out);
    const Json span = json["spans"][0];
    EXPECT_EQ(span["text_begin"], 4);
    EXPECT_EQ(span["text_end"], 7);
    EXPECT_GT(span["score"], 0.5);
    EXPECT_LE(span["score"], 1.0);
  }
  ASSERT_EQ(
      run_qkv(training("tag", "bare", "b") + "--rate 0.005 --steps 60 --ema 0 --dropout 0").exit,
      0);
  const Ran runs = run_qkv("tag --spans --model " + path("b"), "the cat cat sat\n");
  EXPECT_THAT(runs.out, StartsWith("pet\t4\t11\t")) << "a run of one tag is a span";
  EXPECT_EQ(run_qkv("tag --spans --columns --model " + path("b"), "x\n").exit, 2);
}

TEST_F(Pairs, NumbersAreScored) {
  spill(folder_ / "gold", "1\n2\n3\n6\n");
  const std::string score = "score numbers --reference " + path("gold") + " ";
  const Json json = Json::parse(run_qkv(score + "--json", "2\n2\n3\n4\n").out);
  EXPECT_EQ(json["mean_squared_error"], 1.25);
  EXPECT_NEAR(json["spearman"], std::sqrt(0.9), 1e-12);
  EXPECT_THAT(run_qkv(score, "2\n2\n3\n4\n").out, HasSubstr("Spearman: 0.9487"));
  const Ran bad = run_qkv(score, "2\nx\n3\n4\n");
  EXPECT_EQ(bad.exit, 1);
  EXPECT_THAT(bad.err, HasSubstr("<stdin>:2: 'x' is no number"));
}

}  // namespace
}  // namespace qkv

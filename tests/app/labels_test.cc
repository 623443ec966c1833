// Tagging, classifying, intents and slots through the verbs: train, predict, score, info, resume.
#include "app/run_qkv.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

using Json = nlohmann::json;

const char* const kPeople[] = {"alice", "bob", "carol", "dave"};
const char* const kCities[] = {"paris", "new york", "rome", "los angeles"};

/// What stands in a sentence and how it is tagged, IOB2.
struct Toy {
  std::string words, tags, label;
};

std::vector<Toy> toy_sentences() {
  std::vector<Toy> toys;
  for (const std::string person : kPeople) {
    for (const std::string city : kCities) {
      const std::string spot = city.find(' ') == std::string::npos ? "B-LOC" : "B-LOC I-LOC";
      toys.push_back({person + " flies to " + city, "B-PER O O " + spot, "travel"});
      toys.push_back(
          {"is " + city + " far from " + person + " ?", "O " + spot + " O O B-PER O", "ask"});
      toys.push_back({"play a song for " + person, "O O O O B-PER", "play"});
    }
  }
  return toys;
}

std::vector<std::string> parts(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

class Labels : public testing::Test {
 protected:
  void SetUp() override {
    std::string columns, words, tags, labels, table;
    for (const Toy& toy : toy_sentences()) {
      const std::vector<std::string> w = parts(toy.words), t = parts(toy.tags);
      for (std::size_t i = 0; i < w.size(); ++i) columns += w[i] + " X " + t[i] + "\n";
      columns += "\n";
      words += toy.words + "\n";
      tags += toy.tags + "\n";
      labels += toy.label + "\n";
      table += toy.label + "\t" + toy.words + "\n";
    }
    spill(folder_ / "toy.conll", columns);
    spill(folder_ / "toy.tsv", table);
    std::filesystem::create_directories(folder_ / "slots");
    spill(folder_ / "slots/seq.in", words);
    spill(folder_ / "slots/seq.out", tags);
    spill(folder_ / "slots/label", labels);
  }
  std::string path(const std::string& name) { return "'" + (folder_ / name).string() + "'"; }
  std::string training(const std::string& noun, const std::string& data, const std::string& model) {
    return "train " + noun + " --train " + path(data) + " --valid " + path(data) + " --model " +
           path(model) +
           " --preset tiny --embedding 16 --width 16 --character-filters 8 --feed-forward 16 "
           "--heads 2 --batch-tokens 60 --warm-up 5 --rate 0.02 --threads 1 ";
  }
  std::string weights(const std::string& model) {
    return slurp(folder_ / model / "model.safetensors");
  }
  Temporary folder_;
};

TEST_F(Labels, TagsSpansByLine) {
  const Ran trained = run_qkv(training("tag", "toy.conll", "m") +
                              "--epochs 12 --dropout 0.1 --test " + path("toy.conll"));
  ASSERT_EQ(trained.exit, 0) << trained.err;
  EXPECT_NE(trained.err.find("48 sentences read, 256 tokens"), std::string::npos) << trained.err;
  EXPECT_NE(trained.err.find("tags: iob2, learnt as iobes"), std::string::npos) << trained.err;
  EXPECT_NE(trained.out.find("FB1: 100.00"), std::string::npos) << trained.out;

  const std::string tag = "tag --threads 1 --model " + path("m") + " ";
  const std::string text = "alice flies to los angeles\n\n  play a song for bob\n";
  const Ran ran = run_qkv(tag, text);
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, "B-PER O O B-LOC I-LOC\n\nO O O O B-PER\n");
  EXPECT_EQ(run_qkv(tag + "--scheme iobes", text).out, "S-PER O O B-LOC E-LOC\n\nO O O O S-PER\n");
  EXPECT_EQ(run_qkv(tag + "--columns", "bob flies\n").out, "bob\tB-PER\nflies\tO\n\n");
  const Json json =
      Json::parse(run_qkv(tag + "--json --scores", "alice flies to los angeles\n").out);
  EXPECT_EQ(json["spans"][1]["text"], "los angeles");
  EXPECT_EQ(json["spans"][1]["begin"], 3);
  EXPECT_LT(json["log_probability"].get<double>(), 0.0);
  // A line does not depend on its neighbours, not even in the last bit.
  const Ran alone = run_qkv(tag + "--scores --batch-sentences 1", text);
  EXPECT_EQ(alone.out, run_qkv(tag + "--scores", text).out);

  const Ran scores = run_qkv(tag + "--json --evaluate " + path("toy.conll"));
  ASSERT_EQ(scores.exit, 0) << scores.err;
  EXPECT_EQ(Json::parse(scores.out)["spans"]["f1"], 100.0);
  const Ran info = run_qkv("info " + path("m"));
  EXPECT_NE(info.out.find("tag (tiny RNN, CRF)"), std::string::npos) << info.out << info.err;
}

TEST_F(Labels, ClassifiesByLine) {
  for (const std::string encoder : {"fc", "cnn", "rnn", "attention", "linear"}) {
    const Ran trained =
        run_qkv(training("classify", "toy.tsv", encoder) +
                "--epochs 8 --dropout 0.1 --embedding-dropout 0.1 --encoder " + encoder);
    ASSERT_EQ(trained.exit, 0) << trained.err;
    const std::string classify = "classify --threads 1 --model " + path(encoder) + " ";
    const Ran ran = run_qkv(classify, "dave flies to rome\n\nis rome far from bob?\n");
    ASSERT_EQ(ran.exit, 0) << ran.err;
    EXPECT_EQ(ran.out, "travel\n\nask\n") << encoder;
    const Json json = Json::parse(run_qkv(classify + "--json --scores", "play a song\n").out);
    EXPECT_EQ(json["label"], "play");
    double sum = 0;
    for (const auto& p : json["scores"]) sum += p.get<double>();
    EXPECT_NEAR(sum, 1.0, 1e-5);
    const Ran look = run_qkv("look --threads 1 --source 'is rome far' --model " + path(encoder) +
                             " --output " + path(encoder + ".json"));
    if (encoder == "attention" || encoder == "linear") {
      ASSERT_EQ(look.exit, 0) << look.err;
      const Json maps = Json::parse(slurp(folder_ / (encoder + ".json")))["maps"];
      EXPECT_EQ(maps.size(), 4U) << encoder;  // two layers of two heads
    } else {
      EXPECT_NE(look.err.find("attends to nothing"), std::string::npos) << look.err;
    }
    const Ran scores = run_qkv(classify + "--evaluate " + path("toy.tsv"));
    EXPECT_NE(scores.out.find("gold \\ predicted"), std::string::npos) << scores.out << scores.err;
    const Ran bench = run_qkv("bench label --json --runs 1 --threads 1 --model " + path(encoder) +
                              " " + path("slots/seq.in"));
    ASSERT_EQ(bench.exit, 0) << bench.err;
    const Json speed = Json::parse(bench.out);
    EXPECT_EQ(speed["sentences"], 48);
    EXPECT_EQ(speed["words"], 256);
    // The character features alone are 2 · 3·16 · 8 operations a character.
    EXPECT_GT(speed["gflop"].get<double>(), 1e-9 * 768 * 1000);
    EXPECT_GT(speed["share_of_fma_peak"].get<double>(), 0.0);
    EXPECT_LT(speed["share_of_fma_peak"].get<double>(), 1.0);
  }
}

TEST_F(Labels, IntentsWithTheirSlots) {
  const Ran trained =
      run_qkv(training("intent", "slots", "m") +
              "--epochs 15 --dropout 0.1 --embedding-dropout 0.1 --prior soft --interaction both");
  ASSERT_EQ(trained.exit, 0) << trained.err;
  const std::string intent = "intent --threads 1 --model " + path("m") + " ";
  const Ran ran = run_qkv(intent, "carol flies to new york\nplay a song for dave\n");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, "travel\tB-PER O O B-LOC I-LOC\nplay\tO O O O B-PER\n");
  const Ran scores = run_qkv(intent + "--evaluate " + path("slots"));
  EXPECT_NE(scores.out.find("everything right: 48 of 48"), std::string::npos) << scores.out;
  const Ran look = run_qkv("look --threads 1 --source 'play a song' --model " + path("m"));
  EXPECT_EQ(look.exit, 0) << look.err;
  EXPECT_NE(look.out.find("play a song → play O O O"), std::string::npos) << look.out;
  // A tagger reads the same folder.
  EXPECT_EQ(run_qkv(training("tag", "slots", "t") + "--epochs 1").exit, 0);
}

TEST_F(Labels, ResumeEndsInTheSameWeights) {
  for (const auto& [noun, data] : {std::pair{"tag", "toy.conll"}, std::pair{"classify", "toy.tsv"},
                                   std::pair{"intent", "slots"}}) {
    const std::string whole = training(noun, data, std::string(noun) + "1"),
                      part = training(noun, data, std::string(noun) + "2");
    ASSERT_EQ(run_qkv(whole + "--steps 12 --validate-every 3").exit, 0) << noun;
    ASSERT_EQ(run_qkv(part + "--steps 6 --validate-every 3").exit, 0) << noun;
    const Ran ran = run_qkv(part + "--steps 12 --validate-every 3 --resume --threads 2");
    ASSERT_EQ(ran.exit, 0) << ran.err;
    // EXPECT_EQ would print them.
    EXPECT_TRUE(weights(std::string(noun) + "1") == weights(std::string(noun) + "2")) << noun;
  }
}

TEST_F(Labels, ResumedRunKeepsItsOptionsAndItsText) {
  const std::string command = training("tag", "toy.conll", "m"),
                    fresh = "train tag --model " + path("m") + " --threads 1 --resume --steps 2 ",
                    data = "--train " + path("toy.conll") + " --valid " + path("toy.conll") + " ";
  ASSERT_EQ(run_qkv(command + "--scheme iob2 --cased --character-filters 0 --steps 1").exit, 0);
  const auto refused = [&](const std::string& options, const std::string& why, int exit) {
    const Ran ran = run_qkv(fresh + options);
    EXPECT_EQ(ran.exit, exit) << options;
    EXPECT_NE(ran.err.find(why), std::string::npos) << ran.err;
    return ran.err;
  };
  refused(data + "--scheme iobes", "--scheme iobes: the run in ", 2);
  refused(data + "--scheme iobes", " was begun with iob2;", 2);
  refused(data + "--width 32", "was begun with 16;", 2);
  refused(data + "--dropout 0.5", "was begun with 0.2;", 2);
  refused(data + "--encoder cnn", "--encoder cnn: the run in ", 2);
  refused(data + "--preset small", "was begun with tiny;", 2);
  spill(folder_ / "other.conll", slurp(folder_ / "toy.conll") + "go X O\n");
  const std::string other = path("other.conll"), toy = path("toy.conll");
  refused("--train " + other + " --valid " + toy, "--train: 49 lines, ", 1);
  refused("--train " + other + " --valid " + toy, "was begun with 48 lines, ", 1);
  refused("--train " + toy + " --valid " + other, "--valid: 49 lines, ", 1);
  refused(data + "--column 2", "resume with the same files", 1);  // the same words, other tags
  // What was chosen at the beginning need not be said again.
  const Ran ran = run_qkv(fresh + data + "--batch-tokens 30 --patience 3");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_NE(ran.err.find("learnt as iob2"), std::string::npos) << ran.err;
}

TEST_F(Labels, NumbersOutOfRangeAreRefusedWithTheRange) {
  const auto refused = [&](const std::string& command, const std::string& why) {
    const Ran ran = run_qkv(command);
    EXPECT_EQ(ran.exit, 2) << command;
    EXPECT_NE(ran.err.find(why), std::string::npos) << ran.err;
  };
  const std::string tag = training("tag", "toy.conll", "m"),
                    intent = training("intent", "slots", "m");
  refused(tag + "--batch-tokens 0", "--batch-tokens: '0' is not a whole number in [1, ");
  refused(tag + "--dropout 1", "in [0, 1)");
  refused(tag + "--min-count 0", "--min-count");
  refused(tag + "--layers -1", "--layers");
  refused(tag + "--smoothing nan", "--smoothing");
  refused(intent + "--class-weight -1", "at least 0");
  refused(intent + "--prior-least -1", "--prior-least");
  refused(intent + "--interaction all", "none, class_to_tags, tags_to_class, both");
  refused(tag + "--lower --cased", "give one of them");
  refused(tag + "--fresh", "--fresh is for --init");
  refused(tag + "--encoder bert", "--init");
  refused(tag + "--class-weight 2", "--class-weight");  // is for intents
  EXPECT_FALSE(std::filesystem::exists(folder_ / "m"));
}

TEST_F(Labels, WhatDoesNotFitIsSaidInOneLine) {
  const auto refused = [](const std::string& command, const std::string& why, int exit = 1,
                          const std::string& input = "") {
    const Ran ran = run_qkv(command, input);
    EXPECT_EQ(ran.exit, exit) << command;
    EXPECT_NE(ran.err.find(why), std::string::npos) << ran.err;
  };
  spill(folder_ / "bad.conll", "a X O\nb O\n");
  spill(folder_ / "one.tsv", "x\ta\nx\tb\nx\tc\nx\td\nx\te\nx\tf\nx\tg\nx\th\nx\ti\nx\tj\nx\tk\n");
  refused(training("tag", "bad.conll", "m"), "bad.conll:2: has 2 columns");
  // Legal columns, but hardly what was meant.
  refused(training("tag", "toy.tsv", "odd") + "--steps 1", "are the columns right?", 0);
  refused(training("classify", "toy.conll", "m"), "toy.conll:1: expected label TAB text");
  refused(training("classify", "one.tsv", "m"), "needs at least two labels");
  refused(training("intent", "toy.conll", "m"), "is no folder");
  refused(training("tag", "toy.conll", "m") + "--encoder mlp", "--encoder: 'mlp' is not one of fc",
          2);
  refused(training("tag", "toy.conll", "m") + "--pooling max", "--pooling", 2);
  refused("train tag --model m", "--train is required", 2);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "m" / "model.safetensors"));
  ASSERT_EQ(run_qkv(training("tag", "toy.conll", "m") + "--steps 1").exit, 0);
  refused(training("intent", "slots", "m") + "--resume", "resume with qkv train tag");
  refused(training("tag", "toy.conll", "none") + "--resume", "none/state");
  refused("intent --model " + path("m"), "is a model for 'tag'; use qkv tag", 1, "hi\n");
  refused("translate --model " + path("m"), "is no translator (task 'tag')", 1, "hi\n");
  refused("tag --model " + path("none"), "none", 1, "hi\n");
}

TEST_F(Labels, ScoresOfFiles) {
  spill(folder_ / "gold", "B-X O\nO B-Y\n");
  spill(folder_ / "found", "B-X O\nB-Y O\n");
  const Ran tags = run_qkv("score tags --reference " + path("gold") + " " + path("found"));
  EXPECT_NE(tags.out.find("precision:  50.00%; recall:  50.00%; FB1:  50.00"), std::string::npos)
      << tags.out << tags.err;
  const Ran classes = run_qkv("score classes --json --reference " + path("gold"), "B-X O\nB-X O\n");
  EXPECT_EQ(Json::parse(classes.out)["accuracy"], 50.0);
  spill(folder_ / "pos", "DET NOUN VERB\nPRON VERB DET NOUN\n");
  const Ran plain =
      run_qkv("score tags --json --reference " + path("pos"), "DET NOUN VERB\nPRON VERB DET ADJ\n");
  EXPECT_NEAR(Json::parse(plain.out)["accuracy"].get<double>(), 600.0 / 7, 1e-9) << plain.err;
  const Ran slip = run_qkv("score tags --reference " + path("gold"), "O O\nBX O\n");
  EXPECT_NE(slip.err.find("<stdin>:2: 'BX' is no tag of spans"), std::string::npos) << slip.err;
  const Ran bad = run_qkv("score tags --reference " + path("gold"), "O O\nO\n");
  EXPECT_EQ(bad.exit, 1);
  EXPECT_NE(bad.err.find("<stdin>:2: has 1 tags"), std::string::npos) << bad.err;
}

}  // namespace
}  // namespace qkv

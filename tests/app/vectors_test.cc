// Word vectors through the verbs: train, similar, info.
#include <algorithm>

#include "app/run_qkv.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

using Json = nlohmann::json;

class VectorVerbs : public testing::Test {
 protected:
  void SetUp() override {
    std::string text;
    for (int i = 0; i < 200; ++i) {
      text += i % 2 ? "the cat drinks warm milk and the cat sleeps\n"
                    : "a ship sails far over high seas under a flag\n";
    }
    spill(folder_ / "text", text);
  }
  std::string path(const std::string& name) { return "'" + (folder_ / name).string() + "'"; }
  std::string training(const std::string& model) {
    return "train vectors --train " + path("text") + " --model " + path(model) +
           " --width 8 --epochs 10 --sample 0 ";
  }
  Temporary folder_;
};

TEST_F(VectorVerbs, TrainsAndShowsNeighbours) {
  const Ran ran = run_qkv(training("m") + "--text " + path("m.txt"));
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_NE(ran.err.find("1,900 words in 200 lines, 0 more too rare; vocabulary 16"),
            std::string::npos)
      << ran.err;
  EXPECT_EQ(slurp(folder_ / "m.txt").rfind("16 8\n", 0), 0U);
  ASSERT_EQ(run_qkv(training("n")).exit, 0);
  EXPECT_TRUE(slurp(folder_ / "m/model.safetensors") == slurp(folder_ / "n/model.safetensors"));

  const std::string similar = "similar --model " + path("m") + " --top 3 ";
  const Json near = Json::parse(run_qkv(similar + "--json cat").out)["nearest"];
  ASSERT_EQ(near.size(), 3U);
  for (const auto& n : near) {
    EXPECT_NE(std::string("the drinks warm milk and sleeps").find(n["word"].get<std::string>()),
              std::string::npos)
        << n;
    EXPECT_LE(n["cosine"].get<double>(), 1.0 + 1e-9);
  }
  const Ran sum = run_qkv(similar + "cat - milk + ship");
  EXPECT_EQ(std::count(sum.out.begin(), sum.out.end(), '\n'), 3) << sum.out << sum.err;
  EXPECT_EQ(run_qkv(similar, "cat - milk + ship\n").out, sum.out + "\n");
  EXPECT_EQ(sum.out.find("milk"), std::string::npos);  // what was asked about is no answer

  const Ran info = run_qkv("info " + path("m"));
  EXPECT_NE(info.out.find("vectors (own cbow, negative)"), std::string::npos)
      << info.out << info.err;
  EXPECT_NE(info.out.find("parameters  256"), std::string::npos) << info.out;
}

TEST_F(VectorVerbs, EveryFormTrains) {
  for (const char* form : {"--task skip-gram", "--loss hierarchical", "--context sum",
                           "--task skip-gram --loss hierarchical"}) {
    const Ran ran = run_qkv(training("f") + "--overwrite --epochs 1 " + form);
    EXPECT_EQ(ran.exit, 0) << ran.err;
    EXPECT_EQ(run_qkv("similar ship --model " + path("f")).exit, 0);
  }
}

TEST_F(VectorVerbs, EveryLineOfAStreamHasItsAnswer) {
  ASSERT_EQ(run_qkv(training("m") + "--epochs 1").exit, 0);
  const Ran json = run_qkv("similar --json --top 1 --model " + path("m"), "cat\nzzzz\n\n-\nship\n");
  EXPECT_EQ(json.exit, 0) << json.err;
  EXPECT_EQ(std::count(json.out.begin(), json.out.end(), '\n'), 5);
  EXPECT_NE(json.out.find("{\"nearest\":null,\"query\":[\"zzzz\"]}\n"), std::string::npos)
      << json.out;
  EXPECT_NE(json.err.find("<stdin>:2: 'zzzz' has no vector"), std::string::npos) << json.err;
  const Ran plain = run_qkv("similar --top 1 --model " + path("m"), "cat\nzzzz\nship\n");
  EXPECT_EQ(std::count(plain.out.begin(), plain.out.end(), '\n'), 5);  // two words, three ends
}

TEST_F(VectorVerbs, WhatDoesNotFitIsSaidInOneLine) {
  const auto refused = [](const std::string& command, const std::string& why, int exit = 1) {
    const Ran ran = run_qkv(command);
    EXPECT_EQ(ran.exit, exit) << command;
    EXPECT_NE(ran.err.find(why), std::string::npos) << ran.err;
  };
  refused(training("m") + "--task glove", "--task: 'glove' is not one of cbow, skip_gram", 2);
  refused(training("m") + "--min-count 1000", "lower --min-count");
  refused(training("m") + "--width 0", "--width: '0' is not a whole number in [1, 1048576]", 2);
  refused(training("m") + "--window 0", "--window: '0' is not a whole number in [1, 1000000]", 2);
  refused(training("m") + "--rate=-1", "--rate: '-1' is not a number of at least 0", 2);
  refused("train vectors --model m", "--train is required", 2);
  ASSERT_EQ(run_qkv(training("m") + "--epochs 1").exit, 0);
  refused("similar --model " + path("m") + " dog", "'dog' has no vector");
  refused("similar --model " + path("m") + " + -", "'-' has no vector");
  refused("similar --model " + path("none") + " cat", "none");
  refused("classify --model " + path("m"), "task 'vectors'");
}

}  // namespace
}  // namespace qkv

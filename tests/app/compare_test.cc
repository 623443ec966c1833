// qkv compare: what it prints and leaves, going on, what it refuses.
#include "app/run_qkv.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

using Json = nlohmann::json;

class Compare : public testing::Test {
 protected:
  std::string path(const std::string& name) { return "'" + (folder_ / name).string() + "'"; }
  std::string small(const std::string& output) {
    return " --parameters 2000 --steps 4 --batch-tokens 50 --threads 1 --output " + path(output) +
           " ";
  }
  Temporary folder_;
};

TEST_F(Compare, APuzzleGivesTableCurveAndJson) {
  const std::string command =
      "compare parity --encoders fc,rnn --sizes 20,40" + small("p") + "--longest 5 ";
  const Ran ran = run_qkv(command + "--seeds 1");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_NE(ran.err.find("fc         1 layers, width "), std::string::npos) << ran.err;
  EXPECT_EQ(ran.out.rfind("sentences              20             40\nfc  ", 0), 0U) << ran.out;
  EXPECT_NE(ran.out.find("majority"), std::string::npos);
  EXPECT_NE(slurp(folder_ / "p/compare.svg").find("training sentences"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "p/current"));

  // A second start runs what is missing only, and the scores are those of one go.
  const Ran more = run_qkv(command + "--seeds 2 --json");
  ASSERT_EQ(more.exit, 0) << more.err;
  EXPECT_EQ(more.err.find("seed 1"), std::string::npos) << more.err;
  EXPECT_NE(more.err.find("seed 2"), std::string::npos) << more.err;
  const Json json = Json::parse(more.out);
  EXPECT_EQ(json["cells"].size(), 4U);
  EXPECT_EQ(json["cells"][0]["runs"], 2);
  EXPECT_EQ(json, Json::parse(slurp(folder_ / "p/compare.json")));
  const Ran whole = run_qkv("compare parity --encoders fc,rnn --sizes 20,40" + small("q") +
                            "--longest 5 --seeds 2 --json");
  EXPECT_EQ(Json::parse(whole.out)["cells"], json["cells"]);
  for (const auto& e : json["encoders"]) {
    EXPECT_NEAR(e["parameters"].get<double>() / 2000, 1.0, 0.1);
  }
}

TEST_F(Compare, ReadsTheFilesOfTaggersAndClassifiers) {
  std::string columns, table;
  for (int i = 0; i < 30; ++i) {
    const std::string word = i % 2 ? "down" : "up";
    columns += "go O\n" + word + " " + (i % 2 ? "D" : "U") + "\n\n";
    table += word + "\tgo " + word + "\n";
  }
  spill(folder_ / "a.conll", columns);
  spill(folder_ / "a.tsv", table);
  for (const auto& [task, file] : {std::pair{"tag", "a.conll"}, std::pair{"classify", "a.tsv"}}) {
    const Ran ran =
        run_qkv("compare " + std::string(task) + " --train " + path(file) + " --test " +
                path(file) + " --encoders cnn,attention --sizes all --seeds 1" + small(task));
    ASSERT_EQ(ran.exit, 0) << ran.err;
    EXPECT_NE(ran.out.find("attention"), std::string::npos) << ran.out;
  }
}

TEST_F(Compare, WhatDoesNotFitIsSaidInOneLine) {
  const auto refused = [](const std::string& command, const std::string& why, int exit = 1) {
    const Ran ran = run_qkv("compare " + command);
    EXPECT_EQ(ran.exit, exit) << command;
    EXPECT_NE(ran.err.find(why), std::string::npos) << ran.err;
  };
  refused("sorting" + small("m"), "'sorting' is not one of tag, classify, parity, first, both", 2);
  refused("tag" + small("m"), "'tag' needs --train");
  refused("both --train x" + small("m"), "reads no files");
  refused("both --encoders mlp" + small("m"), "--encoders: 'mlp' is not one of fc, cnn", 2);
  refused("both --encoders fc,bert" + small("m"), "--encoders: 'bert' is not one of fc, cnn", 2);
  refused("both --sizes many" + small("m"), "--sizes: 'many'", 2);
  refused("both --sizes 20000" + small("m"), "there are 10000 training sentences");
  refused("both --alphabet 2" + small("m"), "--alphabet: '2' is not a whole number in [3, 26]", 2);
  refused("both --parameters 10 --output x", "at its narrowest");
  refused("both", "--output is required", 2);
  const std::string one = "both --encoders fc --sizes 20 --seeds 1" + small("m");
  ASSERT_EQ(run_qkv("compare " + one).exit, 0);
  refused(one + "--steps 5", "the runs there had steps 4, not 5; give another --output");
  spill(folder_ / "m/settings.json", "[]");
  refused(one, "settings.json: holds no settings of qkv compare");
  spill(folder_ / "m/settings.json", "{}");
  refused(one, "the runs there had batch_tokens none, not 50");
}

}  // namespace
}  // namespace qkv

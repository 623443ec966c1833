// Every verb once, as a user types it.
#include "app/run_qkv.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

class Commands : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new Temporary;
    const Ran ran = run_qkv(toy_training(*shared_, "model") +
                            "--steps 900 --validate-every 300 --dropout 0 --rate 0.01");
    ASSERT_EQ(ran.exit, 0) << ran.err;
    said_ = ran.err;
  }
  static void TearDownTestSuite() {
    delete shared_;
    shared_ = nullptr;
  }
  static std::string model() {
    return " --threads 1 --model '" + (*shared_ / "model").string() + "' ";
  }
  static Temporary* shared_;
  static std::string said_;
  Temporary folder_;
};
Temporary* Commands::shared_ = nullptr;
std::string Commands::said_;

TEST_F(Commands, TrainingSaysWhatItReadAndWhatItWillNeed) {
  EXPECT_NE(said_.find("120 pairs read, 118 kept"), std::string::npos) << said_;
  EXPECT_NE(said_.find("unknown: 0.00 %"), std::string::npos) << said_;
  EXPECT_NE(said_.find("6,528 parameters"), std::string::npos) << said_;
  EXPECT_NE(said_.find("memory: about"), std::string::npos) << said_;
  EXPECT_NE(said_.find("BLEU"), std::string::npos) << said_;
  EXPECT_NE(slurp(*shared_ / "model" / "curve.svg").find("</svg>"), std::string::npos);
}

TEST_F(Commands, TranslateLearnedTheToyLanguage) {
  const Ran ran = run_qkv("translate" + model(), "the cat sees 7 trees\na man finds 3 trees\n");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, "die katze sieht 7 bäume\nein mann findet 3 bäume\n");
}

TEST_F(Commands, TranslateInEveryForm) {
  const std::string line = "the cat sees 7 trees\n";
  const Ran best = run_qkv("translate --n-best 3 --alignment" + model(), line);
  EXPECT_EQ(std::count(best.out.begin(), best.out.end(), '\n'), 3) << best.out;
  EXPECT_EQ(best.out.rfind("0 ||| die katze sieht 7 bäume ||| ", 0), 0U) << best.out;
  const auto json =
      nlohmann::json::parse(run_qkv("translate --json --attention" + model(), line).out);
  EXPECT_EQ(json["text"], "die katze sieht 7 bäume");
  EXPECT_EQ(json["attention"].size(), json["tokens"].size() + 1);
  spill(folder_ / "forced", "die katze sieht 7 bäume\n");
  const auto forced = nlohmann::json::parse(
      run_qkv("translate --json --force '" + (folder_ / "forced").string() + "'" + model(), line)
          .out);
  EXPECT_EQ(forced["score"], json["score"]) << "scoring walks the steps of searching";
}

TEST_F(Commands, LookDrawsInEveryForm) {
  const std::string command = "look --source 'the cat sees 7 trees'" + model();
  const Ran terminal = run_qkv(command);
  EXPECT_EQ(terminal.exit, 0) << terminal.err;
  EXPECT_NE(terminal.out.find("katze"), std::string::npos) << terminal.out;
  const std::pair<const char*, const char*> files[] = {
      {"a.svg", "<svg"}, {"a.png", "PNG"}, {"a.json", "\"qkv-attention\""}, {"a.html", "<!"}};
  for (const auto& [name, mark] : files) {
    const Ran ran = run_qkv(command + "--output '" + (folder_ / name).string() + "'");
    EXPECT_EQ(ran.exit, 0) << ran.err;
    EXPECT_NE(slurp(folder_ / name).find(mark), std::string::npos) << name;
  }
  const auto maps = nlohmann::json::parse(slurp(folder_ / "a.json"));
  EXPECT_EQ(maps["maps"].size(), 6U) << "one layer: encoder, decoder and cross, two heads each";
  EXPECT_EQ(run_qkv(command + "--output a.gif").exit, 1);
  EXPECT_EQ(run_qkv(command + "--layer 7").exit, 1);
}

TEST_F(Commands, ScorePrintsSignatures) {
  spill(folder_ / "ref", "the dog is running across the grass .\n");
  const Ran bleu = run_qkv("score bleu --reference '" + (folder_ / "ref").string() + "'",
                           "the dog is running over the grass .\n");
  EXPECT_EQ(bleu.exit, 0) << bleu.err;
  EXPECT_EQ(bleu.out.rfind("BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:", 0), 0U)
      << bleu.out;
  spill(folder_ / "hyp", "the dog is running over the grass .\n");
  EXPECT_EQ(run_qkv("score bleu --reference '" + (folder_ / "ref").string() + "' '" +
                    (folder_ / "hyp").string() + "'")
                .out,
            bleu.out);
  const Ran chrf = run_qkv("score chrf --json --reference '" + (folder_ / "ref").string() + "'",
                           "the dog is running over the grass .\n");
  EXPECT_TRUE(nlohmann::json::parse(chrf.out).contains("score")) << chrf.out;
  EXPECT_EQ(run_qkv("score bleu --reference '" + (folder_ / "ref").string() + "'", "a\nb\n").exit,
            1);
}

TEST_F(Commands, InfoCounts) {
  const Ran ran = run_qkv("info --json '" + (*shared_ / "model").string() + "'");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(nlohmann::json::parse(ran.out)["parameters"], 6528);
}

TEST_F(Commands, DemoRunsThrough) {
  if (QKV_SWEEP > 1) GTEST_SKIP() << "its parts run by themselves; together they take a minute";
  const Ran ran =
      run_qkv("demo --threads 1 --steps 5 --model '" + (folder_ / "demo").string() + "'");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_NE(ran.out.find("unseen combinations: BLEU|"), std::string::npos) << ran.out;
  EXPECT_NE(slurp(folder_ / "demo" / "attention.html").find("</html>"), std::string::npos);
}

}  // namespace
}  // namespace qkv

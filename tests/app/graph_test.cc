// Nodes of graphs through the verbs: train, classify, score, info, look.
#include "app/run_qkv.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

using Json = nlohmann::json;

class Graph : public testing::Test {
 protected:
  /// Two rings of twelve nodes; a node's one feature is its own.
  void SetUp() override {
    std::string nodes, edges = "# two rings\n";
    const char* parts[] = {"train", "valid", "test"};
    for (int n = 0; n < 24; ++n) {
      const int ring = n / 12;
      nodes += "n" + std::to_string(n) + "\t" + (ring == 0 ? "red" : "blue") + "\t" + parts[n % 3] +
               "\t" + std::to_string(n) + "\n";
      for (const int step : {1, 2}) {
        edges += "n" + std::to_string(n) + "\tn" +
                 std::to_string(12 * ring + (n - 12 * ring + step) % 12) + "\n";
      }
    }
    spill(folder_ / "nodes.tsv", nodes);
    spill(folder_ / "edges.tsv", edges);
  }
  std::string path(const std::string& name) { return "'" + (folder_ / name).string() + "'"; }
  std::string files() { return "--nodes " + path("nodes.tsv") + " --edges " + path("edges.tsv"); }
  Temporary folder_;
};

TEST_F(Graph, TrainsAndClassifies) {
  const Ran trained = run_qkv("train graph " + files() + " --model " + path("m") +
                              " --heads 2 --rate 0.02 --epochs 60 --threads 1 --json");
  ASSERT_EQ(trained.exit, 0) << trained.err;
  EXPECT_NE(trained.err.find("24 nodes, 8 of them to train on"), std::string::npos) << trained.err;
  EXPECT_GT(Json::parse(trained.out)["accuracy"], 80) << trained.out;
  const Ran labels = run_qkv("classify --model " + path("m") + " " + files() + " --scores");
  ASSERT_EQ(labels.exit, 0) << labels.err;
  EXPECT_TRUE(labels.out.starts_with("n0\tred\t")) << labels.out;
  EXPECT_EQ(std::count(labels.out.begin(), labels.out.end(), '\n'), 24);
  const Ran json = run_qkv("classify --model " + path("m") + " " + files() + " --scores --json");
  EXPECT_TRUE(Json::parse(json.out.substr(0, json.out.find('\n')))["scores"].contains("blue"));
  const Ran score = run_qkv("classify --model " + path("m") + " " + files() + " --part test");
  EXPECT_NE(score.out.find("accuracy"), std::string::npos) << score.out;
  EXPECT_EQ(run_qkv("info " + path("m")).exit, 0);
  const Ran look = run_qkv("look --model " + path("m") + " " + files() + " --node n3");
  EXPECT_EQ(look.exit, 0) << look.err;
  EXPECT_TRUE(look.out.starts_with("n3 → ")) << look.out;
  const std::string shown = "look --model " + path("m") + " " + files() + " --node n3 --output ";
  for (const char* ending : {".svg", ".png", ".html"}) {
    EXPECT_EQ(run_qkv(shown + path(std::string("look") + ending)).exit, 0) << ending;
  }
  EXPECT_NE(slurp(folder_ / "look.svg").find(">n3 0."), std::string::npos);
  EXPECT_EQ(run_qkv(shown + path("look.jpg")).exit, 1);
}

TEST_F(Graph, SaysWhatIsWrong) {
  const Ran missing = run_qkv("train graph --nodes " + path("nodes.tsv") + " --model " + path("m"));
  EXPECT_EQ(missing.exit, 2);
  EXPECT_NE(missing.err.find("--nodes and --edges"), std::string::npos) << missing.err;
  spill(folder_ / "edges.tsv", "n0\tn99\n");
  const Ran unknown = run_qkv("train graph " + files() + " --model " + path("m"));
  EXPECT_EQ(unknown.exit, 1);
  EXPECT_NE(unknown.err.find("edges.tsv:1"), std::string::npos) << unknown.err;
}

TEST_F(Graph, IgnoresNothingThatWasGiven) {
  const std::string classify = "classify --model " + path("m") + " " + files();
  for (const auto& [given, why] : {std::pair{" --words space", "--words is for text"},
                                   std::pair{" --format table", "--format is for --evaluate"},
                                   std::pair{" text.txt", "text.txt: text has no use"}}) {
    const Ran refused = run_qkv(classify + given);
    EXPECT_EQ(refused.exit, 2) << given;
    EXPECT_NE(refused.err.find(why), std::string::npos) << refused.err;
  }
  EXPECT_NE(run_qkv("classify --directed --model " + path("m")).exit, 0);
}

}  // namespace
}  // namespace qkv

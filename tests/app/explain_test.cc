// qkv explain, as a user types it.
#include "app/run_qkv.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

TEST(ExplainCommand, PrintsATable) {
  const Ran ran = run_qkv(
      "explain attention --queries 256 --keys 512 --heads 4 --kv-heads 2 --dim 32 "
      "--mask 'causal() & window(64)'");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(
      ran.out.rfind("attention    256 queries × 512 keys, 4 heads on 2, D 32, Dv 32, 1 sequence\n"
                    "score        scaled_dot; normaliser softmax\n"
                    "mask         causal() & window(63, 63)\n"
                    "path         product tiles: streaming, tuned\n",
                    0),
      0U)
      << ran.out;
  EXPECT_NE(ran.out.find("16384 of 131072 pairs visible (12.5 %)"), std::string::npos) << ran.out;
}

TEST(ExplainCommand, JsonAndPicture) {
  const Temporary folder;
  const std::string svg = (folder / "mask.svg").string();
  const Ran ran = run_qkv(
      "explain attention --queries 130 --score additive --bias alibi,soft_cap --norm entmax "
      "--mask 'segments([100, 30]) & ~causal()' --heads 2 --dim 8 --json --svg '" +
      svg + "'");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  const auto json = nlohmann::json::parse(ran.out);
  EXPECT_EQ(json["score"], "additive");
  EXPECT_EQ(json["bias"], "alibi, soft_cap 50");
  EXPECT_EQ(json["normaliser"], "entmax 1.5");
  EXPECT_EQ(json["pairs_visible"], 100 * 99 / 2 + 30 * 29 / 2);
  EXPECT_NE(slurp(folder / "mask.svg").find("</svg>"), std::string::npos);
}

TEST(ExplainCommand, AGraphGoesAlongItsLists) {
  const Ran ran = run_qkv(
      "explain attention --queries 3 --heads 2 --dim 8 --score additive_leaky_relu "
      "--mask 'graph([0, 1], [0, 1, 2], [2])'");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_NE(ran.out.find("additive, leaky_relu 0.2"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("neighbour rows"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("6 of 9 pairs visible"), std::string::npos) << ran.out;
}

TEST(ExplainCommand, Measures) {
  const Ran ran = run_qkv("explain attention --queries 64 --heads 1 --dim 16 --measure --json");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_GT(nlohmann::json::parse(ran.out)["share_of_fma_peak"], 0.0);
}

TEST(ExplainCommand, ComplaintsAreOneLine) {
  const Ran mask = run_qkv("explain attention --mask 'causal() & windw(2)'");
  EXPECT_EQ(mask.exit, 1);
  EXPECT_EQ(mask.err.rfind("qkv: mask: character 12: no mask 'windw'", 0), 0U) << mask.err;
  EXPECT_EQ(std::count(mask.err.begin(), mask.err.end(), '\n'), 1);
  const Ran score = run_qkv("explain attention --score dotty");
  EXPECT_EQ(score.exit, 2);
  EXPECT_EQ(score.err.rfind("qkv: --score: 'dotty' is not one of scaled_dot, dot, ", 0), 0U)
      << score.err;
  EXPECT_EQ(run_qkv("explain attention --bias alibi,t6").exit, 2);
  EXPECT_EQ(run_qkv("explain attention --kv-heads 0").exit, 2);
  EXPECT_EQ(run_qkv("explain attention --mask 'lengths([9])' --queries 4").exit, 1);
  EXPECT_EQ(run_qkv("explain").exit, 2);
}

}  // namespace
}  // namespace qkv

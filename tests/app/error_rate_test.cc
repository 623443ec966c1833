// qkv score wer and cer.
#include "app/run_qkv.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

TEST(ScoreErrors, SumsOverTheSet) {
  const Temporary folder;
  spill(folder / "right", "zero one two three\nfive\nnine nine nine\n");
  const std::string given = "zero two two three four\nfive five\nnine\n";
  const std::string reference = " --reference '" + (folder / "right").string() + "'";
  const Ran words = run_qkv("score wer" + reference, given);
  EXPECT_EQ(words.exit, 0) << words.err;
  EXPECT_TRUE(words.out.starts_with("WER 62.50 % (5 of 8): 1 substituted, 2 left out, 2 put in\n"))
      << words.out;
  const Ran characters = run_qkv("score cer --json" + reference, given);
  const auto json = nlohmann::json::parse(characters.out);
  EXPECT_EQ(json["errors"], 23);
  EXPECT_EQ(json["reference"], 36);
  EXPECT_EQ(run_qkv("score wer" + reference, "one line\n").exit, 1);
  EXPECT_EQ(run_qkv("score wer", given).exit, 2);
}

}  // namespace
}  // namespace qkv

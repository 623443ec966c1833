// A sentence encoder with Dense modules through every verb that knows one.
#include <string>

#include "app/run_qkv.h"
#include "systems/golden_folders.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/io/safetensors.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string quoted(const fs::path& path) { return "'" + path.string() + "'"; }

class DenseCommands : public ::testing::Test {
 protected:
  DenseCommands() {
    testing::make_golden_bert("bert-dense", folder_ / "source");
    std::string pairs;
    for (int i = 5; i < 35; i += 3) {
      const std::string w = "w" + std::to_string(i), v = "w" + std::to_string(i + 1);
      pairs += w + " " + v + "\t" + v + " " + w + " w39\n";
    }
    spill(folder_ / "pairs.tsv", pairs);
  }
  std::string path(const char* name) { return quoted(folder_ / name); }
  std::string embed(const char* model, const std::string& options = "") {
    const Ran ran =
        run_qkv("embed --model " + path(model) + " " + options, "w5 w6 w7\nw8\n\nw30 w31\n");
    EXPECT_EQ(ran.exit, 0) << ran.err;
    return ran.out;
  }
  void train(const char* model, const std::string& options) {
    const Ran ran = run_qkv("train embed --train " + path("pairs.tsv") + " --valid " +
                            path("pairs.tsv") + " --model " + path(model) +
                            " --rate 0.01 --warm-up 1 --schedule constant --patience 0 "
                            "--batch-pairs 5 --threads 1 " +
                            options);
    ASSERT_EQ(ran.exit, 0) << ran.err;
    said_ = ran.err;
  }
  /// Which tensors of two directories differ.
  std::vector<std::string> changed(const char* a, const char* b) {
    const SafetensorsFile one(folder_ / a / "model.safetensors");
    const SafetensorsFile other(folder_ / b / "model.safetensors");
    std::vector<std::string> names;
    for (const std::string& name : one.names()) {
      const Tensor x = one.tensor(name), y = other.tensor(name);
      if (!std::ranges::equal(x.values(), y.values())) names.push_back(name);
    }
    return names;
  }

  Temporary folder_;
  std::string said_;
};

TEST_F(DenseCommands, ImportExportAndInfo) {
  ASSERT_EQ(run_qkv("import " + path("source") + " " + path("own")).exit, 0);
  ASSERT_EQ(run_qkv("export " + path("own") + " " + path("hf")).exit, 0);
  const std::string vectors = embed("source");
  EXPECT_EQ(std::count(vectors.begin(), vectors.end(), '\t'), 4 * 5) << vectors;
  EXPECT_EQ(embed("own"), vectors);
  EXPECT_EQ(embed("hf"), vectors);
  EXPECT_NE(embed("own", "--pooling cls"), vectors);
  for (const char* model : {"source", "own", "hf"}) {
    EXPECT_THAT(run_qkv("info " + path(model)).out,
                HasSubstr("6 numbers: mean, dense 16 -> 6 tanh, length 1"));
  }
  spill(folder_ / "lines.txt", "w5 w6 w7\nw30 w31\n");
  const Ran near = run_qkv(
      "embed --model " + path("own") + " --similar " + path("lines.txt") + " --top 1", "w30 w31\n");
  EXPECT_EQ(near.out, "1.000000\t2\tw30 w31\n\n") << near.err;
}

TEST_F(DenseCommands, TrainingThemAloneAndWithTheRest) {
  ASSERT_EQ(run_qkv("import " + path("source") + " " + path("own")).exit, 0);
  train("alone", "--init " + path("source") + " --freeze encoder --steps 6");
  EXPECT_THAT(said_, HasSubstr("vectors: mean, 6 numbers"));
  EXPECT_THAT(said_, HasSubstr("trained: 102 of "));
  EXPECT_THAT(changed("alone", "own"),
              ::testing::UnorderedElementsAre("sentence.dense.0.linear.weight",
                                              "sentence.dense.0.linear.bias"));
  EXPECT_NE(embed("alone"), embed("own"));
  train("all", "--init " + path("own") + " --steps 6 --validate-every 3");
  EXPECT_GT(changed("all", "own").size(), 20U);
  // To the same bits in two parts.
  train("parts", "--init " + path("own") + " --steps 3 --validate-every 3");
  train("parts", "--resume --steps 6 --validate-every 3");
  EXPECT_TRUE(slurp(folder_ / "parts/model.safetensors") ==
              slurp(folder_ / "all/model.safetensors"));
  // And out again.
  ASSERT_EQ(run_qkv("export " + path("all") + " " + path("hf")).exit, 0);
  EXPECT_EQ(embed("hf"), embed("all"));
}

TEST_F(DenseCommands, AdaptersAreTrainedBesideIt) {
  ASSERT_EQ(run_qkv("import " + path("source") + " " + path("own")).exit, 0);
  const std::string lora = "--init " + path("own") + " --lora 2 --lora-targets all ";
  train("adapted", lora + "--steps 6 --validate-every 3");
  EXPECT_THAT(said_, HasSubstr("trained: "));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "adapted/model.safetensors"));
  EXPECT_NE(embed("adapted"), embed("own"));
  EXPECT_THAT(run_qkv("info " + path("adapted")).out, HasSubstr("adapters of rank 2 merged into"));
  // To the same bits in two parts.
  train("parts", lora + "--steps 3 --validate-every 3");
  train("parts", "--resume --steps 6 --validate-every 3");
  EXPECT_TRUE(slurp(folder_ / "parts/adapter_model.safetensors") ==
              slurp(folder_ / "adapted/adapter_model.safetensors"));
  // Whole, here and there.
  ASSERT_EQ(run_qkv("import " + path("adapted") + " " + path("whole")).exit, 0);
  EXPECT_EQ(embed("whole"), embed("adapted"));
  ASSERT_EQ(run_qkv("export " + path("adapted") + " " + path("hf")).exit, 0);
  EXPECT_EQ(embed("hf"), embed("adapted"));
}

TEST_F(DenseCommands, ATaggerOnItLeavesThemOut) {
  spill(folder_ / "tags", "w5 A\nw6 B\n\nw7 A\nw8 B\n\n");
  const Ran ran =
      run_qkv("train tag --train " + path("tags") + " --valid " + path("tags") + " --model " +
              path("t") + " --init " + path("source") + " --lora 2 --steps 2 --threads 1");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(run_qkv("tag --model " + path("t"), "w5 w6\n").exit, 0);
}

}  // namespace
}  // namespace qkv

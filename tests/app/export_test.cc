// qkv export: a model becomes a directory that other programs read.
#include "app/run_qkv.h"
#include "systems/tiny_models.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qkv {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::string quoted(const fs::path& path) { return "'" + path.string() + "'"; }

TEST(ExportCommand, WritesADirectoryThatAnswersTheSame) {
  const Temporary folder;
  save_bert_model(tiny::bert(), folder / "own");
  const std::string to = "export " + quoted(folder / "own") + " " + quoted(folder / "hf");
  const Ran ran = run_qkv(to + " --format huggingface");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, (folder / "hf").string() + ": BertForMaskedLM\n");
  EXPECT_THAT(ran.err, HasSubstr("pooler"));
  for (const char* file : {"config.json", "model.safetensors", "vocab.txt", "tokenizer.json",
                           "tokenizer_config.json", "special_tokens_map.json"}) {
    EXPECT_TRUE(fs::exists(folder / "hf" / file)) << file;
  }
  const auto embed = [&](const char* from) {
    return run_qkv("embed --model " + quoted(folder / from), "red boat\na dog\n").out;
  };
  EXPECT_FALSE(embed("own").empty());
  EXPECT_EQ(embed("hf"), embed("own"));
  const Ran again = run_qkv(to);
  EXPECT_EQ(again.exit, 1);
  EXPECT_THAT(again.err, HasSubstr("is there already"));
}

TEST(ExportCommand, SaysInOneLineWhatHasNoCounterpart) {
  const Temporary folder;
  tiny::make_vectors(folder / "own");
  const std::string to = "export " + quoted(folder / "own") + " " + quoted(folder / "hf");
  const Ran ran = run_qkv(to);
  EXPECT_EQ(ran.exit, 1);
  EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("word vectors"));
  EXPECT_FALSE(fs::exists(folder / "hf"));
  EXPECT_EQ(run_qkv(to + " --format gguf").exit, 2);
  EXPECT_EQ(run_qkv("export " + quoted(folder / "own")).exit, 2);
  EXPECT_EQ(run_qkv("export " + quoted(folder / "none") + " " + quoted(folder / "b")).exit, 1);
}

}  // namespace
}  // namespace qkv

// qkv import: another program's model becomes a directory of ours that answers the same.
#include "app/run_qkv.h"
#include "systems/tiny_models.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/io/directory.h"

namespace qkv {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::string quoted(const fs::path& path) { return "'" + path.string() + "'"; }

TEST(ImportCommand, KeepsTheAnswersAndTheSettings) {
  const Temporary folder;
  tiny::make_foreign(folder / "source");
  write_json(folder / "source" / "config_sentence_transformers.json",
             {{"prompts", {{"q", "the "}}}, {"default_prompt_name", "q"}});
  const Ran ran = run_qkv("import " + quoted(folder / "source") + " " + quoted(folder / "made"));
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("qkv fill"));
  EXPECT_TRUE(ModelDirectory(folder / "made").has_manifest());
  const std::string lines = "red boat\na dog waits to a dog waits to a dog waits\n\n";
  const auto embed = [&](const char* from) {
    return run_qkv("embed --model " + quoted(folder / from), lines).out;
  };
  EXPECT_FALSE(embed("made").empty());
  EXPECT_EQ(embed("made"), embed("source"));
}

TEST(ImportCommand, OverwritesWhenAskedAndNeverItsSource) {
  const Temporary folder;
  tiny::make_foreign(folder / "source");
  const std::string to = "import " + quoted(folder / "source") + " " + quoted(folder / "made");
  ASSERT_EQ(run_qkv(to).exit, 0);
  const Ran again = run_qkv(to);
  EXPECT_EQ(again.exit, 1);
  EXPECT_THAT(again.err, HasSubstr("--overwrite"));
  EXPECT_EQ(run_qkv(to + " --overwrite").exit, 0);
  const std::string self = quoted(folder / "source");
  EXPECT_EQ(run_qkv("import " + self + " " + self + " --overwrite").exit, 2);
  EXPECT_EQ(run_qkv("import " + quoted(folder / "none") + " " + quoted(folder / "b")).exit, 1);
  EXPECT_FALSE(fs::exists(folder / "b"));
}

}  // namespace
}  // namespace qkv

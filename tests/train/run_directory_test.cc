#include "qkv/train/run_directory.h"

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/directory.h"

namespace qkv {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

std::string refusal(const fs::path& directory, bool resume, bool overwrite) {
  try {
    (void)begin_of(directory, resume, overwrite);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(RunDirectory, ARunBeginsWhereNothingIs) {
  const Temporary folder;
  EXPECT_EQ(begin_of(folder / "none", false, false), Begin::fresh);
  EXPECT_FALSE(fs::exists(folder / "none")) << "asking makes nothing";
  EXPECT_EQ(begin_of(folder.path(), false, false), Begin::fresh);
  write_file(folder / "notes.txt", "mine");
  EXPECT_EQ(begin_of(folder.path(), false, false), Begin::fresh);
  EXPECT_EQ(begin_of(folder.path(), false, true), Begin::fresh);
}

TEST(RunDirectory, ARunIsNotOverwrittenUnasked) {
  for (const char* trace : {kConfigFile, kMetricsFile, kWeightsFile, "state/state.safetensors"}) {
    const Temporary folder;
    make_folder((folder / trace).parent_path());
    write_json(folder / trace, {{"format", 1}});
    EXPECT_THAT(refusal(folder.path(), false, false),
                AllOf(HasSubstr("holds a model or a run already"), HasSubstr("--resume"),
                      HasSubstr("--overwrite")))
        << trace;
    EXPECT_EQ(begin_of(folder.path(), true, false), Begin::resume);
    EXPECT_THAT(refusal(folder.path(), true, true), HasSubstr("exclude each other"));
  }
}

TEST(RunDirectory, AModelOfAnotherProgramIsNeverOverwritten) {
  const Temporary folder;
  write_json(folder / kConfigFile, {{"model_type", "bert"}});
  EXPECT_THAT(refusal(folder.path(), false, true), HasSubstr("of another program"));
  EXPECT_THAT(refusal(folder.path(), false, false), HasSubstr("holds a model"));
}

TEST(RunDirectory, AFileIsNoDirectory) {
  const Temporary folder;
  write_file(folder / "file", "x");
  EXPECT_THAT(refusal(folder / "file", false, false), HasSubstr("is a file"));
  EXPECT_THAT(refusal(folder / "file" / "below", false, false), HasSubstr("is a file"));
}

/// A finished run of "old".
void old_run(const fs::path& directory) {
  make_folder(directory / kStateFolder);
  write_file(directory / kStateFolder / "state.safetensors", "old");
  write_file(directory / kStateFolder / "old.vocabulary", "old");
  write_file(directory / kMetricsFile, "{\"step\":1,\"run\":\"old\"}\n");
  write_file(directory / kCurveFile, "old");
  write_json(directory / kConfigFile, {{"format", 1}, {"old", true}});
}

TEST(RunDirectory, ANewRunTouchesTheOldOneOnlyWithItsFirstState) {
  const Temporary folder;
  old_run(folder.path());
  RunDirectory run(folder.path(), false,
                   [](const fs::path& to) { write_file(to / "new.vocabulary", "new"); });
  run.metrics({{"step", 1}, {"run", "new"}});
  EXPECT_FALSE(run.has_state());
  EXPECT_EQ(read_file(run.state_file()), "old");
  EXPECT_EQ(read_file(folder / kMetricsFile), "{\"step\":1,\"run\":\"old\"}\n");
  EXPECT_THROW(run.save_state([](const fs::path&) { fail<NumericError>("nan"); }), NumericError);
  EXPECT_EQ(read_file(run.state_file()), "old") << "a state that fails changes nothing";
  EXPECT_FALSE(fs::exists(folder / "state.tmp"));
  run.save_state([](const fs::path& file) { write_file(file, "new"); });
  EXPECT_EQ(read_file(run.state_file()), "new");
  EXPECT_FALSE(fs::exists(folder / kStateFolder / "old.vocabulary"));
  EXPECT_EQ(read_file(folder / kStateFolder / "new.vocabulary"), "new");
  EXPECT_FALSE(fs::exists(folder / kCurveFile));
  const std::vector<Json> lines = read_jsonl(folder / kMetricsFile);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0]["run"], "new");
  EXPECT_TRUE(read_json(folder / kConfigFile).contains("old")) << "its model stays for now";
  run.metrics({{"step", 2}});
  EXPECT_EQ(read_jsonl(folder / kMetricsFile).size(), 2U);
}

TEST(RunDirectory, ALineThatIsNoMetricIsNamed) {
  const Temporary folder;
  const RunDirectory run(folder.path(), true, {});
  for (const char* line : {"5", "[]", "null", "{}", R"({"step":"x"})"}) {
    write_file(folder / kMetricsFile, std::string(R"({"step":1})") + "\n" + line + "\n");
    try {
      run.trim_metrics(3);
      ADD_FAILURE() << line;
    } catch (const DataError& e) {
      EXPECT_THAT(e.what(), AllOf(HasSubstr("metrics.jsonl"), HasSubstr(line)));
    }
  }
  write_file(folder / kMetricsFile, "{\"step\":1}\n{\"step\":7}\n");
  run.trim_metrics(3);
  EXPECT_EQ(read_file(folder / kMetricsFile), "{\"step\":1}\n");
}

}  // namespace
}  // namespace qkv

#include "qkv/base/file.h"

#include <fstream>

#include "text/temporary.h"
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

/// The number of a process that is no more.
pid_t dead_process() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  return child;
}

void touch(const std::filesystem::path& path) { std::ofstream(path) << "half"; }

TEST(WriteFile, RemovesWhatKilledWritersOfTheSameFileLeft) {
  const Temporary folder;
  const std::string dead = std::to_string(dead_process()), alive = std::to_string(::getppid());
  touch(folder / ("model.tmp" + dead));
  touch(folder / ("model.tmp" + alive));
  touch(folder / ("other.tmp" + dead));
  touch(folder / ("model.tmp" + dead + "x"));
  touch(folder / "model.tmp");
  write_file(folder / "model", "whole");
  EXPECT_EQ(read_file(folder / "model"), "whole");
  EXPECT_FALSE(std::filesystem::exists(folder / ("model.tmp" + dead)));
  EXPECT_TRUE(std::filesystem::exists(folder / ("model.tmp" + alive)));
  EXPECT_TRUE(std::filesystem::exists(folder / ("other.tmp" + dead)));
  EXPECT_TRUE(std::filesystem::exists(folder / ("model.tmp" + dead + "x")));
  EXPECT_TRUE(std::filesystem::exists(folder / "model.tmp"));
}

TEST(WriteFile, LeavesNothingBehindWhenItFails) {
  const Temporary folder;
  write_file(folder / "model", "old");
  EXPECT_THROW(write_file(folder / "model",
                          [](const auto& append) {
                            append("new");
                            fail("stop");
                          }),
               Error);
  EXPECT_EQ(read_file(folder / "model"), "old");
  const std::filesystem::directory_iterator files(folder / ".");
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

}  // namespace
}  // namespace qkv

// A folder that appears whole or not at all.
#include "qkv/io/new_folder.h"

#include <functional>
#include <vector>

#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

TEST(NewFolder, StandsThereOnceItIsWhole) {
  const Temporary parent;
  {
    NewFolder made(parent / "a");
    write_file(made.folder() / "file", "x");
    EXPECT_FALSE(fs::exists(parent / "a"));
    EXPECT_THROW(NewFolder(parent / "a"), FileError) << "somebody is writing it";
    made.commit();
  }
  EXPECT_EQ(read_file(parent / "a/file"), "x");
  EXPECT_EQ(std::distance(fs::directory_iterator(parent.path()), {}), 1);
  EXPECT_THROW(NewFolder(parent / "a"), FileError) << "it is there";
}

TEST(NewFolder, LeavesNothingBehindWithoutItsEnd) {
  const Temporary parent;
  fs::create_directory(parent / "empty");
  {
    NewFolder made(parent / "empty/");
    write_file(made.folder() / "file", "x");
  }
  EXPECT_TRUE(fs::is_empty(parent / "empty"));
  EXPECT_EQ(std::distance(fs::directory_iterator(parent.path()), {}), 1);
  // What a writer that was killed has left is no part of the next one.
  make_folder(parent / "b.saving.tmp/old");
  NewFolder next(parent / "b");
  write_file(next.folder() / "file", "x");
  next.commit();
  EXPECT_FALSE(fs::exists(parent / "b/old"));
}

TEST(NewFolder, TakesNoPlaceOfSomethingElse) {
  const Temporary parent;
  write_file(parent / "file", "x");
  EXPECT_THROW(require_no_files(parent / "file"), FileError);
  fs::create_symlink(parent / "nowhere", parent / "link");
  EXPECT_THROW(require_no_files(parent / "link"), FileError);
  EXPECT_NO_THROW(require_no_files(parent / "free"));
}

}  // namespace
}  // namespace qkv

#include "qkv/io/archive.h"

#include "io/zip_bytes.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/io/model_files.h"

namespace qkv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Archive open(const std::string& bytes, const ArchiveLimits& limits = {}) {
  const auto copy = std::make_shared<const std::string>(bytes);
  return Archive(std::as_bytes(std::span(*copy)), copy, "it.zip", limits);
}

/// What is said of a zip, or of its members when they are read.
std::string error(const std::string& bytes, const ArchiveLimits& limits = {}) {
  try {
    const Archive archive = open(bytes, limits);
    for (const std::string& name : archive.names()) (void)archive.read(name);
  } catch (const DataError& e) {
    return e.what();
  }
  return "no error";
}

std::string error(const ZipBytes& zip, const ArchiveLimits& limits = {}) {
  return error(zip.whole(), limits);
}

TEST(Archive, ReadsStoredAndDeflatedMembers) {
  const std::string text(50'000, 'a');
  const Archive archive = open(
      ZipBytes().add("b/", "").add("b/two", text, true).add("one", "1").add("none", "").whole());
  EXPECT_THAT(archive.names(), ElementsAre("b/two", "none", "one"));
  EXPECT_EQ(archive.read("b/two"), text);
  EXPECT_EQ(archive.read("one"), "1");
  EXPECT_EQ(archive.read("none"), "");
  EXPECT_EQ(archive.size("b/two"), text.size());
  EXPECT_FALSE(archive.contains("two"));
  EXPECT_THROW((void)archive.read("two"), DataError);
}

TEST(Archive, RefusesNamesThatLeadElsewhere) {
  for (const char* name :
       {"/etc/passwd", "../x", "a/../../x", "a/..", "C:/x", "a\\..\\x", "a//b", "./a", "a\xFF"}) {
    EXPECT_THAT(error(ZipBytes().add(name, "x")), HasSubstr(" name")) << name;
  }
  EXPECT_EQ(error(ZipBytes().add("..a/b..", "x")), "no error");
}

TEST(Archive, RefusesLinksAndTwins) {
  EXPECT_THAT(error(ZipBytes().add("a", "/etc/passwd", false, {.mode = 0120777})),
              HasSubstr("'a' is a link"));
  EXPECT_THAT(error(ZipBytes().add("a", "1").add("a", "2")), HasSubstr("is there twice"));
}

TEST(Archive, RefusesWhatItCannotRead) {
  EXPECT_THAT(error(ZipBytes().add("a", "1", false, {.flags = 1})), HasSubstr("encrypted"));
  EXPECT_THAT(error(ZipBytes().add("a", "1", false, {.method = 14})), HasSubstr("method 14"));
}

TEST(Archive, RefusesBombs) {
  const std::string zeros(3 << 20, '\0');
  EXPECT_THAT(error(ZipBytes().add("a", zeros, true)), HasSubstr("zip bomb"));
  EXPECT_EQ(error(ZipBytes().add("a", zeros, true), {.ratio = 1100}), "no error");
  const auto two = ZipBytes().add("a", "123456").add("b", "123456");
  EXPECT_THAT(error(two, {.total = 11}), HasSubstr("'b' makes the archive larger"));
  EXPECT_THAT(error(two, {.members = 1}), HasSubstr("2 members"));
  // Many members of the same bytes.
  ZipBytes shared;
  shared.add("m00", std::string(1000, 'x'));
  for (int i = 1; i < 20; ++i) {
    shared.add(fmt::format("m{:02}", i), std::string(1000, 'x'), false, {.at = 0});
  }
  EXPECT_NE(error(shared), "no error");
}

TEST(Archive, RefusesSizesAndChecksumsThatLie) {
  const std::string text(2000, 'a');
  for (const std::uint32_t size : {0U, 1999U, 2001U, 100'000U}) {
    EXPECT_NE(error(ZipBytes().add("a", text, true, {.size = size})), "no error") << size;
    EXPECT_NE(error(ZipBytes().add("a", text, false, {.size = size})), "no error") << size;
    EXPECT_NE(error(ZipBytes().add("a", text, false, {.size = size, .packed = size})), "no error");
  }
  EXPECT_THAT(error(ZipBytes().add("a", "1", false, {.packed = 4'000'000'000U})),
              HasSubstr("it.zip"));
  EXPECT_THAT(error(ZipBytes().add("a", text, true, {.crc32 = 7})), HasSubstr("'a' is damaged"));
}

TEST(Archive, SurvivesDamage) {
  const std::string whole = ZipBytes().add("a/b", "1234567890", true).add("c", "12").whole();
  ASSERT_EQ(error(whole), "no error");
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    EXPECT_THAT(error(whole.substr(0, cut)), HasSubstr("it.zip")) << cut;
  }
  EXPECT_THAT(error("PK\3\4 but nothing more"), HasSubstr("is no zip"));
}

TEST(ModelFiles, AreTheSameInAFolderAndInAnArchive) {
  const Temporary folder;
  make_folder(folder / "tree/model");
  write_file(folder / "tree/about.json", "{\"a\": 1}");
  write_file(folder / "tree/model/bytes", "123");
  write_file(folder / "packed.zip", zip_of(folder / "tree", "top"));
  for (const char* where : {"tree", "packed.zip"}) {
    const ModelFiles files(folder / where);
    EXPECT_EQ(files.packed(), where[0] == 'p');
    EXPECT_TRUE(files.has("about.json"));
    EXPECT_TRUE(files.has("model/bytes"));
    EXPECT_FALSE(files.has("model"));
    EXPECT_THAT(files.names(), ElementsAre("about.json"));
    EXPECT_THAT(files.in("model").names(), ElementsAre("bytes"));
    EXPECT_EQ(read_json(files, "about.json"), Json({{"a", 1}}));
    const ModelFiles inner = files.in("model");
    EXPECT_EQ(inner.read("bytes"), "123");
    EXPECT_EQ(inner.bytes("bytes").bytes.size(), 3U);
    EXPECT_EQ(inner.path("bytes"), (folder / where).string() + "/model/bytes");
    EXPECT_EQ(inner.path(), (folder / where).string() + "/model");
    EXPECT_THROW((void)files.read("none"), Error);
  }
  EXPECT_FALSE(ModelFiles(folder / "nothing").has("a"));
  write_file(folder / "file", "no zip");
  EXPECT_THROW(ModelFiles(folder / "file"), FileError);
}

TEST(ModelFiles, OfAnArchiveWithoutOneTopFolderStandAtTheTop) {
  const Temporary folder;
  write_file(folder / "a.zip", ZipBytes().add("x/a", "1").add("y/b", "2").whole());
  EXPECT_TRUE(ModelFiles(folder / "a.zip").has("x/a"));
  write_file(folder / "b.zip", ZipBytes().add("a", "1").whole());
  EXPECT_TRUE(ModelFiles(folder / "b.zip").has("a"));
}

}  // namespace
}  // namespace qkv

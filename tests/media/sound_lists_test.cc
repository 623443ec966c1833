#include "qkv/media/sound_lists.h"

#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"

namespace qkv {
namespace {

std::vector<SpannedSound> parse(const std::string& bytes) {
  return parse_spans(bytes, "list", "/home");
}

TEST(SoundLists, ReadsStretches) {
  const auto items = parse(
      "\xEF\xBB\xBF"
      "a.wav\t0:0.5:seven\t0.5:1.25:a: b\t\r\nb.wav\n/c.wav\t1e-1:2:x");
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(items[0].path, "/home/a.wav");
  ASSERT_EQ(items[0].spans.size(), 2U);
  EXPECT_EQ(items[0].spans[1].begin, 0.5);
  EXPECT_EQ(items[0].spans[1].end, 1.25);
  EXPECT_EQ(items[0].spans[1].label, "a: b");
  EXPECT_TRUE(items[1].spans.empty());
  EXPECT_EQ(items[2].path, "/c.wav");
}

TEST(SoundLists, NamesTheLineOfWhatIsWrong) {
  for (const auto& [line, why] : {std::pair{"a.wav\t0:1", "is no stretch"},
                                  {"a.wav\tx:1:l", "no two numbers"},
                                  {"a.wav\t1:1:l", "is empty"},
                                  {"a.wav\t-1:1:l", "is empty"},
                                  {"a.wav\tnan:1:l", "no two numbers"},
                                  {"a.wav\t0:1: ", "no label"},
                                  {"a.wav\t0:2:l\t1:3:m", "begins before"},
                                  {"\t0:1:l", "no path"},
                                  {"a.wav\t\xFF", "not UTF-8"}}) {
    try {
      (void)parse(std::string("ok.wav\n") + line);
      ADD_FAILURE() << line;
    } catch (const DataError& e) {
      EXPECT_NE(std::string(e.what()).find("list:2"), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what();
    }
  }
  EXPECT_THROW((void)parse(""), DataError);
  EXPECT_THROW((void)parse(std::string("a\0b", 3)), DataError);
}

TEST(SoundLists, TruncatedAnywhereIsAnErrorOrAShorterList) {
  const std::string whole = "a.wav\t0:0.5:seven\nb.wav\t0.25:1:two\n";
  for (std::size_t n = 0; n < whole.size(); ++n) {
    try {
      EXPECT_LE(parse(whole.substr(0, n)).size(), 2U);
    } catch (const DataError&) {
    }
  }
}

TEST(SoundLists, ReadsTheSounds) {
  const Temporary folder;
  write_file(folder / "a.wav", encode_wav({8000, std::vector<float>(800, 0.25F)}));
  write_file(folder / "empty.wav", encode_wav({8000, {}}));
  write_file(folder / "list", "a.wav\t0.05:0.09:x\nempty.wav\n");
  write_file(folder / "late", "a.wav\t0.5:0.9:x\n");
  EXPECT_THROW((void)read_spanned_sounds({folder / "list"}), Error);
  const SpannedSet set = read_spanned_sounds({folder / "list"}, {.skip_broken = true});
  EXPECT_EQ(set.skipped, 1);
  ASSERT_EQ(set.sounds.size(), 1U);
  EXPECT_EQ(set.items[0].spans[0].label, "x");
  EXPECT_THROW((void)read_spanned_sounds({folder / "late"}), DataError);
}

}  // namespace
}  // namespace qkv

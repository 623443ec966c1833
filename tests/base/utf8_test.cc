#include "qkv/base/utf8.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qkv {
namespace {

using testing::ElementsAre;

TEST(TrimSpaces, TakesEveryKindOfSpaceFromBothEnds) {
  EXPECT_EQ(trim_spaces(" \t a\u00A0b \r\n"), "a\u00A0b");
  EXPECT_EQ(trim_spaces("\u3000\u2003\u2028你好\u202F\u00A0"), "你好");
  EXPECT_EQ(trim_spaces("x"), "x");
  EXPECT_EQ(trim_spaces("\xA0"), "\xA0");  // no UTF-8, so no space
  EXPECT_TRUE(is_blank("\u00A0\u3000 \t"));
  EXPECT_TRUE(is_blank(""));
  EXPECT_FALSE(is_blank("\u200D"));
}

TEST(SplitBlanks, PartsAtSpacesAndTabsAlone) {
  EXPECT_THAT(split_blanks("  10\u00A0000 a\u3000b\tc "),
              ElementsAre("10\u00A0000", "a\u3000b", "c"));
  EXPECT_TRUE(split_blanks(" \t").empty());
}

TEST(SplitColumns, TabsPartWhereThereAreSome) {
  EXPECT_THAT(split_columns("1 000\tO"), ElementsAre("1 000", "O"));
  EXPECT_THAT(split_columns(" Paula Renn \t _\tB-PER\t"), ElementsAre("Paula Renn", "_", "B-PER"));
  EXPECT_THAT(split_columns("a\t\tb"), ElementsAre("a", "", "b"));
  EXPECT_THAT(split_columns(" a  b "), ElementsAre("a", "b"));
  EXPECT_TRUE(split_columns(" ").empty());
  EXPECT_TRUE(split_columns("\t").empty());
}

TEST(CodePoints, BadBytesAreOneEach) {
  const auto points = code_points("a\xFF\u00E9\xE4\xBD");
  ASSERT_EQ(points.size(), 5u);
  EXPECT_EQ(points[1].value, U'\uFFFD');
  EXPECT_EQ(points[2].value, U'\u00E9');
  EXPECT_EQ(first_bad_byte("a\u00E9\xFF"), 3u);
  EXPECT_FALSE(first_bad_byte("a\u00E9").has_value());
}

}  // namespace
}  // namespace qkv

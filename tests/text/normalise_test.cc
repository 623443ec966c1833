#include "qkv/text/normalise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/random.h"

namespace qkv {
namespace {

using testing::ElementsAre;

TEST(Utf8, FindsTheFirstBadByte) {
  EXPECT_FALSE(first_bad_byte(""));
  EXPECT_FALSE(first_bad_byte("plain"));
  EXPECT_FALSE(first_bad_byte("né 你好 🐕"));
  EXPECT_EQ(first_bad_byte("ab\xFF"), 2u);
  EXPECT_EQ(first_bad_byte("\xC0\xAF"), 0u);                 // overlong "/"
  EXPECT_EQ(first_bad_byte("a\xED\xA0\x80"), 1u);            // surrogate
  EXPECT_EQ(first_bad_byte("\xF4\x90\x80\x80"), 0u);         // above U+10FFFF
  EXPECT_EQ(first_bad_byte(std::string_view("你", 2)), 0u);  // cut off
}

TEST(Utf8, RepairsBadBytesOnly) {
  EXPECT_EQ(repair_utf8("né 你好"), "né 你好");
  EXPECT_EQ(repair_utf8("a\xFFz\xE4\xBD"), "a\uFFFDz\uFFFD\uFFFD");
}

TEST(Normalise, KeepsTextAsItIsUnlessAsked) { EXPECT_EQ(normalise("Ａ ﬁ É", {}), "Ａ ﬁ É"); }

TEST(Normalise, NfkcAndLowerCase) {
  EXPECT_EQ(normalise("ＡＢＣ１２３ ﬁ ① ｶﾞ", {.nfkc = true}), "ABC123 fi 1 ガ");
  EXPECT_EQ(normalise("e\u0301", {.nfkc = true}), "\u00E9");
  EXPECT_EQ(normalise("ÄÖÜ ΑΒΓ ЖЩ Ｑ", {.lower = true}), "äöü αβγ жщ ｑ");
  EXPECT_EQ(normalise("Ｑ 你好", {.nfkc = true, .lower = true}), "q 你好");
  EXPECT_EQ(normalise("", {.nfkc = true, .lower = true}), "");
  using namespace std::string_view_literals;
  EXPECT_EQ(normalise("a\0B"sv, {.nfkc = true, .lower = true}), "a\0b"sv);
}

TEST(Normalise, GivesValidTextForAnyBytes) {
  Philox random(7);
  for (int round = 0; round < 500; ++round) {
    std::string bytes(random.below(40), ' ');
    for (char& c : bytes) c = static_cast<char>(random.below(256));
    EXPECT_FALSE(first_bad_byte(normalise(bytes, {.nfkc = true, .lower = true})));
    std::string joined;
    for (std::string_view c : characters(bytes)) joined += c;
    EXPECT_EQ(joined, bytes);
  }
}

TEST(Characters, AreWhatAReaderSees) {
  EXPECT_THAT(characters("你好!"), ElementsAre("你", "好", "!"));
  EXPECT_THAT(characters("e\u0301a"), ElementsAre("e\u0301", "a"));  // accent stays on its letter
  EXPECT_THAT(characters("🇩🇪🇨🇳"), ElementsAre("🇩🇪", "🇨🇳"));
  EXPECT_THAT(characters("👩‍🔬x"), ElementsAre("👩‍🔬", "x"));
  EXPECT_TRUE(characters("").empty());
}

// Marks are brought in order however many there are; exchanged one by one these take hours.
TEST(Normalise, LongRunsOfMarksAreOrderedInLinearTime) {
  std::string marks, low, high;
  for (int i = 0; i < 100000; ++i) {
    marks += "\u0301\u0323";  // above, below
    low += "\u0323";
    high += "\u0301";
  }
  EXPECT_EQ(decompose("a" + marks), "a" + low + high);
  EXPECT_EQ(normalise("a" + marks, {.nfkc = true}), "\u1EA1" + low.substr(2) + high);
  EXPECT_EQ(decompose("\u1EAF한"), "a\u0306\u0301\u1112\u1161\u11AB");
}

}  // namespace
}  // namespace qkv

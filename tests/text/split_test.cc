#include "qkv/text/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::ElementsAre;

TEST(SplitSpaces, TakesEveryKindOfSpace) {
  EXPECT_THAT(split_spaces("  a\tb\u00A0c\u3000 d\r\n"), ElementsAre("a", "b", "c", "d"));
  EXPECT_TRUE(split_spaces(" \t ").empty());
  EXPECT_TRUE(split_spaces("").empty());
}

TEST(SplitWords, WordsMarksAndCjkCharacters) {
  EXPECT_THAT(split_words("Don't pay 3.50, 王先生!"),
              ElementsAre("Don't", "pay", "3.50", ",", "王", "先", "生", "!"));
  EXPECT_THAT(split_words("a well-known \"T-shirt\"..."),
              ElementsAre("a", "well-known", "\"", "T-shirt", "\"", "..."));
  EXPECT_THAT(split_words("At 12:30 (1,000 €)."),
              ElementsAre("At", "12:30", "(", "1,000", "€", ")", "."));
  EXPECT_THAT(split_words("你明天有空吗？"), ElementsAre("你", "明", "天", "有", "空", "吗", "？"));
  EXPECT_THAT(split_words("我有3本Book书"), ElementsAre("我", "有", "3", "本", "Book", "书"));
  EXPECT_THAT(split_words("コーヒー"), ElementsAre("コ", "ー", "ヒ", "ー"));
  EXPECT_THAT(split_words("が"), ElementsAre("が"));
  EXPECT_THAT(split_words("e\u0301te\u0301 снег"), ElementsAre("e\u0301te\u0301", "снег"));
  EXPECT_THAT(split_words("'tis end."), ElementsAre("'", "tis", "end", "."));
  EXPECT_TRUE(split_words("").empty());
}

TEST(SplitWords, SignsOfSeveralCodePointsStayWhole) {
  const char* signs[] = {
      "👍🏽",       "🇩🇪",      "👨‍👩‍👧",           "👩🏿‍💻", "❤️",
      "🏳️‍🌈", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "#️⃣",         "☝🏻",
      "©️"};
  for (const std::string sign : signs) {
    EXPECT_THAT(split_words("well done " + sign + " Paula"),
                ElementsAre("well", "done", sign, "Paula"));
    EXPECT_THAT(split_words(sign), ElementsAre(sign));
    EXPECT_THAT(split_words("(" + sign + ")"), ElementsAre("(", sign, ")"));
  }
  EXPECT_THAT(split_words("🇩🇪🇫🇷"), ElementsAre("🇩🇪", "🇫🇷"));
  EXPECT_THAT(split_words("👍🏽👍🏽!"), ElementsAre("👍🏽👍🏽", "!"));
  EXPECT_THAT(split_words("ok👍🏽ok"), ElementsAre("ok", "👍🏽", "ok"));
  EXPECT_THAT(split_words("\u1112\u1161\u11AB글"), ElementsAre("\u1112\u1161\u11AB글"));  // jamo
  EXPECT_THAT(split_words("क्षि नि"), ElementsAre("क्षि", "नि"));
  EXPECT_THAT(split_words("a \u0301b"),
              ElementsAre("a", "\u0301b"));  // nothing is lost behind a space
  // U+0602 begins a sign with what follows it, but not with a space.
  EXPECT_THAT(split_words("a \u0602 b"), ElementsAre("a", "\u0602", "b"));
  EXPECT_THAT(split_words("\u845B\U000E0100x"), ElementsAre("\u845B\U000E0100", "x"));
}

TEST(SplitPage, KeepsLatinLettersAndApostrophes) {
  EXPECT_THAT(split_page("It's 5 o'clock, Müller-Straße! 你好 日 Ж a1b"),
              ElementsAre("It's", "o'clock", "MüllerStraße", "ab"));
  EXPECT_TRUE(split_page("123 ,.! 你好").empty());
}

std::string again(std::string_view text) { return join_words(split_words(text)); }

TEST(JoinWords, GivesConventionalTextBack) {
  for (const std::string_view text :
       {"the dog is running across the grass", "Are you free tomorrow?", "你明天有空吗？",
        "He said: \"Hello, world!\" (twice).", "It costs $5.20, or 10% more; don't buy it...",
        "“Yes,” she said, ‘no’.", "他说：“你好！”（两次）", "我有3本书，Tom也有。",
        "Was? Ja! Ein Auto.", "and/or", "«Oui», dit-il", "¿Qué tal?", "", "x"}) {
    EXPECT_EQ(again(text), text);
  }
}

TEST(JoinWords, SignsThatWereCutApartBecomeWhole) {
  const auto join = [](std::vector<std::string_view> words) { return join_words(words); };
  EXPECT_EQ(join({"well", "done", "👍🏽", "Paula"}), "well done 👍🏽 Paula");
  EXPECT_EQ(join({"done", "👍", "🏽", "Paula"}), "done 👍🏽 Paula");
  EXPECT_EQ(join({"🇩", "🇪", "🇫", "🇷"}), "🇩🇪 🇫🇷");
  EXPECT_EQ(join({"🇩🇪", "🇫🇷"}), "🇩🇪 🇫🇷");
  EXPECT_EQ(join({"👨", "\u200D", "👩", "ok"}), "👨\u200D👩 ok");
}

TEST(Classes, OfCodePoints) {
  EXPECT_TRUE(is_cjk(U'你') && is_cjk(U'あ') && is_cjk(U'ア') && is_cjk(U'ー') && is_cjk(0x20000));
  EXPECT_FALSE(is_cjk(U'a') || is_cjk(U'，') || is_cjk(U'한') || is_cjk(0x10FFFF));
  EXPECT_TRUE(is_latin(U'a') && is_latin(U'ß') && is_latin(U'Ł') && is_latin(U'ﬁ'));
  EXPECT_FALSE(is_latin(U'1') || is_latin(U'Ж') || is_latin(U'×') || is_latin(U'\0'));
  EXPECT_TRUE(is_punctuation(U'.') && is_punctuation(U'，') && is_punctuation(U'€'));
  EXPECT_FALSE(is_punctuation(U'_') || is_punctuation(U'a') || is_punctuation(U' '));
}

TEST(CutWords, EveryCut) {
  EXPECT_THAT(cut_words(" don't\tgo! ", WordCut::space), ElementsAre("don't", "go!"));
  EXPECT_THAT(cut_words("don't go!", WordCut::word), ElementsAre("don't", "go", "!"));
  EXPECT_THAT(cut_words("go e\u0301!", WordCut::character), ElementsAre("g", "o", "e\u0301", "!"));
  EXPECT_THAT(cut_words("a\xFF", WordCut::space), ElementsAre("a\uFFFD"));
  for (const WordCut cut : {WordCut::space, WordCut::word, WordCut::character}) {
    EXPECT_TRUE(cut_words(" \t", cut).empty());
    EXPECT_EQ(word_cut_of(name_of(cut)), cut);
  }
  EXPECT_THROW(word_cut_of("words"), Error);
}

}  // namespace
}  // namespace qkv

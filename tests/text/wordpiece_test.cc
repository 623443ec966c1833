#include "qkv/text/wordpiece.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Ids = std::vector<std::int32_t>;

// The vocabulary of the published tests (google-research/bert, tokenization_test.py).
const std::string kWords = "[UNK]\n[CLS]\n[SEP]\nwant\n##want\n##ed\nwa\nun\nrunn\n##ing\n";

WordPiece published(const std::string& more = "") {
  return WordPiece::from_text(kWords + more, "vocab.txt", true);
}

TEST(WordPiece, PublishedExamples) {
  const WordPiece t = published(",\n");
  EXPECT_THAT(t.pieces("UNwant\u00E9d,running"),
              ElementsAre("un", "##want", "##ed", ",", "runn", "##ing"));
  EXPECT_EQ(t.encode("UNwant\u00E9d,running"), (Ids{7, 4, 5, 10, 8, 9}));
  const WordPiece no_comma = published();
  EXPECT_THAT(no_comma.pieces("unwantedX running"), ElementsAre("[UNK]", "runn", "##ing"));
  EXPECT_TRUE(no_comma.pieces("").empty());
  EXPECT_THAT(no_comma.pieces("unwanted running"),
              ElementsAre("un", "##want", "##ed", "runn", "##ing"));
}

TEST(WordPiece, BasicTokens) {
  EXPECT_THAT(basic_tokens("ah\u535A\u63A8zz"), ElementsAre("ah", "\u535A", "\u63A8", "zz"));
  EXPECT_THAT(basic_tokens(" \tHeLLo!how  \n Are yoU?  "),
              ElementsAre("hello", "!", "how", "are", "you", "?"));
  EXPECT_THAT(basic_tokens("H\u00E9llo"), ElementsAre("hello"));
  EXPECT_THAT(basic_tokens(" \tHeLLo!how  \n Are yoU?  ", false),
              ElementsAre("HeLLo", "!", "how", "Are", "yoU", "?"));
  EXPECT_THAT(basic_tokens("H\u00E9llo", false), ElementsAre("H\u00E9llo"));
  EXPECT_THAT(basic_tokens("a\u00A0b"), ElementsAre("a", "b")) << "a no-break space is white";
  EXPECT_THAT(basic_tokens("a\u2028b"), ElementsAre("a", "b"));
  EXPECT_THAT(basic_tokens("x\U0001F4A9y"), ElementsAre("x\U0001F4A9y")) << "no control character";
  EXPECT_THAT(basic_tokens("a\u200Bb\x01\uFFFD"), ElementsAre("ab"));
  EXPECT_THAT(basic_tokens("$1`-x"), ElementsAre("$", "1", "`", "-", "x"));
  EXPECT_THAT(basic_tokens("\u00BFqu\u00E9?"), ElementsAre("\u00BF", "que", "?"));
  EXPECT_THAT(basic_tokens("\u20AC5"), ElementsAre("\u20AC"
                                                   "5"))
      << "a symbol is no punctuation";
  EXPECT_THAT(basic_tokens("a\xFF"
                           "b\xC3"),
              ElementsAre("ab"))
      << "bad bytes are dropped";
}

TEST(WordPiece, LongWordsAreUnknown) {
  const WordPiece t =
      WordPiece::from_text("[UNK]\n[CLS]\n[SEP]\na\n##a\n\u00DF\n##\u00DF\n", "v", true);
  EXPECT_EQ(t.encode(std::string(200, 'a')).size(), 200U);
  EXPECT_EQ(t.encode(std::string(201, 'a')), Ids{0});
  std::string wide;
  for (int i = 0; i < 200; ++i) wide += "\u00DF";
  EXPECT_EQ(t.encode(wide).size(), 200U) << "characters count, not bytes";
  EXPECT_EQ(t.encode(wide + "\u00DF"), Ids{0});
}

TEST(WordPiece, TextGivesNoSpecialTokenUnlessAsked) {
  const WordPiece t =
      WordPiece::from_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n[\n]\nmask\na\n", "v", true);
  EXPECT_EQ(t.encode("a [MASK]"), (Ids{8, 5, 7, 6}));
  EXPECT_EQ(t.encode_masked("a [MASK][MASK]a"), (Ids{8, 4, 4, 8}));
  EXPECT_THROW((void)published().encode_masked("a"), Error);
}

TEST(WordPiece, DecodesAsText) {
  const WordPiece t = published(",\n");
  EXPECT_EQ(t.decode(Ids{1, 7, 4, 5, 10, 8, 9, 2}), "unwanted, running");
  EXPECT_THROW((void)t.decode(Ids{99}), Error);
  EXPECT_THROW((void)t.piece(-1), Error);
}

std::string error_of(const std::string& text) {
  try {
    (void)WordPiece::from_text(text, "vocab.txt", true);
  } catch (const DataError& e) {
    return e.what();
  }
  return "no error";
}

TEST(WordPiece, DamagedVocabularies) {
  EXPECT_THAT(error_of(kWords + "wa\n"), HasSubstr("vocab.txt:11: piece 'wa' is there twice"));
  EXPECT_THAT(error_of("[UNK]\n[CLS]\na\n"), HasSubstr("has no piece [SEP]"));
  EXPECT_THAT(error_of(""), HasSubstr("has no piece [UNK]"));
  EXPECT_THAT(error_of(kWords + "\xFF\n"), HasSubstr("vocab.txt:11: is no UTF-8"));
  const WordPiece windows = WordPiece::from_text("[UNK]\r\n[CLS]\r\n[SEP]\r\na", "v", true);
  EXPECT_EQ(windows.size(), 4);
  EXPECT_EQ(windows.encode("a"), Ids{3});
}

TEST(WordPiece, LearnsWhatOccursMost) {
  // "##u ##g" stands side by side 20 times, then "##u ##n" 16, "h ##ug" 15.
  std::vector<std::string> text(10, "hug");
  text.insert(text.end(), 5, "pug");
  text.insert(text.end(), 12, "pun");
  text.insert(text.end(), 4, "bun");
  text.insert(text.end(), 5, "hugs");
  const WordPiece t = WordPiece::train({.vocabulary_size = 5 + 7 + 3}, text);
  // Letters by their bytes, those inside words first; then the pairs in the order of joining.
  EXPECT_EQ(t.to_text(),
            "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n##g\n##n\n##s\n##u\nb\nh\np\n##ug\n##un\nhug\n");
  EXPECT_THAT(t.pieces("hugs bun mug"), ElementsAre("hug", "##s", "b", "##un", "[UNK]"));
  const WordPiece again = WordPiece::from_text(t.to_text(), "v", true);
  EXPECT_EQ(again.encode("pun hugs"), t.encode("pun hugs"));
  std::reverse(text.begin(), text.end());
  EXPECT_EQ(WordPiece::train({.vocabulary_size = 15}, text).to_text(), t.to_text());
  EXPECT_THROW((void)WordPiece::train({.vocabulary_size = 11}, text), Error);
  EXPECT_THROW((void)WordPiece::train({}, std::vector<std::string>{" ", ""}), Error);
}

TEST(WordPiece, JoinsToWholeWordsAndNoFurther) {
  const std::vector<std::string> text(3, "aaaa abab");
  const WordPiece t = WordPiece::train({.vocabulary_size = 100}, text);
  EXPECT_THAT(t.pieces("aaaa abab"), ElementsAre("aaaa", "abab"));
  EXPECT_LT(t.size(), 16) << "nothing is left to join";
  const WordPiece rare = WordPiece::train({.vocabulary_size = 100, .min_count = 4}, text);
  EXPECT_LT(rare.size(), t.size());
}

}  // namespace
}  // namespace qkv

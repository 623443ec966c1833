// Two texts as one sequence of pieces.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/text/bert_pieces.h"
#include "qkv/text/split.h"

namespace qkv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

BertPieces word_piece() {
  return WordPiece::from_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\n", "vocab.txt",
                              true);
}

/// Words a, b, c … between the tokens of `pair`, a list of a template's items.
BertPieces pipeline(const std::string& pair) {
  return {TokenPipeline::from_json(R"({"version": "1.0", "added_tokens": [
      {"id": 0, "content": "<s>", "special": true}, {"id": 1, "content": "</s>", "special": true}],
      "pre_tokenizer": {"type": "WhitespaceSplit"},
      "post_processor": {"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                   {"Sequence": {"id": "A", "type_id": 0}},
                   {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "pair": [)" + pair + R"(],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]},
                           "</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
      "model": {"type": "WordLevel", "unk_token": "<unk>",
                "vocab": {"<s>": 0, "</s>": 1, "<unk>": 2, "a": 3, "b": 4, "c": 5, "d": 6}}})",
                                   "tokenizer.json"),
          "tokenizer.json"};
}

std::string token(const char* id) {
  return R"({"SpecialToken": {"id": ")" + std::string(id) + R"(", "type_id": 0}},)";
}
std::string text(const char* id, int type) {
  return R"({"Sequence": {"id": ")" + std::string(id) + R"(", "type_id": )" + std::to_string(type) +
         "}},";
}

TEST(BertPairs, SegmentsOfWordPiece) {
  const PiecePair pair = word_piece().encode_pair("a b", "C", 20);
  EXPECT_THAT(pair.ids, ElementsAre(2, 5, 6, 3, 7, 3));
  EXPECT_THAT(pair.types, ElementsAre(0, 0, 0, 0, 1, 1));
  EXPECT_EQ(pair.first, 1);
  EXPECT_EQ(pair.second, 4);
  EXPECT_EQ(pair.left_out, 0);
  EXPECT_THAT(word_piece().encode_pair("", "", 5).ids, ElementsAre(2, 3, 3));
}

TEST(BertPairs, TheTemplateOfAPipeline) {
  const std::string roberta = token("<s>") + text("A", 0) + token("</s>") + token("</s>") +
                              text("B", 1) + R"({"SpecialToken": {"id": "</s>", "type_id": 1}})";
  const PiecePair pair = pipeline(roberta).encode_pair("a", "b c", 20);
  EXPECT_THAT(pair.ids, ElementsAre(0, 3, 1, 1, 4, 5, 1));
  EXPECT_THAT(pair.types, ElementsAre(0, 0, 0, 0, 1, 1, 1));
  EXPECT_THAT(pipeline(roberta).encode_pair("a b c", "d", 7).ids, ElementsAre(0, 3, 4, 1, 1, 6, 1));
  // No token between, or the texts the other way round: single texts alone can be read.
  for (const std::string& odd : {token("<s>") + text("A", 0) + text("B", 1) +
                                     R"({"SpecialToken": {"id": "</s>", "type_id": 0}})",
                                 token("<s>") + text("B", 0) + token("</s>") +
                                     R"({"Sequence": {"id": "A", "type_id": 1}})"}) {
    const BertPieces pieces = pipeline(odd);
    EXPECT_THAT(pieces.encode("a b"), ElementsAre(3, 4));
    EXPECT_THAT([&] { (void)pieces.encode_pair("a", "b", 9); },
                ThrowsMessage<Error>(HasSubstr("no form for two texts")));
  }
}

TEST(BertPairs, TheLongerTextLosesItsEndFirst) {
  const BertPieces pieces = word_piece();
  const auto lengths = [&](int a, int b, std::int64_t longest) {
    std::string first, second;
    for (int i = 0; i < a; ++i) first += "a ";
    for (int i = 0; i < b; ++i) second += "b ";
    const PiecePair pair = pieces.encode_pair(first, second, longest);
    EXPECT_EQ(static_cast<std::int64_t>(pair.ids.size()),
              std::min<std::int64_t>(longest, a + b + 3));
    EXPECT_EQ(pair.left_out, std::max<std::int64_t>(0, a + b + 3 - longest));
    return std::pair{pair.second - 2, static_cast<std::int64_t>(pair.ids.size()) - pair.second - 1};
  };
  using Two = std::pair<std::int64_t, std::int64_t>;
  EXPECT_EQ(lengths(3, 4, 10), Two(3, 4));
  EXPECT_EQ(lengths(9, 2, 10), Two(5, 2));
  EXPECT_EQ(lengths(2, 9, 10), Two(2, 5));
  EXPECT_EQ(lengths(9, 8, 10), Two(4, 3)) << "the longer has the odd one";
  EXPECT_EQ(lengths(8, 8, 10), Two(3, 4)) << "of equals the second";
  EXPECT_THROW(pieces.encode_pair("a", "b", 4), Error);
}

TEST(BertPairs, ALineIsTwoTextsWithOneTab) {
  EXPECT_THAT(cut_words("a b\tc", WordCut::pair), ElementsAre("a b", "c"));
  EXPECT_THAT(cut_words("a\t", WordCut::pair), ElementsAre("a", ""));
  EXPECT_TRUE(cut_words(" \t ", WordCut::pair).empty());
  for (const char* line : {"a", "a\tb\tc"}) {
    EXPECT_THAT([&] { cut_words(line, WordCut::pair); },
                ThrowsMessage<Error>(HasSubstr("two texts with a tab between")));
  }
}

}  // namespace
}  // namespace qkv

#include "qkv/text/vocabulary.h"

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"

namespace qkv {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

const TokenCounts kCounts = {{"the", 9},  {"cat", 3}, {"bat", 3},
                             {"rare", 1}, {"猫", 3},  {"<eos>", 5}};

TEST(Vocabulary, OrdersByCountThenBytes) {
  const Vocabulary v(kCounts);
  ASSERT_EQ(v.size(), 9);
  EXPECT_EQ(v.token(0), "<pad>");
  EXPECT_EQ(v.token(1), "<unk>");
  EXPECT_EQ(v.token(2), "<bos>");
  EXPECT_EQ(v.token(3), "<eos>");
  EXPECT_EQ(v.token(4), "the");
  EXPECT_EQ(v.token(5), "bat");
  EXPECT_EQ(v.token(6), "cat");
  EXPECT_EQ(v.token(7), "猫");
  EXPECT_EQ(v.token(8), "rare");
  EXPECT_EQ(v.id("cat"), 6);
  EXPECT_EQ(v.count(6), 3);
  EXPECT_EQ(v.id("dog"), Vocabulary::kUnk);
}

TEST(Vocabulary, MinimumCountAndSizeLeaveRareTokensOut) {
  const Vocabulary frequent(kCounts, {.min_count = 3});
  EXPECT_EQ(frequent.size(), 8);
  EXPECT_EQ(frequent.count(Vocabulary::kUnk), 1 + 5);  // "rare" and the forged "<eos>"
  const Vocabulary small(kCounts, {.max_size = 5});
  EXPECT_EQ(small.size(), 5);
  EXPECT_EQ(small.token(4), "the");
  EXPECT_EQ(Vocabulary(kCounts, {.max_size = 2}).size(), 4);
}

TEST(Vocabulary, TextCannotForgeSpecialTokens) {
  const Vocabulary v(kCounts);
  EXPECT_EQ(v.id("<eos>"), Vocabulary::kUnk);
  EXPECT_EQ(v.id("<pad>"), Vocabulary::kUnk);
}

TEST(Vocabulary, SpecialTokensHaveNames) {
  const Vocabulary v({}, {.specials = {"<PAD>", "<UNK>", "<S>", "</S>"}});
  EXPECT_EQ(v.token(3), "</S>");
  EXPECT_THROW(Vocabulary({}, {.specials = {"<x>", "<x>", "<s>", "<t>"}}), Error);
}

TEST(Vocabulary, TokensOutsideThrow) {
  EXPECT_THROW(Vocabulary().token(4), Error);
  EXPECT_THROW(Vocabulary().token(-1), Error);
  EXPECT_THROW(Vocabulary().count(99), Error);
}

TEST(Vocabulary, SurvivesTheDiskWithAwkwardTokens) {
  const Temporary folder;
  const Vocabulary v({{" ", 4}, {"\t", 3}, {"\n", 3}, {"\\n", 2}, {"a\tb", 2}, {"你", 1}});
  v.save(folder / "v.vocab");
  const Vocabulary back = Vocabulary::load(folder / "v.vocab");
  ASSERT_EQ(back.size(), v.size());
  for (std::int32_t i = 0; i < v.size(); ++i) {
    EXPECT_EQ(back.token(i), v.token(i));
    EXPECT_EQ(back.count(i), v.count(i));
  }
  EXPECT_EQ(back.to_text(), v.to_text());
}

TEST(Vocabulary, RefusesBadFilesWithTheLine) {
  const std::string head = "<pad>\t0\n<unk>\t0\n<bos>\t0\n<eos>\t0\n";
  const auto reading = [&](const std::string& text) {
    return [text] { Vocabulary::from_text(text, "x.vocab"); };
  };
  EXPECT_THAT(reading(""), ThrowsMessage<DataError>(HasSubstr("x.vocab: not a vocabulary")));
  EXPECT_THAT(reading(head + "a\t1\nb"),
              ThrowsMessage<DataError>(HasSubstr("x.vocab:6: the last")));
  EXPECT_THAT(reading(head + "a 1\n"), ThrowsMessage<DataError>(HasSubstr("x.vocab:5: expected")));
  EXPECT_THAT(reading(head + "a\tx\n"), ThrowsMessage<DataError>(HasSubstr("not a number")));
  EXPECT_THAT(reading(head + "a\t-1\n"), ThrowsMessage<DataError>(HasSubstr("not a number")));
  EXPECT_THAT(reading(head + "a\t1\na\t1\n"),
              ThrowsMessage<DataError>(HasSubstr(":6: the token occurs twice")));
  EXPECT_THAT(reading(head + "\t1\n"), ThrowsMessage<DataError>(HasSubstr("empty")));
  EXPECT_THAT(reading(head + "\\x\t1\n"), ThrowsMessage<DataError>(HasSubstr(":5:")));
  EXPECT_THAT(reading(head + "\xFF\t1\n"), ThrowsMessage<DataError>(HasSubstr("UTF-8")));
  EXPECT_THROW(Vocabulary::load("/nowhere/x.vocab"), FileError);
}

TEST(UnknownReport, SaysItsNumbers) {
  const UnknownReport report{.tokens = 200, .unknown = 5, .types = 50, .unknown_types = 4};
  EXPECT_DOUBLE_EQ(report.rate(), 0.025);
  EXPECT_EQ(report.summary(), "5 of 200 tokens unknown (2.50 %), 4 of 50 types");
  EXPECT_EQ(UnknownReport{}.rate(), 0.0);
}

}  // namespace
}  // namespace qkv

#include "qkv/data/pairs.h"

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"

namespace qkv {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class Pairs : public testing::Test {
 protected:
  std::string file(const std::string& name, std::string_view text) {
    write_file(folder_ / name, text);
    return (folder_ / name).string();
  }
  Temporary folder_;
};

// A token for every byte.
std::vector<std::int32_t> bytes(std::string_view text) { return {text.begin(), text.end()}; }

TEST_F(Pairs, TwoFiles) {
  const TextPairs pairs = read_pairs(file("a", "one\ntwo\n"), file("b", "eins\nzwei"));
  EXPECT_THAT(pairs.source, ElementsAre("one", "two"));
  EXPECT_THAT(pairs.target, ElementsAre("eins", "zwei"));
  EXPECT_EQ(pairs.report.summary(), "2 pairs read, 2 kept");
}

TEST_F(Pairs, EmptyLinesAreDroppedTogether) {
  const std::string a = file("a", "one\n\n three\n \t\nfive\n"),
                    b = file("b", "1\n2\n3\n4\n\u3000\n");
  const TextPairs pairs = read_pairs(a, b);
  EXPECT_THAT(pairs.source, ElementsAre("one", " three"));
  EXPECT_THAT(pairs.target, ElementsAre("1", "3"));
  EXPECT_EQ(pairs.report.summary(), "5 pairs read, 2 kept; dropped: 3 empty");
  EXPECT_EQ(read_pairs(a, b, {.drop_empty = false}).source.size(), 5u);
}

TEST_F(Pairs, UnequalFilesNameBothCounts) {
  const std::string a = file("a", "1\n2\n3\n"), b = file("b", "1\n2\n3\n4\n5\n");
  EXPECT_THAT([&] { read_pairs(a, b); },
              ThrowsMessage<DataError>(HasSubstr(a + ": has 3 lines but " + b + " has 5;")));
  EXPECT_THAT([&] { read_pairs(b, a); },
              ThrowsMessage<DataError>(HasSubstr(b + ": has 5 lines but " + a + " has 3;")));
  EXPECT_THAT([&] { read_pairs(a, file("none", "")); },
              ThrowsMessage<DataError>(HasSubstr("has 0")));
}

TEST_F(Pairs, EmptyAndMissingFiles) {
  const std::string a = file("a", ""), b = file("b", "");
  EXPECT_THAT([&] { read_pairs(a, b); }, ThrowsMessage<DataError>(HasSubstr("is empty")));
  EXPECT_THAT([&] { read_pairs(a); }, ThrowsMessage<DataError>(HasSubstr("is empty")));
  EXPECT_THROW(read_pairs(a, "/nowhere/b"), FileError);
  EXPECT_THROW(read_pairs("/nowhere/a.tsv"), FileError);
}

TEST_F(Pairs, Tables) {
  const TextPairs pairs = read_pairs(
      file("t.tsv",
           "\xEF\xBB\xBFHi.\t嗨。\tCC-BY 2.0 (France)\r\nRun\t跑\r\n\nno target\t\nx\ty\tz\tw\n"));
  EXPECT_THAT(pairs.source, ElementsAre("Hi.", "Run", "x"));
  EXPECT_THAT(pairs.target, ElementsAre("嗨。", "跑", "y"));
  EXPECT_EQ(pairs.report.read, 5);
  EXPECT_EQ(pairs.report.dropped_empty, 2);
}

TEST_F(Pairs, TablesWithoutTheColumnSayWhere) {
  const std::string t = file("t.tsv", "a\tb\nonly one\n");
  EXPECT_THAT([&] { read_pairs(t); },
              ThrowsMessage<DataError>(HasSubstr(t + ":2: expected source TAB target")));
}

TEST_F(Pairs, EncodingKeepsToTheLimits) {
  const TextPairs text{{"ab", "abcdef", "a", "", "abc"}, {"xy", "x", "wxyz", "x", "xyz"}};
  const TokenPairs all = encode_pairs(text, bytes, bytes);
  EXPECT_EQ(all.size(), 4);
  EXPECT_EQ(all.report.summary(),
            "5 pairs read, 4 kept; dropped: 1 empty; 12 source and 10 target tokens");
  const TokenPairs some = encode_pairs(text, bytes, bytes, {.max_length = 5, .max_ratio = 2.0});
  EXPECT_THAT(some.source, ElementsAre(bytes("ab"), bytes("abc")));
  EXPECT_THAT(some.target, ElementsAre(bytes("xy"), bytes("xyz")));
  EXPECT_EQ(some.report.summary(),
            "5 pairs read, 2 kept; dropped: 1 empty, 1 too long, 1 of unlike lengths; "
            "5 source and 5 target tokens");
}

TEST_F(Pairs, EncodingMayCutOrKeep) {
  const TextPairs text{{"abcdef", ""}, {"x", "y"}};
  const TokenPairs cut =
      encode_pairs(text, bytes, bytes,
                   {.max_length = 3, .too_long = PairLimits::TooLong::cut, .drop_empty = false});
  EXPECT_THAT(cut.source, ElementsAre(bytes("abc"), bytes("")));
  EXPECT_EQ(cut.report.cut, 1);
  EXPECT_EQ(cut.report.kept, 2);
  EXPECT_THROW(encode_pairs(text, bytes, bytes, {.max_ratio = 3.0, .drop_empty = false}), Error);
}

TEST_F(Pairs, ReportsAddUp) {
  const TextPairs text = read_pairs(file("a", "one\n\nthree\n"), file("b", "1\n2\n3\n"));
  const TokenPairs pairs = encode_pairs(text, bytes, bytes, {.max_length = 3});
  EXPECT_EQ(pairs.report.summary(),
            "3 pairs read, 1 kept; dropped: 1 empty, 1 too long; 3 source and 1 target tokens");
}

TEST_F(Pairs, NothingLeftIsAnError) {
  const TextPairs text{{"abc"}, {"xyz"}};
  EXPECT_THAT(
      [&] { encode_pairs(text, bytes, bytes, {.max_length = 2}); },
      ThrowsMessage<Error>(AllOf(HasSubstr("no sentence pair is left"), HasSubstr("1 too long"))));
  EXPECT_THROW(encode_pairs({{"a"}, {}}, bytes, bytes), Error);
}

}  // namespace
}  // namespace qkv

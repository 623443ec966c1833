// Pairs of texts for vectors, and labelled pairs.
#include "qkv/data/sentence_pairs.h"

#include "data/notices.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/data/labelled.h"

namespace qkv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class SentencePairFiles : public ::testing::Test {
 protected:
  std::string file(const char* name, const std::string& bytes) {
    write_file(folder_ / name, bytes);
    return (folder_ / name).string();
  }
  Temporary folder_;
};

TEST_F(SentencePairFiles, TheThirdColumnIsANegativeOrAScore) {
  const SentencePairs two = read_sentence_pairs(file("a", "x y\tz\n\n \tz\nu\tv\n"));
  EXPECT_THAT(two.first, ElementsAre("x y", "u"));
  EXPECT_THAT(two.second, ElementsAre("z", "v"));
  EXPECT_EQ(two.summary(), "4 pairs read; dropped: 2 empty");
  const SentencePairs scored = read_sentence_pairs(file("b", "x\ty\t4.5\nu\tv\t -1e1\n"));
  EXPECT_THAT(scored.scores, ElementsAre(4.5, -10));
  EXPECT_TRUE(scored.negative.empty());
  const SentencePairs three = read_sentence_pairs(file("c", "x\ty\t4.5\nu\tv\tw\n"));
  EXPECT_THAT(three.negative, ElementsAre("4.5", "w"));
  EXPECT_TRUE(three.scores.empty());
}

TEST_F(SentencePairFiles, ColumnsThatDoNotFitSayWhere) {
  for (const auto& [bytes, why] :
       {std::pair{"a\n", ":1: expected text TAB text, and perhaps TAB a negative or a score"},
        std::pair{"a\tb\tc\td\n", "found 4 columns"},
        std::pair{"a\tb\nc\td\te\n", ":2: expected text TAB text as in the first line, found 3"},
        std::pair{"a\tb\t1\nc\td\n", ":2: expected three columns"}, std::pair{"", "holds no pair"},
        std::pair{"\n\t\n", "holds no pair"}}) {
    const std::string bad = file("bad", bytes);
    EXPECT_THAT([&] { read_sentence_pairs(bad); }, ThrowsMessage<DataError>(HasSubstr(why)));
  }
}

TEST_F(SentencePairFiles, SomeAreHeldOut) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "a" + std::to_string(i) + "\tb\t0.5\n";
  const auto split = read_sentence_pair_split({file("a", text)}, {});
  EXPECT_EQ(split.train.size(), 36);
  EXPECT_THAT(split.valid.first, ElementsAre("a9", "a19", "a29", "a39"));
  EXPECT_EQ(split.valid.scores.size(), 4U);
  const std::string unscored = file("b", "x\ty\n"), scored = file("a", text);
  EXPECT_THAT([&] { read_sentence_pair_split({scored}, {unscored}); },
              ThrowsMessage<Error>(HasSubstr("has scores and ")));
}

TEST_F(SentencePairFiles, LabelledPairsNumbersAndSeveralLabels) {
  const LabelledText pairs =
      read_label_table(file("p", "yes\ta b\tc\n\nno\t\td\nno\t \t\n"), {.pairs = true});
  EXPECT_THAT(pairs.labels, ElementsAre("yes", "no"));
  EXPECT_THAT(pairs.texts, ElementsAre("a b\tc", "\td"));
  EXPECT_EQ(pairs.report.dropped_empty, 2);
  EXPECT_THAT(read_label_table(file("n", "1.5\tx\n-2\ty\n"), {.numbers = true}).labels,
              ElementsAre("1.5", "-2"));
  const LabelledText several = read_label_table(file("s", "a, b\tx\n\ty\n"), {.several = true});
  EXPECT_THAT(labels_between_commas(several.labels[0]), ElementsAre("a", "b"));
  EXPECT_TRUE(labels_between_commas(several.labels[1]).empty());
  const auto refused = [&](const char* bytes, const TableForm& form, const char* why) {
    const std::string bad = file("bad", bytes);
    EXPECT_THAT([&] { read_label_table(bad, form); }, ThrowsMessage<DataError>(HasSubstr(why)));
  };
  refused("a\tb\tc\na\tb\n", {.pairs = true}, ":2: expected label TAB text TAB text, found 2 col");
  refused("a\tb\tc\td\n", {.pairs = true}, "found 4 columns");
  refused("1\ta\nx\tb\n", {.numbers = true}, ":2: expected number TAB text, but 'x' is no number");
  refused("nan\ta\tb\n", {.pairs = true, .numbers = true}, "'nan' is no number");
  const Notices said;
  read_label_table(file("t", "a\tb\tc\nb\td\te\n"));
  EXPECT_THAT(said.lines, ElementsAre(HasSubstr("--words pair")));
}

}  // namespace
}  // namespace qkv

// Layouts of files of columns as they are found in the wild: read_columns() of labelled.h.
#include "data/notices.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/data/labelled.h"

namespace qkv {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

class Columns : public testing::Test {
 protected:
  LabelledText read(std::string_view text, const ColumnOptions& columns = {}) {
    write_file(folder_ / "c", text);
    said_.lines.clear();
    return read_columns((folder_ / "c").string(), columns);
  }
  void refused(std::string_view text, const char* why, const ColumnOptions& columns = {}) {
    EXPECT_THAT([&] { read(text, columns); }, ThrowsMessage<Error>(HasSubstr(why))) << text;
  }
  Temporary folder_;
  Notices said_;
};

// --- The words' column ---

TEST_F(Columns, WordsStandBehindAColumnThatCountsThem) {
  const LabelledText text =
      read("1 Paula NNP I-NP B-PER\n2 left VB I-NP O\n\n1 Go VB I-NP O\n2 . . I-NP O\n");
  EXPECT_THAT(text.words, ElementsAre(ElementsAre("Paula", "left"), ElementsAre("Go", ".")));
  EXPECT_THAT(text.tags[0], ElementsAre("B-PER", "O"));
  EXPECT_THAT(said_.lines, ElementsAre(HasSubstr("words are in column 2 (column 1 counts them), "
                                                 "tags in column 5 of 5")));
}

TEST_F(Columns, CountsBeginAtNoughtGoOnOrCarryTheSentence) {
  for (const char* text :
       {"0\ta\tX\n1\tb\tY\n\n0\tc\tX\n", "1 a X\n2 b Y\n\n3 c X\n",
        "s1-1 a X\ns1-2 b Y\n\ns2-1 c X\n", "w1 a X\nw2 b Y\n\nw1 c X\n",
        "1. a X\n2. b Y\n\n1. c X\n", "1) a X\n2) b Y\n\n1) c X\n", "#1 a X\n#2 b Y\n\n#1 c X\n",
        "1 a X\n2 b Y\n1 c X\n", "1-1 a X\n1-2 b Y\n\n2-1 c X\n", "1_1 a X\n1_2 b Y\n\n2_1 c X\n",
        "1\ta\tX\r\n2\tb\tY\r\n\r\n1\tc\tX\r\n"}) {
    EXPECT_THAT(read(text).words, ElementsAre(ElementsAre("a", "b"), ElementsAre("c"))) << text;
  }
}

TEST_F(Columns, GermEvalHasASourceBeforeEachSentence) {
  const LabelledText text = read(
      "#\thttp://de.wikipedia.org/wiki/"
      "X\t[2009-10-17]\n1\tAufgrund\tO\tO\n2\tBerliner\tB-LOCderiv\tO\n"
      "\n#\thttp://de.wikipedia.org/wiki/Y\t[2009-10-18]\n1\tBayern\tB-ORG\tB-LOC\n",
      {.tags = 3});
  EXPECT_THAT(text.words, ElementsAre(ElementsAre("Aufgrund", "Berliner"), ElementsAre("Bayern")));
  EXPECT_THAT(text.tags, ElementsAre(ElementsAre("O", "B-LOCderiv"), ElementsAre("B-ORG")));
  EXPECT_EQ(text.report.comments, 2);
}

TEST_F(Columns, ConllXAnd2009) {
  const LabelledText x = read(
      "1\tThe\tthe\tDT\tDT\t_\t2\tdet\t_\t_\n2\tcat\tcat\tNN\tNN\t_\t0\troot\t_\t_\n", {.tags = 5});
  EXPECT_THAT(x.words[0], ElementsAre("The", "cat"));
  EXPECT_THAT(x.tags[0], ElementsAre("DT", "NN"));
  // Without the column of tags a notice leads to the option.
  read("1\tThe\tthe\tDT\tDT\t_\t2\tdet\t_\t_\n2\tcat\tcat\tNN\tNN\t_\t0\troot\t_\t_\n");
  EXPECT_THAT(said_.lines, Contains(HasSubstr("column 10 holds nothing but '_'; --column says")));
  // As many columns of arguments as a sentence has predicates.
  const LabelledText y =
      read("1\tCats\tcat\tNNS\tA0\n2\tsit\tsit\tVB\t_\n\n1\tGo\tgo\tVB\n", {.tags = 4});
  EXPECT_THAT(y.tags, ElementsAre(ElementsAre("NNS", "VB"), ElementsAre("VB")));
}

TEST_F(Columns, Conll2012NamesDocumentAndPartFirst) {
  const LabelledText text = read(
      "#begin document (bc/cctv/00); part 000\n"
      "bc/cctv/00   0   0   In   IN   O\nbc/cctv/00   0   1   Rome   NNP   B-GPE\n\n"
      "bc/cctv/00   0   0   Yes   UH   O\n\n#end document\n");
  EXPECT_THAT(text.words, ElementsAre(ElementsAre("In", "Rome"), ElementsAre("Yes")));
  EXPECT_THAT(text.tags[0], ElementsAre("O", "B-GPE"));
}

TEST_F(Columns, ConlluByAnotherNameLosesNoWordToItsRanges) {
  const LabelledText text = read(
      "# text = Don't "
      "go\n1-2\tDon't\t_\tO\n1\tDo\tdo\tO\n2\tn't\tnot\tO\n2.1\tx\tx\tO\n3\tgo\tgo\tB\n");
  EXPECT_THAT(text.words, ElementsAre(ElementsAre("Do", "n't", "go")));
  EXPECT_EQ(text.report.ranges, 1);
  EXPECT_EQ(text.report.empty_nodes, 1);
}

TEST_F(Columns, AnOptionSaysWhereWordsAre) {
  const LabelledText text = read("B-PER x Paula\nO x left\n", {.tags = 1, .words = 3});
  EXPECT_THAT(text.words[0], ElementsAre("Paula", "left"));
  EXPECT_THAT(text.tags[0], ElementsAre("B-PER", "O"));
  EXPECT_THAT(read("1 a X\n2 b Y\n", {.words = 1}).words[0], ElementsAre("1", "2"));
  refused("a X\n", "cannot hold words and tags", {.words = 2});
  refused("a X\n", "cannot hold words and tags", {.tags = 1, .words = 1});
  refused("a X\n", "has 2 columns, expected a word and its tag in column 4", {.words = 4});
}

TEST_F(Columns, WhatIsNoWordsColumnLeadsToTheOption) {
  refused("1 X\n2 Y\n3 X\n", "c:1: column 1 only counts");
  refused("B-PER Paula\nO left\nO again\n", "column 1 holds tags such as 'O' where words");
  read("17 x X\n3 x X\n99 y Y\n4 z X\n");
  EXPECT_THAT(said_.lines, Contains(HasSubstr("mostly numbers; --word-column says")));
}

TEST_F(Columns, OrdinaryWordsAndNumbersAreLeftAlone) {
  EXPECT_THAT(read("2 X\ncats X\n1 Y\n").words[0], ElementsAre("2", "cats", "1"));
  EXPECT_THAT(read("a 1 X\nb 2 Y\n").words[0], ElementsAre("a", "b"));  // words, then their count
  EXPECT_THAT(said_.lines, IsEmpty());
}

// --- Comments ---

TEST_F(Columns, CommentsBeforeASentenceArePassedOver) {
  const LabelledText text = read(
      "# id 5c-aa\tdomain=en\nmira _ _ B-PER\nmet _ _ O\n\n# id 5d\tdomain=en\nAl _ _ B-PER\n");
  EXPECT_THAT(text.words, ElementsAre(ElementsAre("mira", "met"), ElementsAre("Al")));
  EXPECT_EQ(text.report.comments, 2);
  EXPECT_THAT(text.report.summary(), HasSubstr("passed over: 2 comments"));
  EXPECT_THAT(said_.lines, Contains(HasSubstr("2 comments")));
}

TEST_F(Columns, CommentsOfOtherStyles) {
  for (const char* comment :
       {"# newdoc\n# sent_id = 3\n", "#comment\n", "## a b c d e\n", "# text = one O\n", "# 17\n",
        "# source\tnews\t12\tx\n", "#begin document (x); part 0\n", "# id 4\n\n", "% a comment\n",
        "%% id x y\n", "// by hand it\n", "; note\n"}) {
    const LabelledText text = read(std::string(comment) + "one O\ntwo B-X\n");
    EXPECT_THAT(text.words, ElementsAre(ElementsAre("one", "two"))) << comment;
    EXPECT_GE(text.report.comments, 1) << comment;
  }
}

TEST_F(Columns, WordsThatBeginWithAHashStay) {
  const LabelledText text =
      read("#sunny\tO\nday\tO\nLomora\tB-LOC\n#\tO\n1\tO\n\n#\tO\n2\tO\n\n@paula\tB-PER\n");
  EXPECT_THAT(text.words, ElementsAre(ElementsAre("#sunny", "day", "Lomora", "#", "1"),
                                      ElementsAre("#", "2"), ElementsAre("@paula")));
  EXPECT_EQ(text.report.comments, 0);
  EXPECT_THAT(read("# #\n5 CD\n").words[0], ElementsAre("#", "5"));  // Penn's tag of the sign
  EXPECT_THAT(read("% NN\n5 CD\n").words[0], ElementsAre("%", "5"));
  EXPECT_THAT(read("#rain HT\nfell VB\n").words[0], ElementsAre("#rain", "fell"));
}

// --- Fields between tabs ---

TEST_F(Columns, FieldsBetweenTabsMayHoldSpaces) {
  const LabelledText text = read("New\tB-LOC\n1 000\tO\n\nPaula Renn\tB-PER\n");
  EXPECT_THAT(text.words, ElementsAre(ElementsAre("New", "1 000"), ElementsAre("Paula Renn")));
  EXPECT_THAT(said_.lines, Contains(HasSubstr("2 words hold spaces")));
}

TEST_F(Columns, TabsAndSpacesMixedAreBlanks) {
  EXPECT_THAT(read("EU NNP O\nsays\tVBZ O\n").words[0], ElementsAre("EU", "says"));
  EXPECT_THAT(read("EU\tNNP O\nsays\tVBZ O\n").tags[0], ElementsAre("O", "O"));
  EXPECT_THAT(read("a\t\tX\nlonger\tY\n").tags[0], ElementsAre("X", "Y"));
  EXPECT_THAT(read("a\tX\t\nb\tY\n").tags[0], ElementsAre("X", "Y"));
}

TEST_F(Columns, FieldsThatAreMissingAreRefused) {
  refused("1 000\tO\nx y\tO\nz\n", "c:3: has 1 columns");
  refused("a\tX\tO\n\t\tO\nb\tX\tO\n", "c:2: ");
}

TEST_F(Columns, TagsAreTrimmedOfEverySpace) {
  EXPECT_THAT(read("a B-X\u00A0\nb O\n").tags[0], ElementsAre("B-X", "O"));
}

TEST_F(Columns, NoBreakSpacesDoNotPart) {
  EXPECT_THAT(read("10\u00A0000 O\na\u3000b O\nc\u2003d B\n").words[0],
              ElementsAre("10\u00A0000", "a\u3000b", "c\u2003d"));
}

// --- Tags ---

TEST_F(Columns, TagsOfOtherSchemesBecomeIob2) {
  const LabelledText text = read("Mira U-PER\nvan B-PER\nder I-PER\nLo L-PER\nmet O\n");
  EXPECT_THAT(text.tags[0], ElementsAre("B-PER", "B-PER", "I-PER", "I-PER", "O"));
  EXPECT_THAT(said_.lines, ElementsAre(AllOf(HasSubstr("BILOU"), HasSubstr("'L-PER'"))));
}

TEST_F(Columns, ASlipAmongTagsOfSpansIsRefusedWithItsLine) {
  std::string text;
  for (int i = 0; i < 30; ++i) text += "Mira B-PER\nmet O\n\n";
  refused(text + "# a comment\nx O\nLomora LOC\n",
          "c:93: 'LOC' is no tag of spans as 30 others are");
  refused(text + "x O\nLomora B_LOC\n", "c:92: 'B_LOC' is no tag of spans");
}

TEST_F(Columns, TagsThatAreMostlyNoSpansArePlainAndThatIsSaid) {
  const LabelledText text = read("a B-PER\nb X\nc X\nd B-PER\n");
  EXPECT_THAT(text.tags[0], ElementsAre("B-PER", "X", "X", "B-PER"));
  EXPECT_THAT(said_.lines, ElementsAre(HasSubstr("c:2: 'X' (and 1 more) is no tag of spans")));
  read("Paula PER\nleft O\n");
  EXPECT_THAT(said_.lines, ElementsAre(HasSubstr("tags such as 'PER' have no letter")));
  read("Paula (PER*\nRenn *)\n");
  EXPECT_THAT(said_.lines, ElementsAre(HasSubstr("tags such as '(PER*' have no letter")));
  read("the DT\ncat NN\n( (\n");
  EXPECT_THAT(said_.lines, IsEmpty());
}

}  // namespace
}  // namespace qkv

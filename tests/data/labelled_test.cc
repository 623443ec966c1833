#include "qkv/data/labelled.h"

#include "data/notices.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/data/tag_scheme.h"

namespace qkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class Labelled : public testing::Test {
 protected:
  std::string file(const std::string& name, std::string_view text) {
    write_file(folder_ / name, text);
    return (folder_ / name).string();
  }
  Temporary folder_;
};

TEST_F(Labelled, Columns) {
  const std::string path = file("c",
                                "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects\tVBZ I-VP O\r\n"
                                "\n \t\n\nPeter NNP I-NP I-PER");
  const LabelledText text = read_columns(path);
  EXPECT_THAT(text.words, ElementsAre(ElementsAre("EU", "rejects"), ElementsAre("Peter")));
  EXPECT_THAT(text.tags, ElementsAre(ElementsAre("I-ORG", "O"), ElementsAre("I-PER")));
  EXPECT_EQ(text.report.summary(), "2 sentences read, 3 tokens; passed over: 1 document marks");
  EXPECT_THAT(read_columns(path, {.tags = 2}).tags,
              ElementsAre(ElementsAre("NNP", "VBZ"), ElementsAre("NNP")));
  EXPECT_THROW(read_columns(path, {.tags = -1}), Error);
}

TEST_F(Labelled, ColumnsThatDoNotFitSayWhere) {
  const auto refused = [&](const std::string& bytes, std::int64_t column, const char* why) {
    const std::string path = file("c", bytes);
    EXPECT_THAT([&] { read_columns(path, {.tags = column}); },
                ThrowsMessage<DataError>(HasSubstr(path + why)))
        << bytes;
  };
  refused("a X\nb\n", 0, ":2: has 1 columns, expected a word and its tag in column 2");
  refused("a X Y\nb Y\n", 0, ":2: has 2 columns, the lines before have 3");
  refused("a X\nb X\n", 4, ":1: has 2 columns, expected a word and its tag in column 4");
  refused("\n\n", 0, ": holds no sentence");
  refused("", 0, ": holds no sentence");
  refused("a X\n\xFF X\n", 0, ":2: byte 1 is not UTF-8");
}

TEST_F(Labelled, Conllu) {
  const std::string path = file("u",
                                "# text = Don't go\n1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_\n"
                                "1\tDo\tdo\tAUX\tVB\tMood=Imp\t3\taux\t_\t_\n"
                                "2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_\n"
                                "2.1\tx\tx\tX\tX\t_\t_\t_\t_\t_\n"
                                "3\tgo now\tgo\tVERB\tVB\t_\t0\troot\t_\t_\n\n"
                                "1\tHi\thi\tINTJ\tUH\t_\t0\troot\t_\t_\n");
  const LabelledText text = read_conllu(path);
  EXPECT_THAT(text.words, ElementsAre(ElementsAre("Do", "n't", "go now"), ElementsAre("Hi")));
  EXPECT_THAT(text.tags, ElementsAre(ElementsAre("AUX", "PART", "VERB"), ElementsAre("INTJ")));
  EXPECT_EQ(text.report.summary(),
            "2 sentences read, 4 tokens; passed over: 1 word ranges, 1 empty nodes, 1 comments");
  EXPECT_EQ(read_conllu(path, "xpos").tags[0][1], "RB");
  EXPECT_EQ(read_conllu(path, "feats").tags[0][1], "_");
  EXPECT_EQ(read_conllu(path, "deprel").tags[1][0], "root");
  EXPECT_THAT([&] { read_conllu(path, "pos"); },
              ThrowsMessage<Error>(HasSubstr("one of upos, xpos")));
}

TEST_F(Labelled, ConlluThatDoesNotFitSaysWhere) {
  const auto refused = [&](const std::string& bytes, const char* why) {
    const std::string path = file("u", bytes);
    EXPECT_THAT([&] { read_conllu(path); }, ThrowsMessage<DataError>(HasSubstr(path + why)))
        << bytes;
  };
  const std::string good = "1\tHi\thi\tINTJ\tUH\t_\t0\troot\t_\t_\n";
  refused(good + "2\tthere\n", ":2: has 2 fields between tabs, CoNLL-U has 10");
  refused(good + good, ":2: word 1 stands where 2 is due");
  refused(good + "two\tb\t_\tX\t_\t_\t_\t_\t_\t_\n", ":2: 'two' is no word number");
  refused(good + "2-\tb\t_\tX\t_\t_\t_\t_\t_\t_\n", ":2: '2-' is no word number");
  refused(good + "2\t\t_\tX\t_\t_\t_\t_\t_\t_\n", ":2: the form (field 2) is empty");
  refused(good + "2\tb\t_\t_\t_\t_\t_\t_\t_\t_\n", ":2: the word 'b' has no upos");
  refused("# only a comment\n", ": holds no sentence");
}

TEST_F(Labelled, Slots) {
  file("seq.in", "fly to  boston \n\nhi\n");
  file("seq.out", "O O B-city\n\nO\n");
  file("label", "flight\n\ngreet\n");
  const LabelledText text = read_slots(folder_.path().string());
  EXPECT_THAT(text.words, ElementsAre(ElementsAre("fly", "to", "boston"), ElementsAre("hi")));
  EXPECT_THAT(text.tags, ElementsAre(ElementsAre("O", "O", "B-city"), ElementsAre("O")));
  EXPECT_THAT(text.labels, ElementsAre("flight", "greet"));
  EXPECT_EQ(text.report.summary(), "3 sentences read, 4 tokens; dropped: 1 empty");
  EXPECT_THROW(read_slots((folder_ / "none").string()), FileError);
}

TEST_F(Labelled, FieldsBetweenTabsMayHoldSpaces) {
  file("seq.in", "fly to\tNew York\nhi\n");
  file("seq.out", "O\tB-city name\nO\n");
  file("label", " book a flight\u00A0\ngreet\n");
  const LabelledText text = read_slots(folder_.path().string());
  EXPECT_THAT(text.words[0], ElementsAre("fly to", "New York"));
  EXPECT_THAT(text.tags[0], ElementsAre("O", "B-city name"));
  EXPECT_THAT(text.labels, ElementsAre("book a flight", "greet"));
  EXPECT_THAT(read_label_table(file("t", "very good \tfine\nbad\t no\n")).labels,
              ElementsAre("very good", "bad"));
}

TEST_F(Labelled, SlotsInAnotherSchemeBecomeIob2) {
  file("seq.in", "to New York\n");
  file("seq.out", "O B-city L-city\n");
  file("label", "flight\n");
  const Notices said;
  EXPECT_THAT(read_slots(folder_.path().string()).tags[0], ElementsAre("O", "B-city", "I-city"));
  EXPECT_EQ(said.lines.size(), 1u);
}

TEST_F(Labelled, ManyLabelsForFewTextsAreSaid) {
  const Notices said;
  read_label_table(file("t", "a\tpos\nb\tneg\nc\tpos\n"));
  EXPECT_THAT(said.lines, ElementsAre(HasSubstr("3 labels for 2 texts")));
}

TEST_F(Labelled, SlotsThatDoNotFitSayWhere) {
  const auto refused = [&](const char* words, const char* tags, const char* labels,
                           const std::string& why) {
    const std::string a = file("w", words), b = file("t", tags), c = file("l", labels);
    EXPECT_THAT([&] { read_slots(a, b, c); }, ThrowsMessage<DataError>(HasSubstr(why))) << why;
  };
  refused("a b\nc\n", "O O\nO O\n", "x\ny\n", "t:2: has 2 tags for the 1 words of");
  refused("a\n", "O\n", "\n", "l:1: expected a label");
  refused("a\t\tb\n", "O O O\n", "x\n", "w:1: word 2 of 3 is empty");
  refused("a b c\n", "O\t\tO\n", "x\n", "t:1: tag 2 of 3 is empty");
  refused("a\nb\nc\n", "O\nO\n", "x\n", "has 3 lines,");
  refused("", "", "", "holds no sentence");
}

TEST_F(Labelled, Table) {
  const std::string path = file("t", "\xEF\xBB\xBFpos\tvery good\n\nneg\t \nneg\tbad\tworse\r\n");
  const LabelledText text = read_label_table(path);
  EXPECT_THAT(text.labels, ElementsAre("pos", "neg"));
  EXPECT_THAT(text.texts, ElementsAre("very good", "bad\tworse"));
  EXPECT_EQ(text.report.summary(), "4 sentences read, 4 tokens; dropped: 2 empty");
  for (const auto& [bytes, why] :
       {std::pair{"a\tb\nno tab\n", ":2: expected label TAB text, found no"},
        std::pair{"\ttext\n", ":1: expected label TAB text, found nothing"},
        std::pair{"a text\tpos\nno text\tpos\n", ": 2 labels for 1 texts; a line is label TAB"},
        std::pair{"", ": holds no sentence"}}) {
    const std::string bad = file("b", bytes);
    EXPECT_THAT([&] { read_label_table(bad); }, ThrowsMessage<DataError>(HasSubstr(bad + why)));
  }
}

// --- Tags of spans ---

TEST(TagScheme, SpansAreReadInEveryScheme) {
  const std::vector<TagSpan> spans = {{"X", 0, 2}, {"X", 2, 3}, {"Y", 4, 5}};
  const std::vector<std::pair<TagScheme, Tags>> forms = {
      {TagScheme::iob1, {"I-X", "I-X", "B-X", "O", "I-Y"}},
      {TagScheme::iob2, {"B-X", "I-X", "B-X", "O", "B-Y"}},
      {TagScheme::iobes, {"B-X", "E-X", "S-X", "O", "S-Y"}}};
  for (const auto& [scheme, tags] : forms) {
    EXPECT_EQ(spans_of(tags), spans) << name_of(scheme);
    EXPECT_EQ(tags_of(spans, 5, scheme), tags) << name_of(scheme);
    EXPECT_EQ(scheme_of(name_of(scheme)), scheme);
    const auto detected = detect_scheme(std::vector<Tags>{tags});
    ASSERT_TRUE(detected.has_value());
    EXPECT_EQ(detected->scheme, scheme);
    EXPECT_EQ(detected->irregular, 0);
    for (const auto& [other, expected] : forms) EXPECT_EQ(convert_tags(tags, other), expected);
  }
  EXPECT_THROW(scheme_of("bio"), Error);
}

TEST(TagScheme, AnyTagsHaveAMeaning) {
  EXPECT_EQ(spans_of(Tags{"I-X", "I-Y", "E-Y", "I-Y"}),
            (std::vector<TagSpan>{{"X", 0, 1}, {"Y", 1, 3}, {"Y", 3, 4}}));
  EXPECT_EQ(spans_of(Tags{"B", "I", "O"}), (std::vector<TagSpan>{{"", 0, 2}}));
  EXPECT_EQ(spans_of(Tags{"B-a-b.c"}), (std::vector<TagSpan>{{"a-b.c", 0, 1}}));
  EXPECT_TRUE(spans_of(Tags{}).empty());
  for (const char* tag : {"", "NOUN", "B-", "BX", "X-Y", "o"}) {
    EXPECT_FALSE(is_span_tag(tag)) << tag;
    EXPECT_THROW(spans_of(Tags{tag}), Error) << tag;
  }
}

TEST(TagScheme, DetectionCountsWhatIsOutOfPlace) {
  EXPECT_FALSE(detect_scheme(std::vector<Tags>{{"NOUN", "O"}}).has_value());
  EXPECT_FALSE(detect_scheme(std::vector<Tags>{{"O", "O"}, {}}).has_value());
  const auto mixed = detect_scheme(std::vector<Tags>{{"B-X", "I-X", "O", "B-X", "O", "I-X"}});
  ASSERT_TRUE(mixed.has_value());
  EXPECT_EQ(mixed->scheme, TagScheme::iob2);
  EXPECT_EQ(mixed->irregular, 1);
}

TEST(TagScheme, SpansThatOverlapOrLeaveTheSentenceAreRefused) {
  using Spans = std::vector<TagSpan>;
  EXPECT_THROW(tags_of(Spans{{"X", 0, 2}, {"Y", 1, 3}}, 3, TagScheme::iob2), Error);
  EXPECT_THROW(tags_of(Spans{{"X", 0, 4}}, 3, TagScheme::iob2), Error);
  EXPECT_THROW(tags_of(Spans{{"X", 1, 1}}, 3, TagScheme::iob2), Error);
}

// Every sequence that the rules allow is written back as it stands, and no other is.
TEST(TagScheme, RulesAllowExactlyWhatTheSchemeWrites) {
  for (const TagScheme scheme : {TagScheme::iob1, TagScheme::iob2, TagScheme::iobes}) {
    const Tags tags = {"O", "B-X", "I-X", "E-X", "S-X", "B-Y", "I-Y", "E-Y", "S-Y"};
    const LegalTransitions rules = legal_transitions(tags, scheme);
    const std::int64_t n = rules.tags;
    for (std::int64_t code = 0; code < n * n * n; ++code) {
      const std::int64_t a = code / (n * n), b = code / n % n, c = code % n;
      const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
      const Tags sequence = {tags[at(a)], tags[at(b)], tags[at(c)]};
      const bool legal = rules.starts[at(a)] != 0 && rules.may_follow(a, b) &&
                         rules.may_follow(b, c) && rules.ends[at(c)] != 0;
      EXPECT_EQ(legal, convert_tags(sequence, scheme) == sequence)
          << name_of(scheme) << ": " << sequence[0] << " " << sequence[1] << " " << sequence[2];
    }
  }
}

}  // namespace
}  // namespace qkv

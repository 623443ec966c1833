// Scores of spans against conlleval's printed lines, and of classes against counts by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/eval/classification.h"
#include "qkv/eval/spans.h"

namespace qkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Spans, CountsAreThoseOfConlleval) {
  // By hand: gold PER [0,2) LOC [3,4), ORG [0,1) ORG [1,2), MISC [1,3); predicted PER [0,2)
  // LOC [2,4), ORG [0,2), PER [1,3).
  const std::vector<Tags> gold = {
      {"B-PER", "I-PER", "O", "B-LOC"}, {"B-ORG", "B-ORG"}, {"O", "B-MISC", "I-MISC"}};
  const std::vector<Tags> predicted = {
      {"B-PER", "I-PER", "B-LOC", "I-LOC"}, {"B-ORG", "I-ORG"}, {"O", "B-PER", "I-PER"}};
  const SpanReport report = score_spans(gold, predicted);
  EXPECT_EQ(report.all.gold, 5);
  EXPECT_EQ(report.all.found, 4);
  EXPECT_EQ(report.all.correct, 1);
  EXPECT_EQ(report.types.at("PER").found, 2);
  EXPECT_EQ(report.types.at("MISC").gold, 1);
  EXPECT_EQ(report.text(),
            "processed 9 tokens with 5 phrases; found: 4 phrases; correct: 1.\n"
            "accuracy:  44.44%; precision:  25.00%; recall:  20.00%; FB1:  22.22\n"
            "              LOC: precision:   0.00%; recall:   0.00%; FB1:   0.00  1\n"
            "             MISC: precision:   0.00%; recall:   0.00%; FB1:   0.00  0\n"
            "              ORG: precision:   0.00%; recall:   0.00%; FB1:   0.00  1\n"
            "              PER: precision:  50.00%; recall: 100.00%; FB1:  66.67  2\n"
            "sentences: 0 of 3 right (0.00%)\n");
  const auto json = nlohmann::json::parse(report.json());
  EXPECT_DOUBLE_EQ(json["types"]["PER"]["recall"], 100.0);
  EXPECT_DOUBLE_EQ(json["precision"], 25.0);
}

TEST(Spans, TheSchemeDoesNotMatter) {
  const std::vector<Tags> gold = {{"I-X", "I-X", "B-X", "O", "I-Y"}};
  for (const TagScheme scheme : {TagScheme::iob1, TagScheme::iob2, TagScheme::iobes}) {
    EXPECT_DOUBLE_EQ(score_spans(gold, std::vector<Tags>{convert_tags(gold[0], scheme)}).all.f1(),
                     100.0);
  }
}

TEST(Spans, NothingFoundIsZeroNotNaN) {
  const SpanReport report = score_spans(std::vector<Tags>{{"O"}}, std::vector<Tags>{{"O"}});
  EXPECT_EQ(report.all.f1(), 0.0);
  EXPECT_EQ(report.sentence_accuracy(), 100.0);
}

TEST(Spans, UnlikeInputsAreRefused) {
  const std::vector<Tags> one = {{"O"}}, two = {{"O"}, {"O"}}, longer = {{"O", "O"}},
                          pos = {{"NOUN"}};
  EXPECT_THAT([&] { score_spans(one, two); },
              ThrowsMessage<Error>(HasSubstr("1 sentences of gold tags but 2")));
  EXPECT_THAT([&] { score_spans(one, longer); },
              ThrowsMessage<Error>(HasSubstr("sentence 1 has 1 gold tags but 2")));
  EXPECT_THAT([&] { score_spans(one, pos); }, ThrowsMessage<Error>(HasSubstr("'NOUN'")));
  EXPECT_THROW(score_spans({}, {}), Error);
}

TEST(Classes, ConfusionAndRates) {
  // Rows gold, columns predicted: a: 2 a, 1 b; b: 1 b; c is only predicted, d only gold.
  const std::vector<std::string> gold = {"a", "a", "a", "b", "d"};
  const std::vector<std::string> predicted = {"a", "b", "a", "b", "c"};
  const ClassReport report = score_classes(gold, predicted);
  EXPECT_THAT(report.labels, ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(report.confusion, ElementsAre(2, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0));
  EXPECT_DOUBLE_EQ(report.accuracy(), 60.0);
  EXPECT_DOUBLE_EQ(report.f1(0), 80.0);         // precision 1, recall 2/3
  EXPECT_NEAR(report.f1(1), 200.0 / 3, 1e-12);  // precision 1/2, recall 1
  EXPECT_NEAR(report.macro_f1(), (80.0 + 200.0 / 3) / 4, 1e-12);
  EXPECT_NEAR(report.balanced_accuracy(), (200.0 / 3 + 100.0 + 0.0) / 3, 1e-12);
  EXPECT_THAT(report.text(),
              HasSubstr("gold \\ predicted  a  b  c  d\na                 2  1  0  0\n"));
  EXPECT_EQ(report.text(3).find("gold \\"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(report.json())["confusion"][3][2], 1);
  EXPECT_THROW(score_classes(gold, std::vector<std::string>{"a"}), Error);
  EXPECT_THROW(score_classes({}, {}), Error);
}

}  // namespace
}  // namespace qkv

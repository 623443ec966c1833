#include "qkv/eval/error_rate.h"

#include <cmath>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using Lines = std::vector<std::string>;
const Lines kReferences = {"zero one two three", "five", "nine nine nine"};
const Lines kHypotheses = {"zero two two three four", "five five", "nine"};

TEST(ErrorRate, SumsOverTheSet) {
  const ErrorReport words = error_rate(kReferences, kHypotheses, ErrorUnit::word);
  EXPECT_EQ(words.counts.errors(), 5);
  EXPECT_EQ(words.counts.reference, 8);
  EXPECT_NEAR(words.rate(), .625, 1e-12);
  EXPECT_EQ(words.counts.substitutions, 1);
  EXPECT_EQ(words.counts.deletions, 2);
  EXPECT_EQ(words.counts.insertions, 2);
  EXPECT_EQ(words.lines, 3);
  EXPECT_EQ(words.right, 0);
  EXPECT_EQ(words.confusions.at({"one", "two"}), 1);
  EXPECT_EQ(words.confusions.at({"nine", ""}), 2);
  EXPECT_EQ(words.confusions.at({"", "four"}), 1);
  const ErrorReport characters = error_rate(kReferences, kHypotheses, ErrorUnit::character);
  EXPECT_EQ(characters.counts.errors(), 23);
  EXPECT_EQ(characters.counts.reference, 36);
  EXPECT_NEAR(characters.rate(), .638889, 1e-6);
}

TEST(ErrorRate, CountsWhatHasNoReferenceApart) {
  const ErrorReport r = error_rate(Lines{"", "a b"}, Lines{"x y", "a b"}, ErrorUnit::word);
  EXPECT_EQ(r.counts.insertions, 2);
  EXPECT_EQ(r.counts.reference, 2);
  EXPECT_EQ(r.empty_references, 1);
  EXPECT_EQ(r.empty_insertions, 2);
  EXPECT_EQ(r.right, 1);
  EXPECT_TRUE(std::isinf(error_rate(Lines{""}, Lines{"x"}, ErrorUnit::word).rate()));
  EXPECT_EQ(error_rate(Lines{""}, Lines{" "}, ErrorUnit::word).rate(), 0);
  EXPECT_TRUE(
      nlohmann::json::parse(error_rate(Lines{""}, Lines{"x"}, ErrorUnit::word).json())["rate"]
          .is_null());
}

TEST(ErrorRate, CanExceedOne) {
  EXPECT_EQ(error_rate(Lines{"a"}, Lines{"b c d"}, ErrorUnit::word).rate(), 3);
}

TEST(ErrorRate, ReadsCharactersAndSingleBlanks) {
  EXPECT_EQ(error_rate(Lines{"ä  ö"}, Lines{"ä ö "}, ErrorUnit::character).counts.errors(), 0);
  EXPECT_EQ(error_rate(Lines{"äö"}, Lines{"ä ö"}, ErrorUnit::character).counts.insertions, 1);
  EXPECT_EQ(error_rate(Lines{"A"}, Lines{"a"}, ErrorUnit::word).counts.substitutions, 1);
  EXPECT_EQ(error_rate(Lines{"A"}, Lines{"a"}, ErrorUnit::word, true).counts.errors(), 0);
}

TEST(ErrorRate, OfEqualAlignmentsTakesSubstitutionsThenDeletions) {
  using Units = std::vector<std::string_view>;
  const ErrorCounts c = count_errors(Units{"a", "b"}, Units{"b", "c"});
  EXPECT_EQ(c.substitutions, 2);  // not b kept, a left out and c put in
  EXPECT_EQ(c.errors(), 2);
}

TEST(ErrorRate, RefusesLinesThatDoNotPair) {
  EXPECT_THROW(error_rate(Lines{"a"}, Lines{}, ErrorUnit::word), Error);
  EXPECT_THROW(error_rate(Lines{}, Lines{}, ErrorUnit::word), Error);
}

TEST(ErrorRate, SaysItInLines) {
  const std::string text = error_rate(kReferences, kHypotheses, ErrorUnit::word).text();
  EXPECT_TRUE(text.starts_with("WER 62.50 % (5 of 8): 1 substituted, 2 left out, 2 put in\n"))
      << text;
  EXPECT_NE(text.find("2  'nine' → -\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace qkv

// One list of options: fields are set from text, within their bounds, and told again.
#include "qkv/base/options.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qkv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

enum class Speed : std::uint8_t { slow, very_fast };
constexpr std::array<std::string_view, 2> spelling(Speed) { return {"slow", "very_fast"}; }
constexpr std::array<std::string_view, 2> synonyms(Speed) { return {"walking", "running"}; }

struct Recipe {
  double rate = 1e-3;
  std::int64_t warm_up = 10;
  std::uint64_t seed = 1;
  int beam = 4;
  bool bidirectional = false;
  Speed speed = Speed::slow;
  std::string name;
  std::vector<std::string> files;
  std::optional<double> clip;
  std::int64_t vocabulary = 0;  // not to be set

  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    visit({"rate", "Peak learning rate", positive()}, r.rate);
    visit({"warm_up", "Updates until the peak", between(0, 100)}, r.warm_up);
    visit({"seed", "Of the weights"}, r.seed);
    visit({"beam", "Width of the beam", between(1, 1e12)}, r.beam);
    visit({"bidirectional", "Both ways"}, r.bidirectional);
    visit({"speed", "How fast", {}, "pace"}, r.speed);
    visit({"name", "For people"}, r.name);
    visit({"files", "Texts", between(1, 2)}, r.files);
    visit({"clip", "Largest norm", non_negative()}, r.clip);
    visit({"vocabulary"}, r.vocabulary);
  }
};

OptionField& field(std::vector<OptionField>& fields, std::string_view flag) {
  return *std::find_if(fields.begin(), fields.end(),
                       [&](const OptionField& f) { return f.flag == flag; });
}

std::string refusal(Recipe& r, std::string_view flag, const std::string& value) {
  std::vector<OptionField> fields = fields_of(r);
  try {
    field(fields, flag).set(std::vector<std::string>{value}, "--" + std::string(flag));
  } catch (const UsageError& e) {
    return e.what();
  }
  return "";
}

TEST(Options, AreSetFromTextAndToldAgain) {
  Recipe r;
  std::vector<OptionField> fields = fields_of(r);
  const auto set = [&](std::string_view flag, std::vector<std::string> values) {
    field(fields, flag).set(values, "x");
  };
  set("rate", {"0.25"});
  set("warm-up", {"7"});
  set("seed", {"18446744073709551615"});
  set("bidirectional", {"yes"});
  set("pace", {"very-fast"});
  set("name", {"a b"});
  set("files", {"a", "b"});
  set("clip", {"2"});
  EXPECT_EQ(r.rate, 0.25);
  EXPECT_EQ(r.warm_up, 7);
  EXPECT_EQ(r.seed, 18446744073709551615U);
  EXPECT_TRUE(r.bidirectional);
  EXPECT_EQ(r.speed, Speed::very_fast);
  EXPECT_THAT(r.files, ElementsAre("a", "b"));
  EXPECT_EQ(r.clip, 2.0);
  EXPECT_EQ(field(fields, "rate").get(), "0.25");
  EXPECT_EQ(field(fields, "pace").get(), "very_fast");
  EXPECT_EQ(field(fields, "files").get(), "a b");
  set("pace", {"walking"});
  EXPECT_EQ(r.speed, Speed::slow);
}

TEST(Options, RefuseValuesOutsideTheirBoundsWithTheBounds) {
  Recipe r;
  EXPECT_EQ(refusal(r, "rate", "-1"), "--rate: '-1' is not a number above 0");
  EXPECT_EQ(refusal(r, "warm-up", "101"), "--warm-up: '101' is not a whole number in [0, 100]");
  EXPECT_EQ(refusal(r, "seed", "-1"), "--seed: '-1' is not a whole number of at least 0");
  EXPECT_EQ(refusal(r, "pace", "quick"), "--pace: 'quick' is not one of slow, very_fast");
  EXPECT_EQ(r.rate, 1e-3);
}

TEST(Options, RefuseWhatIsNoNumberOfTheirType) {
  Recipe r;
  for (const char* text : {"nan", "inf", "1e999", "0x10", " 1", "1 ", "", "1,5", "1e3x"}) {
    EXPECT_NE(refusal(r, "rate", text), "") << text;
  }
  for (const char* text : {"1.5", "1e1", "9223372036854775808", "+3", ""}) {
    EXPECT_NE(refusal(r, "warm-up", text), "") << text;
  }
  EXPECT_THAT(refusal(r, "beam", "4294967297"), HasSubstr("not a whole number"));  // an int
  EXPECT_NE(refusal(r, "bidirectional", "maybe"), "");
}

TEST(Options, OneValueWhereOneIsWanted) {
  Recipe r;
  std::vector<OptionField> fields = fields_of(r);
  const std::vector<std::string> two = {"1", "2"}, three = {"a", "b", "c"};
  EXPECT_THROW(field(fields, "rate").set(two, "--rate"), UsageError);
  EXPECT_THROW(field(fields, "files").set(three, "--files"), UsageError);
}

TEST(Options, FilledByCodeAreCheckedToo) {
  Recipe r;
  check_ranges(r);
  r.warm_up = 1000;
  EXPECT_THROW(check_ranges(r), UsageError);
}

}  // namespace
}  // namespace qkv

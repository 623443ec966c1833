#include "qkv/text/stop_texts.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

/// What is told of a text that comes in pieces of `size` bytes; what is told early is checked to be
/// a beginning of the whole.
std::string told(const std::vector<std::string>& stops, const std::string& text, std::size_t size) {
  StopTexts stop(stops);
  std::string all;
  for (std::size_t at = 0; at < text.size(); at += size) all += stop.add(text.substr(at, size));
  const bool stopped = stop.stopped();
  const std::string rest = stop.finish();
  EXPECT_TRUE(!stopped || rest.empty());
  return all + rest;
}

TEST(StopTexts, HoweverTheTextIsCutTheSameIsTold) {
  struct Case {
    std::vector<std::string> stops;
    const char *text, *told;
  };
  const Case cases[] = {
      {{}, "all of it", "all of it"},
      {{""}, "all of it", "all of it"},
      {{"END"}, "one END two", "one "},
      {{"END"}, "ENENDE", "EN"},
      {{"END"}, "one EN", "one EN"},
      {{"aab"}, "aaab", "a"},
      {{"abab"}, "ababab", ""},
      {{"abcd", "bc"}, "abcd", "a"},  // bc is whole first
      {{"bc", "abc"}, "xabc", "x"},   // both end there, the longer counts
      {{"\n\n", "User:"}, "a\nb\n\nUser:", "a\nb"},
      {{"\xE2\x82\xAC"}, "5 \xE2\x82\xAC", "5 "},
  };
  for (const Case& c : cases) {
    for (std::size_t size = 1; size < 12; ++size) {
      EXPECT_EQ(told(c.stops, c.text, size), c.told) << c.text << " by " << size;
    }
  }
}

TEST(StopTexts, OnlyWhatCouldBeABeginningWaits) {
  StopTexts stop({"END"});
  EXPECT_EQ(stop.add("one E"), "one ");
  EXPECT_EQ(stop.add("N"), "");
  EXPECT_EQ(stop.add("d"), "ENd");
  EXPECT_EQ(stop.add("E"), "");
  EXPECT_EQ(stop.add("ND more"), "");
  EXPECT_TRUE(stop.stopped());
  EXPECT_EQ(stop.add("more"), "");
  EXPECT_EQ(stop.finish(), "");
}

}  // namespace
}  // namespace qkv

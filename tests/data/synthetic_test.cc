#include "qkv/data/synthetic.h"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

bool holds(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

TEST(Puzzle, TagsAndLabelsSayWhatTheyShould) {
  const LabelledText parity = make_puzzle(Puzzle::parity, 50, 1, {3, 8, 3});
  for (std::size_t i = 0; i < 50; ++i) {
    std::map<std::string, int> seen;
    for (std::size_t t = 0; t < parity.words[i].size(); ++t) {
      EXPECT_EQ(parity.tags[i][t], ++seen[parity.words[i][t]] % 2 == 1 ? "odd" : "even");
    }
  }
  const LabelledText first = make_puzzle(Puzzle::first, 50, 1, {10, 30, 8});
  for (std::size_t i = 0; i < 50; ++i) {
    EXPECT_EQ(first.tags[i].size(), first.words[i].size());
    for (const std::string& tag : first.tags[i]) EXPECT_EQ(tag, first.words[i][0]);
  }
  const LabelledText both = make_puzzle(Puzzle::both, 400, 1, {5, 20, 8});
  int yes = 0;
  for (std::size_t i = 0; i < 400; ++i) {
    const bool is = holds(both.words[i], "a") && holds(both.words[i], "b");
    EXPECT_EQ(both.labels[i], is ? "yes" : "no");
    yes += is;
  }
  EXPECT_NEAR(yes, 200, 40);
}

TEST(Puzzle, IsDrawnByItsSeedWithinItsBounds) {
  const PuzzleOptions options{.shortest = 4, .longest = 6, .alphabet = 5};
  for (const Puzzle puzzle : {Puzzle::parity, Puzzle::first, Puzzle::both}) {
    const LabelledText a = make_puzzle(puzzle, 100, 1, options),
                       more = make_puzzle(puzzle, 120, 1, options),
                       b = make_puzzle(puzzle, 100, 2, options);
    EXPECT_TRUE(std::equal(a.words.begin(), a.words.end(), more.words.begin()));
    EXPECT_NE(a.words, b.words);
    EXPECT_EQ(a.report.read, 100);
    std::size_t shortest = 9, longest = 0;
    std::string last = "a";
    for (const auto& words : a.words) {
      shortest = std::min(shortest, words.size());
      longest = std::max(longest, words.size());
      for (const std::string& word : words) last = std::max(last, word);
    }
    EXPECT_EQ(shortest, 4U);
    EXPECT_EQ(longest, 6U);
    EXPECT_EQ(last, "e");
  }
}

TEST(Puzzle, OptionsThatLeaveNoChoiceThrow) {
  EXPECT_THROW((void)make_puzzle(Puzzle::parity, 1, 1, {1, 8, 3}), Error);
  EXPECT_THROW((void)make_puzzle(Puzzle::parity, 1, 1, {5, 4, 3}), Error);
  EXPECT_THROW((void)make_puzzle(Puzzle::parity, 1, 1, {3, 8, 1}), Error);
  EXPECT_THROW((void)make_puzzle(Puzzle::both, 1, 1, {3, 8, 2}), Error);
  EXPECT_THROW((void)make_puzzle(Puzzle::both, 1, 1, {3, 8, 27}), Error);
}

}  // namespace
}  // namespace qkv

#include "qkv/decode/bans.h"

#include <set>

#include "decode/toy_model.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/decode/search.h"

namespace qkv {
namespace {

using Ids = std::vector<std::int32_t>;

TEST(Bans, WhatWouldRepeatASequence) {
  const Bans two = {.no_repeat_ngram_size = 2};
  EXPECT_EQ(two.after(Ids{}), Ids{});
  EXPECT_EQ(two.after(Ids{4}), Ids{});
  EXPECT_EQ(two.after(Ids{4, 5, 6, 4}), Ids{5});
  EXPECT_EQ(two.after(Ids{4, 5, 4, 6, 4}), (Ids{5, 6}));
  EXPECT_EQ(two.after(Ids{4, 4}), Ids{4});
  EXPECT_EQ((Bans{.no_repeat_ngram_size = 1}.after(Ids{4, 5})), (Ids{4, 5}));
  EXPECT_EQ((Bans{.no_repeat_ngram_size = 3}.after(Ids{1, 2, 3, 1, 2})), Ids{3});
  EXPECT_EQ((Bans{.no_repeat_ngram_size = 1'000'000'000}.after(Ids{1, 1, 1})), Ids{});
  EXPECT_THROW((void)Bans{.no_repeat_ngram_size = -1}.after(Ids{}), Error);
}

TEST(Bans, WhatWouldCompleteASequence) {
  const Bans bans = {.sequences = {{4, 5}, {4, 4, 7}, {9, 4, 8}}};
  EXPECT_EQ(bans.after(Ids{}), Ids{});
  EXPECT_EQ(bans.after(Ids{4}), Ids{5});
  EXPECT_EQ(bans.after(Ids{4, 4}), (Ids{5, 7}));
  EXPECT_EQ(bans.after(Ids{9, 4}), (Ids{5, 8}));
  EXPECT_EQ(bans.after(Ids{4, 6}), Ids{});
  EXPECT_THROW((void)Bans{.sequences = {{4}}}.after(Ids{}), Error);
}

TEST(Bans, NoHypothesisOfASearchHasThem) {
  const test::ToyModel model;
  const Tokens source = {3, 4, 5};
  SearchOptions o;
  o.beam = o.n_best = 4;
  o.max_length = 8;
  const auto pairs_of = [](const Tokens& tokens) {
    std::vector<std::pair<std::int32_t, std::int32_t>> pairs;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i)
      pairs.emplace_back(tokens[i], tokens[i + 1]);
    return pairs;
  };
  const auto found = [&] { return search(model, std::span<const Tokens>(&source, 1), o).front(); };
  const auto free = found();
  const auto first = pairs_of(free.front().tokens);
  ASSERT_FALSE(first.empty());
  o.bans.sequences = {{first[0].first, first[0].second}};
  for (const Hypothesis& h : found()) {
    EXPECT_EQ(std::ranges::count(pairs_of(h.tokens), first[0]), 0);
  }
  o.bans = {.no_repeat_ngram_size = 2};
  o.min_length = 8;
  for (const Hypothesis& h : found()) {
    const auto pairs = pairs_of(h.tokens);
    EXPECT_EQ((std::set(pairs.begin(), pairs.end())).size(), pairs.size());
    EXPECT_EQ(h.tokens.size(), 8u);
  }
}

}  // namespace
}  // namespace qkv

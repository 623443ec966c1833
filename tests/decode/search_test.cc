#include "qkv/decode/search.h"

#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "decode/toy_model.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/decode/score.h"

namespace qkv {
namespace {

using test::ToyModel;

struct Complete {
  Tokens tokens;
  double sum, score;
};

// Every sentence that the model and the limits allow, best first.
std::vector<Complete> enumerate(const ToyModel& model, const Tokens& source,
                                const SearchOptions& options, std::size_t max) {
  std::vector<Complete> all;
  const std::function<void(const Tokens&, double)> visit = [&](const Tokens& prefix, double sum) {
    const auto next = model.log_probabilities(source, prefix);
    const std::size_t length = prefix.size() - 1;
    if (length >= static_cast<std::size_t>(options.min_length)) {
      const double whole = sum + static_cast<double>(next[static_cast<std::size_t>(options.eos)]);
      all.push_back({Tokens(prefix.begin() + 1, prefix.end()), whole,
                     whole / options.penalty(static_cast<std::int64_t>(length) + 1)});
    }
    if (length == max) return;
    for (std::size_t v = 0; v < next.size(); ++v) {
      const auto id = static_cast<std::int32_t>(v);
      if (id == options.eos || std::ranges::count(options.suppressed, id) > 0) continue;
      Tokens longer = prefix;
      longer.push_back(id);
      visit(longer, sum + static_cast<double>(next[v]));
    }
  };
  visit({options.bos}, 0.0);
  std::ranges::stable_sort(all, std::greater<>(), &Complete::score);
  return all;
}

SearchOptions limited(std::int64_t max) {
  SearchOptions o;
  o.max_length = max;
  return o;
}

TEST(Search, WideBeamIsExhaustive) {
  const ToyModel model;
  for (const auto kind : {LengthPenalty::Kind::power, LengthPenalty::Kind::gnmt}) {
    for (const double alpha : {-0.5, 0.0, 0.6, 1.0, 2.0}) {
      SearchOptions o = limited(4);
      o.penalty = {.kind = kind, .alpha = alpha};
      o.suppressed = {1};
      o.beam = 400;  // more than 1 + 3 + 9 + 27 + 81 sentences
      o.n_best = 20;
      o.stop = Stop::exact;
      for (std::int32_t word = 0; word < 5; ++word) {
        const Tokens source = {word, 3};
        const auto expected = enumerate(model, source, o, 4);
        const auto found = search(model, std::vector<Tokens>{source}, o).at(0);
        ASSERT_EQ(found.size(), 20u);
        for (std::size_t i = 0; i < found.size(); ++i) {
          EXPECT_EQ(found[i].tokens, expected[i].tokens);
          EXPECT_EQ(found[i].log_probability, expected[i].sum);
          EXPECT_EQ(found[i].score, expected[i].score);
        }
      }
    }
  }
}

TEST(Search, CoverageRanksWholeSentences) {
  // The toy looks at source token `last token mod length`; the penalty is worked out by hand.
  const ToyModel model;
  int changed = 0;
  for (std::int32_t word = 0; word < 5; ++word) {
    const std::vector<Tokens> source = {{word, 3}};
    SearchOptions o = limited(3);
    o.suppressed = {1};
    o.beam = 400;
    o.n_best = 20;
    o.stop = Stop::exact;
    auto expected = enumerate(model, source[0], o, 3);
    const Tokens before = expected.front().tokens;
    o.coverage = 0.3;
    for (Complete& c : expected) {
      bool seen[3] = {false, true, false};  // by <bos>, which is 1
      for (const std::int32_t id : c.tokens) seen[id % 3] = true;
      for (const bool word_seen : {seen[0], seen[1]}) {
        if (!word_seen) c.score += 0.3 * std::log(1e-4);
      }
    }
    std::ranges::stable_sort(expected, std::greater<>(), &Complete::score);
    const auto found = search(model, source, o).at(0);
    ASSERT_EQ(found.size(), 20u);
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].tokens, expected[i].tokens);
      EXPECT_NEAR(found[i].score, expected[i].score, 1e-12);
      EXPECT_TRUE(found[i].attention.empty());
      const Hypothesis again = score(model, source, std::vector<Tokens>{found[i].tokens}, o)[0];
      EXPECT_EQ(again.score, found[i].score);
      EXPECT_TRUE(again.attention.empty());
    }
    changed += found.front().tokens != before;
  }
  EXPECT_GE(changed, 1);
}

TEST(Search, CoverageIsWhatSourceTokensReceived) {
  const std::vector<float> attention = {0.5f, 0.25f, 0.25f, 0.75f, 0.0f, 0.25f};
  const std::vector<double> coverage = coverage_of(attention, 3);
  EXPECT_EQ(coverage, (std::vector<double>{1.25, 0.25, 0.5}));
  EXPECT_DOUBLE_EQ(coverage_penalty(coverage), std::log(0.25));  // the last is <eos>
  EXPECT_EQ(coverage_penalty(std::vector<double>{0.0}), 0.0);
  EXPECT_TRUE(coverage_of({}, 0).empty());
}

TEST(Search, ExactStopLosesNothingAgainstTheWholeWalk) {
  // The bound ends the search early, yet nothing beyond could have won: with the bound switched off
  // by asking for more hypotheses the best ones are the same.
  ToyModel model;
  model.sharpness = 5;
  for (std::int32_t word = 0; word < 50; ++word) {
    SearchOptions o = limited(8);
    o.beam = 6;
    o.stop = Stop::exact;
    o.penalty.alpha = 0.3;
    const std::vector<Tokens> source = {{word}};
    model.rows_computed = 0;
    const auto early = search(model, source, o).at(0);
    const auto cheap = std::exchange(model.rows_computed, 0);
    o.n_best = 6;
    const auto all = search(model, source, o).at(0);
    EXPECT_EQ(early.at(0).tokens, all.at(0).tokens);
    EXPECT_EQ(early.at(0).score, all.at(0).score);
    EXPECT_LE(cheap, model.rows_computed);
  }
}

TEST(Search, BeamOfOneIsGreedy) {
  const ToyModel model;
  for (std::int32_t word = 0; word < 50; ++word) {
    const Tokens source = {word};
    Tokens prefix = {1};
    std::vector<float> scores;
    double sum = 0;
    while (true) {
      const auto next = model.log_probabilities(source, prefix);
      auto best = static_cast<std::int32_t>(std::ranges::max_element(next) - next.begin());
      if (prefix.size() == 13) best = 2;  // 2·1 + 10 tokens
      scores.push_back(next[static_cast<std::size_t>(best)]);
      sum += static_cast<double>(scores.back());
      if (best == 2) break;
      prefix.push_back(best);
    }
    const auto found = search(model, std::vector<Tokens>{source}, {.beam = 1}).at(0).at(0);
    EXPECT_EQ(found.tokens, Tokens(prefix.begin() + 1, prefix.end()));
    EXPECT_EQ(found.token_scores, scores);
    EXPECT_EQ(found.log_probability, sum);
    EXPECT_EQ(found.score, sum / static_cast<double>(scores.size()));
  }
}

TEST(Search, NBestIsSortedAndDistinct) {
  const ToyModel model;
  for (const Stop stop : {Stop::full, Stop::likely, Stop::exact}) {
    const auto found =
        search(model, std::vector<Tokens>{{3, 4, 3}}, {.beam = 5, .n_best = 5, .stop = stop}).at(0);
    ASSERT_EQ(found.size(), 5u);
    std::set<Tokens> seen;
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_TRUE(seen.insert(found[i].tokens).second);
      if (i > 0) {
        EXPECT_GE(found[i - 1].score, found[i].score);
      }
      double sum = 0;
      Tokens prefix = {1};
      for (std::size_t t = 0; t <= found[i].tokens.size(); ++t) {
        const std::int32_t id = t < found[i].tokens.size() ? found[i].tokens[t] : 2;
        const float score =
            model.log_probabilities({3, 4, 3}, prefix)[static_cast<std::size_t>(id)];
        EXPECT_EQ(found[i].token_scores.at(t), score);
        sum += static_cast<double>(score);
        prefix.push_back(id);
      }
      EXPECT_EQ(found[i].log_probability, sum);
    }
  }
}

TEST(Search, NeighboursChangeNothing) {
  ToyModel model;
  model.words = 9;
  std::vector<Tokens> sources;
  for (std::int32_t i = 0; i < 20; ++i) {
    sources.push_back(Tokens(static_cast<std::size_t>(i % 5), 3 + i % 4));
    sources.back().push_back(i);
  }
  const SearchOptions o = {.beam = 3, .n_best = 2, .min_length = 2};
  const auto together = search(model, sources, o);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto alone = search(model, std::vector<Tokens>{sources[i]}, o).at(0);
    ASSERT_EQ(alone.size(), together[i].size());
    for (std::size_t n = 0; n < alone.size(); ++n) {
      EXPECT_EQ(alone[n].tokens, together[i][n].tokens);
      EXPECT_EQ(alone[n].score, together[i][n].score);
      EXPECT_EQ(alone[n].token_scores, together[i][n].token_scores);
    }
  }
}

TEST(Search, LengthLimits) {
  ToyModel model;
  model.eos_bonus = -20;  // never ends by itself
  const std::vector<Tokens> sources = {{3, 4, 3}, {4}};
  auto lengths = [&](const SearchOptions& o) {
    std::vector<std::size_t> result;
    for (const auto& found : search(model, sources, o)) result.push_back(found[0].tokens.size());
    return result;
  };
  using Lengths = std::vector<std::size_t>;
  EXPECT_EQ(lengths({}), (Lengths{16, 12}));
  EXPECT_EQ(lengths(limited(5)), (Lengths{5, 5}));
  EXPECT_EQ(lengths({.max_factor = 1.5, .max_extra = 0}), (Lengths{4, 1}));
  EXPECT_EQ(lengths({.max_factor = 0.0, .max_extra = 0}), (Lengths{1, 1}));
  model.longest = 7;
  EXPECT_EQ(lengths({}), (Lengths{7, 7}));
  model.longest = 100;
  model.eos_bonus = 20;  // ends at once
  EXPECT_EQ(lengths({}), (Lengths{0, 0}));
  EXPECT_EQ(lengths({.min_length = 3}), (Lengths{3, 3}));
  EXPECT_EQ(lengths({.min_factor = 2.0, .min_length = 1}), (Lengths{7, 3}));
  EXPECT_EQ(lengths({.max_length = 2, .min_length = 3}), (Lengths{2, 2}));
}

TEST(Search, SuppressedIdsNeverAppear) {
  const ToyModel model;
  SearchOptions o = limited(6);
  o.beam = o.n_best = 4;
  o.suppressed = {0, 1, 3};
  const auto results = search(model, std::vector<Tokens>{{3}}, o);
  for (const auto& h : results.at(0)) {
    for (std::int32_t id : h.tokens) EXPECT_EQ(id, 4);
  }
}

TEST(Search, AttentionFollowsItsHypothesis) {
  const ToyModel model;
  const std::vector<Tokens> sources = {{3, 4, 3, 3}, {4}};
  const auto results = search(model, sources, {.beam = 4, .n_best = 4, .attention = true});
  for (std::size_t s = 0; s < sources.size(); ++s) {
    for (const Hypothesis& h : results[s]) {
      ASSERT_EQ(h.sources, static_cast<std::int64_t>(sources[s].size()) + 1);
      ASSERT_EQ(h.attention.size(), (h.tokens.size() + 1) * static_cast<std::size_t>(h.sources));
      std::int32_t last = 1;
      for (std::size_t t = 0; t <= h.tokens.size(); ++t) {
        for (std::int64_t j = 0; j < h.sources; ++j) {
          EXPECT_EQ(
              h.attention[t * static_cast<std::size_t>(h.sources) + static_cast<std::size_t>(j)],
              j == last % h.sources ? 1.0f : 0.0f);
        }
        if (t < h.tokens.size()) last = h.tokens[t];
      }
    }
  }
  EXPECT_TRUE(search(model, sources, {})[0][0].attention.empty());
}

TEST(Search, TiesGoToTheLowerId) {
  ToyModel model;
  model.sharpness = 0;  // all equal
  SearchOptions o = limited(1);
  o.beam = 5;
  o.n_best = 5;
  const auto found = search(model, std::vector<Tokens>{{3}}, o).at(0);
  ASSERT_EQ(found.size(), 5u);
  EXPECT_EQ(found[0].tokens, Tokens{});  // fewer factors
  // −2·log 5 / 2 each, in order of the ids
  EXPECT_EQ(found[1].tokens, Tokens{0});
  EXPECT_EQ(found[2].tokens, Tokens{1});
  EXPECT_EQ(found[3].tokens, Tokens{3});
  EXPECT_EQ(found[4].tokens, Tokens{4});
}

TEST(Search, VocabularySmallerThanTheBeam) {
  ToyModel model;
  model.words = 4;
  SearchOptions o = limited(1);
  o.beam = o.n_best = 50;
  EXPECT_EQ(search(model, std::vector<Tokens>{{3}}, o).at(0).size(), 4u);  // nothing, 0, 1, 3
}

TEST(Search, NothingInNothingOut) {
  EXPECT_TRUE(search(ToyModel(), std::vector<Tokens>{}, {}).empty());
  EXPECT_EQ(search(ToyModel(), std::vector<Tokens>{{}}, {}).at(0).size(), 1u);
}

TEST(Search, BadOptionsAndSourcesThrow) {
  const ToyModel model;
  const std::vector<Tokens> source = {{3}};
  EXPECT_THROW(search(model, source, {.beam = 0}), Error);
  EXPECT_THROW(search(model, source, {.beam = 2, .n_best = 3}), Error);
  EXPECT_THROW(search(model, source, {.n_best = 0}), Error);
  EXPECT_THROW(search(model, source, {.eos = 9}), Error);
  EXPECT_THROW(search(model, source, {.suppressed = {2}}), Error);
  EXPECT_THROW(search(model, source, {.suppressed = {5}}), Error);
  EXPECT_THROW(search(model, source, {.suppressed = {0, 1, 3, 4}}), Error);
  EXPECT_THROW(search(model, source, {.max_factor = -1}), Error);
  EXPECT_THROW(search(model, source, {.max_length = -1}), Error);
  EXPECT_THROW(search(model, std::vector<Tokens>{Tokens(101, 3)}, {}), Error);
}

TEST(Search, NaNIsReported) {
  ToyModel model;
  model.sharpness = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(search(model, std::vector<Tokens>{{3}}, {}), NumericError);
}

}  // namespace
}  // namespace qkv

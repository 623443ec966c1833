#include "qkv/data/batching.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

using testing::ElementsAre;

std::vector<ExampleLength> some_lengths(std::int64_t count) {
  Philox random(3);
  std::vector<ExampleLength> lengths;
  for (std::int64_t i = 0; i < count; ++i) {
    lengths.push_back({static_cast<std::int64_t>(1 + random.below(40)),
                       static_cast<std::int64_t>(1 + random.below(50))});
  }
  return lengths;
}

void expect_whole(const BatchPlan& plan, std::span<const ExampleLength> lengths,
                  std::int64_t max_tokens) {
  std::vector<int> seen(lengths.size());
  for (const std::vector<std::int64_t>& batch : plan) {
    EXPECT_FALSE(batch.empty());
    std::int64_t source = 0, target = 0;
    for (const std::int64_t i : batch) {
      ++seen.at(static_cast<std::size_t>(i));
      source += lengths[static_cast<std::size_t>(i)].source;
      target += lengths[static_cast<std::size_t>(i)].target;
    }
    if (batch.size() > 1) {
      EXPECT_LE(std::max(source, target), max_tokens);
    }
  }
  EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));
}

TEST(PlanEpoch, EveryExampleOnceWithinTheBudget) {
  const std::vector<ExampleLength> lengths = some_lengths(5000);
  for (const std::int64_t bucket : {0, 1, 100, 100000}) {
    for (const std::int64_t epoch : {0, 1, 7}) {
      const BatchPlan plan = plan_epoch(lengths, {.max_tokens = 1000, .bucket = bucket}, epoch);
      expect_whole(plan, lengths, 1000);
      EXPECT_LT(plan.size(), 160u);  // 5000 · 25.5 / 1000 = 128 full ones
    }
  }
}

TEST(PlanEpoch, IsAFunctionOfSeedAndEpoch) {
  const std::vector<ExampleLength> lengths = some_lengths(500);
  for (const std::int64_t bucket : {0, 50}) {
    const BatchOptions options{.max_tokens = 300, .seed = 5, .bucket = bucket};
    BatchOptions other = options;
    other.seed = 6;
    const BatchPlan plan = plan_epoch(lengths, options, 2);
    EXPECT_EQ(plan_epoch(lengths, options, 2), plan);
    EXPECT_NE(plan_epoch(lengths, options, 3), plan);
    EXPECT_NE(plan_epoch(lengths, other, 2), plan);
  }
}

TEST(PlanEpoch, StaysTheSameFromReleaseToRelease) {
  // A run saved by an older program must find its batches again.
  const std::vector<ExampleLength> lengths(10, {1, 1});
  EXPECT_THAT(plan_epoch(lengths, {.max_tokens = 4, .seed = 1}, 0),
              ElementsAre(ElementsAre(6, 1, 5, 2), ElementsAre(8, 3, 9, 0), ElementsAre(7, 4)));
}

TEST(PlanEpoch, BucketsPutLikeLengthsTogether) {
  const std::vector<ExampleLength> lengths = some_lengths(4000);
  const auto spread = [&](std::int64_t bucket) {
    std::int64_t sum = 0;
    for (const auto& batch : plan_epoch(lengths, {.max_tokens = 500, .bucket = bucket}, 0)) {
      std::int64_t low = 1000, high = 0;
      for (const std::int64_t i : batch) {
        low = std::min(low, lengths[static_cast<std::size_t>(i)].target);
        high = std::max(high, lengths[static_cast<std::size_t>(i)].target);
      }
      sum += high - low;
    }
    return sum;
  };
  EXPECT_LT(4 * spread(1000), spread(0));
}

TEST(PlanEpoch, LongExamplesStandAlone) {
  const std::vector<ExampleLength> lengths = {{3, 3}, {3, 100}, {100, 3}, {3, 3}, {10, 10}};
  const BatchPlan plan = plan_epoch(lengths, {.max_tokens = 10}, 0);
  expect_whole(plan, lengths, 10);
  EXPECT_GE(plan.size(), 4u);
}

TEST(PlanInOrder, CutsWhereTheBudgetEnds) {
  const std::vector<ExampleLength> lengths = {{4, 1}, {4, 1}, {4, 1}, {1, 9}, {1, 9}, {0, 0}};
  EXPECT_THAT(plan_in_order(lengths, 10),
              ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3), ElementsAre(4, 5)));
  EXPECT_THAT(plan_in_order(lengths, 1000, 4),
              ElementsAre(ElementsAre(0, 1, 2, 3), ElementsAre(4, 5)));
}

TEST(PlanByLength, LongestFirstTiesInOrder) {
  const std::vector<ExampleLength> lengths = {{1, 2}, {5, 0}, {1, 7}, {1, 2}, {2, 2}};
  EXPECT_THAT(plan_by_length(lengths, 8),
              ElementsAre(ElementsAre(2), ElementsAre(4, 0, 3), ElementsAre(1)));
}

TEST(Plans, OfNothingAndOfNonsense) {
  EXPECT_TRUE(plan_epoch({}, {}, 0).empty());
  EXPECT_TRUE(plan_in_order({}, 10).empty());
  const std::vector<ExampleLength> one = {{1, 1}};
  const std::vector<ExampleLength> bad = {{-1, 1}};
  EXPECT_THROW(plan_epoch(one, {.max_tokens = 0}, 0), Error);
  EXPECT_THROW(plan_in_order(bad, 10), Error);
}

}  // namespace
}  // namespace qkv

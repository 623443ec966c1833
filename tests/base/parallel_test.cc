#include "qkv/base/parallel.h"

#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace qkv {
namespace {

/// How often each of n items was visited.
std::vector<int> visits(std::int64_t n, std::int64_t grain) {
  std::vector<int> seen(static_cast<std::size_t>(n));
  parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
  });
  return seen;
}

TEST(ParallelFor, VisitsEachItemOnceWhateverTheThreads) {
  for (const int team : {1, 2, 3, 7}) {
    const ThreadScope scope(team);
    for (const std::int64_t n : {0, 1, 2, 63, 64, 65, 1000}) {
      EXPECT_EQ(visits(n, 8), std::vector<int>(static_cast<std::size_t>(n), 1)) << team << " " << n;
    }
  }
}

TEST(ParallelFor, VisitsEachItemOnceWhenFewerThreadsComeThanWereAskedFor) {
  const ThreadScope scope(4);
  const int levels = omp_get_max_active_levels();
  omp_set_max_active_levels(0);  // every region gets one thread
  EXPECT_EQ(visits(1000, 8), std::vector<int>(1000, 1));
  omp_set_max_active_levels(levels);
}

TEST(ParallelFor, HandsOnTheFirstException) {
  for (const int team : {1, 3}) {
    const ThreadScope scope(team);
    EXPECT_THROW(parallel_for(100, 1,
                              [](std::int64_t i, std::int64_t) {
                                if (i == 50) throw std::invalid_argument("fifty");
                              }),
                 std::invalid_argument);
  }
}

TEST(Threads, AreBounded) {
  EXPECT_GE(processors(), 1);
  EXPECT_GE(threads(), 1);
  const ThreadScope scope(1'000'000);
  EXPECT_LE(threads(), std::max(16, processors()));
  EXPECT_EQ(visits(1000, 1), std::vector<int>(1000, 1));
}

TEST(ThreadScope, NestsAndEnds) {
  const int before = threads();
  {
    const ThreadScope outer(3);
    EXPECT_EQ(threads(), 3);
    {
      const ThreadScope inner(2);
      EXPECT_EQ(threads(), 2);
      const ThreadScope nothing(0);
      EXPECT_EQ(threads(), 2);
    }
    EXPECT_EQ(threads(), 3);
  }
  EXPECT_EQ(threads(), before);
}

TEST(ThreadScope, HoldsForItsThreadAlone) {
  std::vector<int> seen(6);
  std::vector<std::thread> askers;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    askers.emplace_back([&seen, i] {
      const ThreadScope scope(static_cast<int>(i) + 1);
      for (int round = 0; round < 50; ++round) {
        const std::vector<int> each = visits(100, 10);
        seen[i] += std::accumulate(each.begin(), each.end(), 0);
      }
      if (threads() != static_cast<int>(i) + 1) seen[i] = -1;
    });
  }
  for (std::thread& t : askers) t.join();
  EXPECT_EQ(seen, std::vector<int>(6, 5000));
}

}  // namespace
}  // namespace qkv

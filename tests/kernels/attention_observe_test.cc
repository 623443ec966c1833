#include <numeric>

#include "kernels/attention_cases.h"
#include <gtest/gtest.h>

#include "qkv/kernels/attention/observe.h"

namespace qkv {
namespace {

using testing::Problem;

kernels::AttendObserved observed(const Problem<float>& p) {
  return {p.plan, p.n.heads, p.n.kv_heads, p.n.dim, p.q.data(), p.k.data(), p.scale};
}

TEST(Observe, WeightsTimesValuesAreTheOutput) {
  const auto plan = testing::make_plan({{9, 12}, {30, 30}}, testing::sees_odd);
  Problem<float> p(plan, {4, 2, 10, 3}, 1);
  p.run();
  for (std::int64_t head = 0; head < 4; ++head) {
    std::vector<float> weights(39 * 42, -1.0f);
    kernels::attend_weights(observed(p), head, 0, 39, {0, 42}, weights.data());
    for (std::size_t i = 0; i < 39; ++i) {
      for (std::size_t e = 0; e < 3; ++e) {
        float sum = 0;
        for (std::size_t j = 0; j < 42; ++j) {
          sum += weights[i * 42 + j] * p.v[(j * 2 + static_cast<std::size_t>(head) / 2) * 3 + e];
        }
        ASSERT_NEAR(sum, p.out[(i * 4 + static_cast<std::size_t>(head)) * 3 + e], 1e-5f);
      }
    }
  }
}

TEST(Observe, SummaryAgreesWithTheWeights) {
  const auto plan = testing::make_plan({{5, 3}, {20, 20}}, testing::sees_causal);  // 2 empty rows
  Problem<float> p(plan, {2, 1, 6, 1}, 2);
  p.run();
  std::vector<std::int32_t> keys(25 * 2 * 4);
  std::vector<float> strongest(25 * 2 * 4), entropy(50), most(50), lse(50), received(23 * 2);
  kernels::attend_summary(observed(p), {4, keys.data(), strongest.data(), entropy.data(),
                                        most.data(), lse.data(), received.data()});
  for (std::size_t head = 0; head < 2; ++head) {
    std::vector<float> weights(25 * 23), column(23, 0.0f);
    kernels::attend_weights(observed(p), static_cast<std::int64_t>(head), 0, 25, {0, 23},
                            weights.data());
    for (std::size_t i = 0; i < 25; ++i) {
      const std::size_t at = i * 2 + head;
      std::vector<float> row(weights.begin() + static_cast<std::ptrdiff_t>(i * 23),
                             weights.begin() + static_cast<std::ptrdiff_t>(i * 23 + 23));
      float bits = 0;
      for (std::size_t j = 0; j < 23; ++j) {
        if (row[j] > 0) bits -= row[j] * std::log(row[j]);
        column[j] += row[j];
      }
      ASSERT_NEAR(entropy[at], bits, 1e-5f);
      const bool empty = std::accumulate(row.begin(), row.end(), 0.0f) == 0.0f;
      EXPECT_EQ(empty, i < 2);
      if (empty) {
        EXPECT_EQ(keys[at * 4], -1);
        EXPECT_EQ(most[at], -std::numeric_limits<float>::infinity());
        EXPECT_EQ(lse[at], -std::numeric_limits<float>::infinity());
        continue;
      }
      ASSERT_NEAR(lse[at], p.lse[at], 1e-5f);
      ASSERT_NEAR(strongest[at * 4], std::exp(most[at] - lse[at]), 1e-6f);
      for (std::size_t n = 0; n < 4; ++n) {
        const std::int32_t key = keys[at * 4 + n];
        if (key >= 0) {
          EXPECT_EQ(strongest[at * 4 + n], row[static_cast<std::size_t>(key)]);
        } else {
          EXPECT_EQ(strongest[at * 4 + n], 0.0f);
        }
        if (n > 0) {
          EXPECT_LE(strongest[at * 4 + n], strongest[at * 4 + n - 1]);
        }
      }
    }
    for (std::size_t j = 0; j < 23; ++j) ASSERT_NEAR(received[j * 2 + head], column[j], 1e-5f);
  }
}

TEST(Observe, TiesGoToTheEarlierKey) {
  const auto plan = testing::make_plan({{1, 5}}, testing::sees_all);
  Problem<float> p(plan, {1, 1, 2, 1}, 2);
  std::fill(p.k.begin(), p.k.end(), 1.0f);
  std::vector<std::int32_t> keys(3);
  kernels::attend_summary(observed(p), {.top = 3, .top_keys = keys.data()});
  EXPECT_EQ(keys, (std::vector<std::int32_t>{0, 1, 2}));
}

}  // namespace
}  // namespace qkv

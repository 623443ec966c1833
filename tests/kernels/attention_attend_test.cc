// The streaming kernels against their definition in double, over the sizes and masks at which tiles
// go wrong.
#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <utility>

#include "kernels/attention_cases.h"
#include <gtest/gtest.h>

#include "qkv/base/parallel.h"

namespace qkv {
namespace {

using kernels::AttendPlan;
using testing::Heads;
using testing::Lengths;
using testing::Problem;

double largest(const std::vector<double>& x) {
  double most = 0;
  for (double value : x) {
    if (std::isfinite(value)) most = std::max(most, std::abs(value));
  }
  return most;
}

/// Every element within `tolerance` · (1 + the largest reference value); infinities equal.
void expect_near(const char* what, const std::vector<float>& got, const std::vector<double>& want,
                 double tolerance) {
  ASSERT_EQ(got.size(), want.size()) << what;
  const double bound = tolerance * (1 + largest(want));
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double x = static_cast<double>(got[i]);
    if (std::isinf(want[i]) ? x == want[i] : std::abs(x - want[i]) <= bound) continue;
    FAIL() << what << "[" << i << "] is " << x << ", not " << want[i] << " ± " << bound;
  }
}

void expect_equals_definition(const AttendPlan& plan, Heads n, double dropout = 0.0,
                              bool with_dlse = false, double size = 1.0, double tolerance = 4e-6) {
  Problem<float> fast(plan, n, 1, size);
  Problem<double> exact(plan, n, 1, size);
  if (dropout > 0) fast.dropout = exact.dropout = Dropout::make(dropout, 99);
  fast.run(with_dlse);
  exact.run_definition(with_dlse);
  expect_near("out", fast.out, exact.out, tolerance);
  expect_near("lse", fast.lse, exact.lse, tolerance);
  expect_near("dq", fast.dq, exact.dq, tolerance);
  expect_near("dk", fast.dk, exact.dk, tolerance);
  expect_near("dv", fast.dv, exact.dv, tolerance);
}

TEST(Attend, EqualsItsDefinitionAtEveryWidth) {
  const AttendPlan plan =
      testing::make_plan({{17, 33}, {0, 3}, {5, 0}, {70, 66}}, testing::sees_causal);
  for (const std::int64_t dim : {1, 3, 8, 15, 16, 17, 31, 32, 33, 64, 65, 100, 128, 129, 200}) {
    SCOPED_TRACE("D " + std::to_string(dim));
    expect_equals_definition(plan, {2, 2, dim, dim});
  }
}

TEST(Attend, EqualsItsDefinitionAtEveryLength) {
  for (const std::int64_t queries : {0, 1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 129}) {
    for (const std::int64_t keys : {0, 1, 2, 15, 16, 17, 33, 63, 64, 65, 129, 200}) {
      SCOPED_TRACE(std::to_string(queries) + " queries, " + std::to_string(keys) + " keys");
      expect_equals_definition(testing::make_plan({{queries, keys}}, testing::sees_all),
                               {1, 1, 7, 5});
      expect_equals_definition(testing::make_plan({{queries, keys}}, testing::sees_causal),
                               {1, 1, 7, 5});
    }
  }
}

TEST(Attend, EqualsItsDefinitionUnderEveryMask) {
  const std::vector<Lengths> sequences = {{3, 4}, {100, 140}, {0, 0}, {1, 1}, {65, 65}, {140, 70}};
  int index = 0;
  for (const auto& sees :
       {testing::Sees(testing::sees_all), testing::Sees(testing::sees_causal),
        testing::Sees(testing::sees_window_and_prefix), testing::Sees(testing::sees_odd)}) {
    SCOPED_TRACE("mask " + std::to_string(index++));
    const AttendPlan plan = testing::make_plan(sequences, sees);
    expect_equals_definition(plan, {3, 3, 24, 24});
    expect_equals_definition(plan, {2, 2, 32, 32}, 0.2);
    expect_equals_definition(plan, {2, 2, 32, 32}, 0.0, true);
  }
}

TEST(Attend, GroupsHeadsAndTakesOtherValueWidths) {
  const AttendPlan plan = testing::make_plan({{40, 50}, {7, 7}}, testing::sees_causal);
  for (const Heads n : {Heads{6, 2, 8, 20}, Heads{4, 1, 16, 1}, Heads{4, 4, 1, 33},
                        Heads{2, 1, 40, 130}, Heads{8, 4, 130, 16}}) {
    expect_equals_definition(plan, n, 0.3, true);
  }
}

TEST(Attend, ExtremeScores) {
  const AttendPlan plan = testing::make_plan({{20, 200}}, testing::sees_all);
  // Scores up to about ±1e4: their rounding alone is 1e-3, in both directions of the weights.
  expect_equals_definition(plan, {1, 1, 4, 4}, 0.0, false, 60.0, 2e-2);
  for (const double base : {-2500.0, 2500.0, 0.0}) {
    for (const double step : {0.0, 3.0, -3.0}) {  // all equal; rising (rescales each tile); falling
      SCOPED_TRACE(std::to_string(base) + " step " + std::to_string(step));
      Problem<float> fast(plan, {1, 1, 1, 3}, 5);
      Problem<double> exact(plan, {1, 1, 1, 3}, 5);
      for (std::size_t i = 0; i < 20; ++i) fast.q[i] = 1, exact.q[i] = 1;
      for (std::size_t j = 0; j < 200; ++j) {
        const float score = static_cast<float>(base + step * static_cast<double>(j));
        fast.k[j] = score;
        exact.k[j] = static_cast<double>(score);
      }
      fast.run();
      exact.run_definition();
      expect_near("out", fast.out, exact.out, 1e-3);
      expect_near("lse", fast.lse, exact.lse, 1e-6);
      expect_near("dv", fast.dv, exact.dv, 1e-3);
    }
  }
}

TEST(Attend, RowsThatSeeNothingGiveZeros) {
  const AttendPlan plan = testing::make_plan({{10, 4}}, testing::sees_causal);  // rows 0..5 empty
  Problem<float> p(plan, {2, 1, 5, 6}, 3);
  // Not even a NaN in such a row, or in what reaches it from above, may get anywhere.
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::fill_n(p.q.begin(), 2 * 5, nan);
  std::fill_n(p.dout.begin(), 2 * 6, nan);
  p.run(true);
  for (std::size_t i = 0; i < 12 * 6; ++i) ASSERT_EQ(p.out[i], 0.0f);
  for (std::size_t i = 0; i < 12; ++i) ASSERT_EQ(p.lse[i], -std::numeric_limits<float>::infinity());
  for (std::size_t i = 0; i < 12 * 5; ++i) ASSERT_EQ(p.dq[i], 0.0f);
  for (const auto* x : {&p.out, &p.dq, &p.dk, &p.dv}) {
    for (float value : *x) ASSERT_TRUE(std::isfinite(value));
  }
}

TEST(Attend, RowsOutsideAllSegmentsGiveZeros) {
  AttendPlan plan = testing::make_plan({{4, 6}, {3, 5}, {2, 4}}, testing::sees_all);
  plan.segments.erase(plan.segments.begin() + 1);
  for (std::size_t i = 4; i < 7; ++i) plan.row_offsets[i + 1] = plan.row_offsets[i];
  plan.intervals.resize(4 + 2);
  plan.intervals[4] = plan.intervals[5] = {11, 15};
  plan.row_offsets[8] = 5;
  plan.row_offsets[9] = 6;
  expect_equals_definition(plan, {2, 2, 3, 4});
}

TEST(Attend, HiddenNaNNeverLeaksAndChangesNoBit) {
  for (const std::int64_t length : {9, 64, 150, 1100}) {
    const AttendPlan plan = testing::make_plan({{length, length}, {5, 5}}, testing::sees_causal);
    Problem<float> clean(plan, {2, 2, 20, 20}, 8), poisoned = clean;
    clean.dropout = poisoned.dropout = Dropout::make(0.1, 5);
    // The last key of the first sequence is seen by its last row only.
    const auto at = static_cast<std::size_t>((length - 1) * 2 * 20);
    for (std::size_t i = at; i < at + 40; ++i) {
      poisoned.k[i] = std::numeric_limits<float>::quiet_NaN();
      poisoned.v[i] = std::numeric_limits<float>::infinity();
    }
    clean.run();
    poisoned.run();
    for (std::size_t i = 0; i < clean.out.size(); ++i) {
      if (i >= at && i < at + 40) continue;
      ASSERT_EQ(clean.out[i], poisoned.out[i]) << i;
      ASSERT_EQ(clean.dq[i], poisoned.dq[i]) << i;
    }
    for (std::size_t i = at; i < at + 40; ++i) ASSERT_TRUE(std::isnan(poisoned.out[i])) << i;
    // The second sequence is untouched in every gradient.
    for (std::size_t i = at + 40; i < clean.dk.size(); ++i) {
      ASSERT_EQ(clean.dk[i], poisoned.dk[i]) << i;
      ASSERT_EQ(clean.dv[i], poisoned.dv[i]) << i;
    }
  }
}

TEST(Attend, NaNGradientReachesOnlyTheKeysOfItsRow) {
  const AttendPlan plan = testing::make_plan({{80, 80}}, testing::sees_causal);
  Problem<float> clean(plan, {1, 1, 16, 16}, 8), poisoned = clean;
  for (std::size_t e = 0; e < 16; ++e) poisoned.dout[e] = std::numeric_limits<float>::quiet_NaN();
  clean.run();
  poisoned.run();
  EXPECT_TRUE(std::isnan(poisoned.dv[0]));
  for (std::size_t i = 16; i < clean.dv.size(); ++i) {
    ASSERT_EQ(clean.dv[i], poisoned.dv[i]) << i;
    ASSERT_EQ(clean.dk[i], poisoned.dk[i]) << i;
  }
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b, std::size_t a_at = 0,
               std::size_t b_at = 0, std::size_t n = static_cast<std::size_t>(-1)) {
  n = std::min(n, a.size() - a_at);
  return std::memcmp(a.data() + a_at, b.data() + b_at, n * sizeof(T)) == 0;
}

TEST(Attend, SameBitsForAnyNumberOfThreads) {
  const AttendPlan plan =
      testing::make_plan({{200, 300}, {3, 3}, {64, 64}, {17, 0}, {130, 130}}, testing::sees_causal);
  Problem<float> one(plan, {4, 2, 33, 40}, 2);
  one.dropout = Dropout::make(0.1, 3);
  Problem<float> two = one;
  const int before = threads();
  set_threads(1);
  one.run(true);
  set_threads(2);
  two.run(true);
  set_threads(before);
  EXPECT_TRUE(same_bits(one.out, two.out));
  EXPECT_TRUE(same_bits(one.lse, two.lse));
  EXPECT_TRUE(same_bits(one.dq, two.dq));
  EXPECT_TRUE(same_bits(one.dk, two.dk));
  EXPECT_TRUE(same_bits(one.dv, two.dv));
}

TEST(Attend, SameBitsAloneAndAmongNeighboursInAnyOrder) {
  const std::vector<Lengths> lengths = {{70, 90}, {5, 5}, {130, 64}, {1, 17}};
  const Heads n{2, 1, 24, 16};
  for (const auto& sees : {testing::Sees(testing::sees_causal), testing::Sees(testing::sees_all)}) {
    const AttendPlan together = testing::make_plan(lengths, sees);
    Problem<float> batch(together, n, 4);
    batch.run(true);
    std::int64_t q0 = 0, k0 = 0;
    for (const Lengths& length : lengths) {
      const AttendPlan alone = testing::make_plan({{9, 20}, length}, sees);
      Problem<float> single(alone, n, 5);
      const auto copy = [](const std::vector<float>& from, std::int64_t at, std::vector<float>& to,
                           std::int64_t to_at, std::int64_t count) {
        std::copy_n(from.begin() + at, count, to.begin() + to_at);
      };
      copy(batch.q, q0 * 48, single.q, 9 * 48, length.queries * 48);
      copy(batch.k, k0 * 24, single.k, 20 * 24, length.keys * 24);
      copy(batch.v, k0 * 16, single.v, 20 * 16, length.keys * 16);
      copy(batch.dout, q0 * 32, single.dout, 9 * 32, length.queries * 32);
      copy(batch.dlse, q0 * 2, single.dlse, 9 * 2, length.queries * 2);
      single.run(true);
      const auto at = [](std::int64_t x) { return static_cast<std::size_t>(x); };
      EXPECT_TRUE(same_bits(single.out, batch.out, 9 * 32, at(q0 * 32)));
      EXPECT_TRUE(same_bits(single.lse, batch.lse, 9 * 2, at(q0 * 2)));
      EXPECT_TRUE(same_bits(single.dq, batch.dq, 9 * 48, at(q0 * 48)));
      EXPECT_TRUE(same_bits(single.dk, batch.dk, 20 * 24, at(k0 * 24)));
      EXPECT_TRUE(same_bits(single.dv, batch.dv, 20 * 16, at(k0 * 16)));
      q0 += length.queries;
      k0 += length.keys;
    }
  }
}

TEST(Attend, FutureKeysChangeNoEarlierBit) {
  const AttendPlan plan = testing::make_plan({{150, 150}}, testing::sees_causal);
  Problem<float> before(plan, {2, 2, 32, 32}, 6), after = before;
  const std::size_t from = 100 * 64;
  for (std::size_t i = from; i < after.k.size(); ++i) after.k[i] += 3, after.v[i] -= 7;
  before.run();
  after.run();
  EXPECT_TRUE(same_bits(before.out, after.out, 0, 0, from));
  EXPECT_TRUE(same_bits(before.dq, after.dq, 0, 0, from));
  EXPECT_NE(before.out[from], after.out[from]);
}

// A longer sequence with the same beginning gives the same first rows: prefill equals extension.
TEST(Attend, CausalRowsDoNotKnowHowLongTheSequenceIs) {
  const AttendPlan shorter = testing::make_plan({{70, 70}}, testing::sees_causal);
  const AttendPlan longer = testing::make_plan({{150, 150}}, testing::sees_causal);
  Problem<float> a(shorter, {1, 1, 32, 32}, 6), b(longer, {1, 1, 32, 32}, 7);
  std::copy(a.q.begin(), a.q.end(), b.q.begin());
  std::copy(a.k.begin(), a.k.end(), b.k.begin());
  std::copy(a.v.begin(), a.v.end(), b.v.begin());
  a.run();
  b.run();
  EXPECT_TRUE(same_bits(a.out, b.out));
}

// Few rows against many keys: the chunks of the keys are tasks of their own and merged afterwards.
TEST(Attend, FewRowsSeeManyKeys) {
  const auto sees = [](std::int64_t i, std::int64_t j, std::int64_t, std::int64_t nk) {
    return i == 0 ? j > 5000 && j < 5100 : i == 1 ? j >= nk - 3 : i != 2;  // row 2 sees nothing
  };
  const AttendPlan plan = testing::make_plan({{5, 9000}, {2, 100}}, sees);
  expect_equals_definition(plan, {4, 2, 8, 20}, 0.2, true);
}

TEST(Attend, RowsDoNotKnowHowManyRowsShareTheirKeys) {
  const AttendPlan few = testing::make_plan({{3, 9000}}, testing::sees_all);
  const AttendPlan many = testing::make_plan({{100, 9000}}, testing::sees_all);
  Problem<float> a(few, {1, 1, 8, 16}, 6), b(many, {1, 1, 8, 16}, 7);
  std::copy(a.q.begin(), a.q.end(), b.q.begin());
  b.k = a.k;
  b.v = a.v;
  kernels::attend(a.forward());
  kernels::attend(b.forward());
  EXPECT_TRUE(same_bits(a.out, b.out));
  EXPECT_TRUE(same_bits(a.lse, b.lse));
}

TEST(Attend, LongSequencesAreCutAndJoined) {
  for (const auto& sees : {testing::Sees(testing::sees_causal), testing::Sees(testing::sees_all),
                           testing::Sees(testing::sees_window_and_prefix)}) {
    const AttendPlan plan = testing::make_plan({{700, 1100}, {30, 20}}, sees);
    expect_equals_definition(plan, {2, 1, 64, 40}, 0.1, true);
    expect_equals_definition(plan, {1, 1, 20, 129});
  }
}

// Whether a task does one tile or all of a key head hangs on the number of threads, the bits do
// not.
TEST(Attend, SameBitsHoweverTheWorkIsCut) {
  const AttendPlan plan = testing::make_plan({{300, 1100}}, testing::sees_causal);
  Problem<float> one(plan, {4, 4, 64, 72}, 2);
  Problem<float> many = one;
  const int before = threads();
  set_threads(1);
  one.run(true);
  set_threads(5);
  many.run(true);
  set_threads(before);
  for (const auto& [x, y] :
       {std::pair(&one.out, &many.out), std::pair(&one.lse, &many.lse),
        std::pair(&one.dq, &many.dq), std::pair(&one.dk, &many.dk), std::pair(&one.dv, &many.dv)}) {
    EXPECT_TRUE(same_bits(*x, *y));
  }
}

// The base of the weights follows the maximum late: by steps below and above its lag, and with one
// key that outweighs all others, in the first tile, in the middle and in the last.
TEST(Attend, MaximaThatRiseSlowlyFastAndOnce) {
  const AttendPlan plan = testing::make_plan({{20, 300}}, testing::sees_all);
  const auto check = [&](const std::function<double(std::size_t)>& score) {
    Problem<float> fast(plan, {1, 1, 1, 3}, 5);
    Problem<double> exact(plan, {1, 1, 1, 3}, 5);
    for (std::size_t i = 0; i < 20; ++i) fast.q[i] = 1, exact.q[i] = 1;
    for (std::size_t j = 0; j < 300; ++j) {
      fast.k[j] = static_cast<float>(score(j));
      exact.k[j] = static_cast<double>(fast.k[j]);
    }
    fast.run();
    exact.run_definition();
    expect_near("out", fast.out, exact.out, 1e-4);
    expect_near("lse", fast.lse, exact.lse, 1e-6);
    expect_near("dv", fast.dv, exact.dv, 1e-4);
  };
  for (const double step : {0.01, 0.05, 0.085, 0.09, 0.1, 1.0}) {
    SCOPED_TRACE("step " + std::to_string(step));
    check([&](std::size_t j) { return step * static_cast<double>(j); });
    check([&](std::size_t j) { return -2500 + step * static_cast<double>(j / 64 * 64); });
  }
  for (const std::size_t outlier : {0U, 63U, 64U, 150U, 256U, 299U}) {
    SCOPED_TRACE("outlier " + std::to_string(outlier));
    for (const double size : {5.0, 6.0, 50.0, 80.0, 500.0}) {
      check([&](std::size_t j) { return j == outlier ? size : 0.0; });
      check([&](std::size_t j) { return j == outlier ? -2500 + size : -2500.0; });
    }
  }
}

TEST(Attend, WhatTheWorkingMemoryHeldChangesNoBit) {
  const std::vector<Lengths> sequences = {{150, 200}, {1, 9}, {70, 33}};
  for (const auto& sees :
       {testing::Sees(testing::sees_all), testing::Sees(testing::sees_window_and_prefix),
        testing::Sees(testing::sees_odd)}) {
    const AttendPlan plan = testing::make_plan(sequences, sees);
    Problem<float> clean(plan, {4, 2, 20, 24}, 8);
    clean.dropout = Dropout::make(0.1, 5);
    clean.run(true);
    Problem<float> again = clean;
    Problem<float> nan(plan, {4, 2, 20, 24}, 8);
    for (auto* x : {&nan.q, &nan.k, &nan.v, &nan.dout}) {
      std::fill(x->begin(), x->end(), std::numeric_limits<float>::quiet_NaN());
    }
    nan.run(true);
    again.run(true);
    EXPECT_TRUE(same_bits(clean.out, again.out));
    EXPECT_TRUE(same_bits(clean.dq, again.dq));
    EXPECT_TRUE(same_bits(clean.dk, again.dk));
    EXPECT_TRUE(same_bits(clean.dv, again.dv));
  }
}

TEST(Attend, DropoutDropsTheShareItPromises) {
  const AttendPlan plan = testing::make_plan({{200, 200}}, testing::sees_all);
  Problem<float> p(plan, {4, 4, 1, 1}, 1);
  std::fill(p.q.begin(), p.q.end(), 0.0f);  // uniform weights: out is the share kept / 0.7
  std::fill(p.v.begin(), p.v.end(), 1.0f);
  p.dropout = Dropout::make(0.3, 4);
  p.run();
  double mean = 0;
  for (float x : p.out) mean += static_cast<double>(x) / static_cast<double>(p.out.size());
  EXPECT_NEAR(mean, 1.0, 0.01);   // 160,000 draws: deviation 0.0016
  EXPECT_NE(p.out[0], p.out[1]);  // heads draw on their own
}

TEST(AttendDefinition, GradientsMatchFiniteDifferences) {
  for (const auto& sees : {testing::Sees(testing::sees_all), testing::Sees(testing::sees_causal),
                           testing::Sees(testing::sees_odd)}) {
    const AttendPlan plan = testing::make_plan({{5, 6}, {2, 2}}, sees);
    Problem<double> p(plan, {4, 2, 3, 2}, 11);
    p.dropout = Dropout::make(0.25, 8);
    const auto loss = [&] {
      kernels::definition::attend(p.forward());
      double sum = 0;
      for (std::size_t i = 0; i < p.out.size(); ++i) sum += p.out[i] * p.dout[i];
      for (std::size_t i = 0; i < p.lse.size(); ++i) {
        if (std::isfinite(p.lse[i])) sum += p.lse[i] * p.dlse[i];
      }
      return sum;
    };
    p.run_definition(true);
    const auto check = [&](std::vector<double>& x, const std::vector<double>& gradient) {
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double kept = x[i], step = 1e-6;
        x[i] = kept + step;
        const double up = loss();
        x[i] = kept - step;
        const double down = loss();
        x[i] = kept;
        ASSERT_NEAR(gradient[i], (up - down) / (2 * step), 1e-8) << i;
      }
    };
    const auto dq = p.dq, dk = p.dk, dv = p.dv;
    check(p.q, dq);
    check(p.k, dk);
    check(p.v, dv);
  }
}

}  // namespace
}  // namespace qkv

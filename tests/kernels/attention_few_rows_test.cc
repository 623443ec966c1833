// Sequences of few query rows: the bits of the tiles, whatever they see, and the definition.
#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

#include "kernels/attention_cases.h"
#include "kernels/fixtures.h"
#include <gtest/gtest.h>

#include "qkv/base/parallel.h"
#include "qkv/kernels/attention/path.h"

namespace qkv {
namespace {

using kernels::AttendPlan;
using kernels::few_rows;
using kernels::kFewRows;
using testing::Heads;
using testing::Lengths;
using testing::Problem;
using testing::Sees;

// What row i sees must not hang on the number of rows, so that sequences of any number of rows can
// be compared.
bool sees_stairs(std::int64_t i, std::int64_t j, std::int64_t, std::int64_t nk) {
  return j < nk - 7 + i;
}
bool sees_holes(std::int64_t i, std::int64_t j, std::int64_t, std::int64_t) {
  return i != 2 && (j / 40 % 3 == 1 || j % (i + 3) == 0);  // row 2 sees nothing
}
bool sees_the_end(std::int64_t i, std::int64_t j, std::int64_t, std::int64_t nk) {
  return j >= nk - 3 - 20 * i;
}
const Sees kSees[] = {testing::sees_all, testing::sees_window_and_prefix,
                      testing::sees_odd, sees_stairs,
                      sees_holes,        sees_the_end};

template <class T>
void expect_same_bits(const std::vector<T>& a, const std::vector<T>& b, std::int64_t count,
                      std::int64_t b_at = 0) {
  const auto n = static_cast<std::size_t>(count), at = static_cast<std::size_t>(b_at);
  ASSERT_LE(n, a.size());
  ASSERT_LE(at + n, b.size());
  for (std::size_t i = 0; i < n; ++i) {
    ASSERT_EQ(std::memcmp(&a[i], &b[at + i], sizeof(T)), 0)
        << "element " << i << ": " << a[i] << ", " << b[at + i];
  }
}

/// The first rows of a sequence alone, and among so many that they go by tiles.
void expect_bits_of_the_tiles(const Lengths& few, const Heads& n, const Sees& sees) {
  const AttendPlan alone = testing::make_plan({few}, sees);
  const AttendPlan among = testing::make_plan({{kFewRows + 2, few.keys}}, sees);
  ASSERT_TRUE(few_rows(alone.segments[0], false));
  ASSERT_FALSE(few_rows(among.segments[0], false));
  Problem<float> a(alone, n, 6, 1.5), b(among, n, 7, 1.5);
  std::copy(a.q.begin(), a.q.end(), b.q.begin());
  b.k = a.k;
  b.v = a.v;
  kernels::attend(a.forward());
  kernels::attend(b.forward());
  expect_same_bits(a.out, b.out, few.queries * n.heads * n.value_dim);
  expect_same_bits(a.lse, b.lse, few.queries * n.heads);
}

TEST(FewRows, HaveTheBitsOfTheTiles) {
  const Heads heads[] = {{1, 1, 64, 64}, {4, 2, 33, 20},   {3, 3, 1, 16},
                         {6, 1, 7, 1},   {2, 2, 130, 130}, {20, 20, 16, 32}};
  for (std::size_t n = 0; n < std::size(heads); ++n) {
    for (const std::int64_t rows : {1, 2, 3, 8}) {
      for (const std::int64_t keys : {1, 15, 16, 33, 64, 65, 200, 1025, 2200}) {
        if (rows > 1 && keys < 4 * rows) continue;
        if (keys > 65 && (n > 1 || rows == 2 || rows == 3))
          continue;  // drawing them is what takes long
        SCOPED_TRACE(std::to_string(n) + ": " + std::to_string(rows) + " rows, " +
                     std::to_string(keys) + " keys");
        expect_bits_of_the_tiles({rows, keys}, heads[n],
                                 kSees[(n + static_cast<std::size_t>(rows + keys)) % 6]);
        expect_bits_of_the_tiles({rows, keys}, heads[n], testing::sees_all);
      }
    }
  }
}

TEST(FewRows, OnEveryInstructionSet) {
  kernels::on_every_target([] {
    for (const Heads& n : {Heads{2, 2, 33, 20}, Heads{4, 1, 64, 130}, Heads{1, 1, 3, 8}}) {
      for (const Sees& sees : kSees) {
        expect_bits_of_the_tiles({1, 37}, n, sees);
        expect_bits_of_the_tiles({7, 150}, n, sees);
      }
    }
  });
}

TEST(FewRows, OfManyHeadsThatShareOneKeyHead) {  // more rows than one task takes
  expect_bits_of_the_tiles({3, 90}, {50, 1, 8, 8}, sees_stairs);
  expect_bits_of_the_tiles({1, 1300}, {71, 1, 8, 20}, testing::sees_all);
  expect_bits_of_the_tiles({8, 70}, {24, 2, 4, 4}, sees_holes);
}

TEST(FewRows, EqualTheirDefinition) {
  for (const Sees& sees : kSees) {
    const AttendPlan plan =
        testing::make_plan({{1, 300}, {0, 5}, {3, 40}, {1, 0}, {20, 30}, {8, 1100}}, sees);
    for (const Heads& n : {Heads{4, 2, 20, 24}, Heads{2, 2, 64, 3}}) {
      Problem<float> fast(plan, n, 1);
      Problem<double> exact(plan, n, 1);
      fast.run(true);
      exact.run_definition(true);
      const auto near = [](const std::vector<float>& got, const std::vector<double>& want) {
        for (std::size_t i = 0; i < got.size(); ++i) {
          const auto x = static_cast<double>(got[i]);
          ASSERT_TRUE(x == want[i] || std::abs(x - want[i]) <= 2e-5) << i << ": " << x;
        }
      };
      near(fast.out, exact.out);
      near(fast.lse, exact.lse);
      near(fast.dq, exact.dq);
      near(fast.dk, exact.dk);
      near(fast.dv, exact.dv);
    }
  }
}

TEST(FewRows, HiddenNaNNeverLeaksAndChangesNoBit) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Sees& sees : {Sees(sees_stairs), Sees(sees_holes), Sees(sees_the_end)}) {
    const AttendPlan plan = testing::make_plan({{4, 150}, {1, 40}}, sees);
    const Heads n{4, 2, 20, 24};
    Problem<float> clean(plan, n, 8), poisoned = clean;
    for (std::int64_t k = 0; k < plan.keys; ++k) {
      const bool seen = std::any_of(plan.intervals.begin(), plan.intervals.end(),
                                    [&](const auto& x) { return x.begin <= k && k < x.end; });
      if (seen) continue;
      std::fill_n(poisoned.k.begin() + k * 40, 40, nan);
      std::fill_n(poisoned.v.begin() + k * 48, 48, std::numeric_limits<float>::infinity());
    }
    kernels::attend(clean.forward());
    kernels::attend(poisoned.forward());
    expect_same_bits(clean.out, poisoned.out, static_cast<std::int64_t>(clean.out.size()));
    for (const float x : poisoned.out) ASSERT_TRUE(std::isfinite(x));
  }
  const AttendPlan plan = testing::make_plan({{4, 150}}, testing::sees_causal);
  Problem<float> clean(plan, {2, 1, 16, 16}, 8), poisoned = clean;
  std::fill_n(poisoned.v.end() - 16, 16, nan);  // the last row's own key
  std::fill_n(poisoned.k.end() - 16, 16, nan);
  kernels::attend(clean.forward());
  kernels::attend(poisoned.forward());
  expect_same_bits(clean.out, poisoned.out, 3 * 2 * 16);
  for (std::size_t i = 3 * 2 * 16; i < 4 * 2 * 16; ++i) ASSERT_TRUE(std::isnan(poisoned.out[i]));
}

TEST(FewRows, SameBitsForAnyThreadsAndNeighbours) {
  const std::vector<Lengths> sequences = {{1, 2500}, {20, 60}, {5, 70}, {1, 1}, {8, 1100}};
  const Heads n{8, 4, 24, 40};
  const AttendPlan together = testing::make_plan(sequences, sees_stairs);
  Problem<float> one(together, n, 4);
  Problem<float> many = one;
  const int before = threads();
  set_threads(1);
  kernels::attend(one.forward());
  set_threads(7);
  kernels::attend(many.forward());
  set_threads(before);
  expect_same_bits(one.out, many.out, static_cast<std::int64_t>(one.out.size()));
  expect_same_bits(one.lse, many.lse, static_cast<std::int64_t>(one.lse.size()));
  std::int64_t q = 0, k = 0;
  for (const Lengths& s : sequences) {
    const AttendPlan plan = testing::make_plan({s}, sees_stairs);
    Problem<float> alone(plan, n, 5);
    std::copy_n(one.q.begin() + q * 8 * 24, alone.q.size(), alone.q.begin());
    std::copy_n(one.k.begin() + k * 4 * 24, alone.k.size(), alone.k.begin());
    std::copy_n(one.v.begin() + k * 4 * 40, alone.v.size(), alone.v.begin());
    kernels::attend(alone.forward());
    expect_same_bits(alone.out, one.out, s.queries * 8 * 40, q * 8 * 40);
    expect_same_bits(alone.lse, one.lse, s.queries * 8, q * 8);
    q += s.queries;
    k += s.keys;
  }
}

TEST(FewRows, AnyAddressWillDo) {
  const AttendPlan plan = testing::make_plan({{2, 70}}, testing::sees_all);
  const Heads n{2, 2, 20, 32};
  Problem<float> a(plan, n, 3);
  kernels::attend(a.forward());
  std::vector<float> k(a.k.size() + 1), v(a.v.size() + 1), q(a.q.size() + 1);
  std::copy(a.k.begin(), a.k.end(), k.begin() + 1);
  std::copy(a.v.begin(), a.v.end(), v.begin() + 1);
  std::copy(a.q.begin(), a.q.end(), q.begin() + 1);
  std::vector<float> out(a.out.size());
  auto moved = a.forward();
  moved.k = k.data() + 1;
  moved.v = v.data() + 1;
  moved.q = q.data() + 1;
  moved.out = out.data();
  kernels::attend(moved);
  expect_same_bits(a.out, out, static_cast<std::int64_t>(out.size()));
}

TEST(FewRows, AreChosenByTheSequenceAlone) {
  const AttendPlan plan = testing::make_plan(
      {{1, 0}, {1, 1}, {8, 32}, {8, 31}, {9, 1000}, {2, 7}, {2, 8}}, testing::sees_all);
  const bool want[] = {true, true, true, false, false, false, true};
  for (std::size_t b = 0; b < plan.segments.size(); ++b) {
    EXPECT_EQ(few_rows(plan.segments[b], false), want[b]) << b;
    EXPECT_FALSE(few_rows(plan.segments[b], true)) << "dropout is left to the tiles";
  }
}

}  // namespace
}  // namespace qkv

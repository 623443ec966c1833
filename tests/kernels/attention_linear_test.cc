// Linear attention against its definition in double, over the sizes at which chunks, groups and
// vectors go wrong.
#include <algorithm>
#include <functional>
#include <limits>
#include <string>

#include "kernels/linear_cases.h"
#include <gtest/gtest.h>

#include "qkv/kernels/attention/linear.h"

namespace qkv::kernels {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

using Form = LinearForm;
using Lengths = LinearLengths;
template <class T>
using Problem = LinearProblem<T>;

/// Every element within tolerance · (1 + the largest reference value).
void expect_near(const char* what, const std::vector<float>& got, const std::vector<double>& want,
                 double tolerance) {
  ASSERT_EQ(got.size(), want.size()) << what;
  double most = 0;
  for (double x : want) most = std::max(most, std::abs(x));
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double x = static_cast<double>(got[i]);
    ASSERT_LE(std::abs(x - want[i]), tolerance * (1 + most)) << what << "[" << i << "]";
    ASSERT_FALSE(std::isnan(x)) << what << "[" << i << "]";
  }
}

void expect_equals_definition(const std::vector<Lengths>& lengths, const Form& form,
                              double tolerance = 1e-5) {
  Problem<float> fast(lengths, form);
  Problem<double> exact(lengths, form);
  fast.run();
  exact.run_definition();
  expect_near("out", fast.out, exact.out, tolerance);
  expect_near("dq", fast.dq, exact.dq, tolerance);
  expect_near("dk", fast.dk, exact.dk, tolerance);
  expect_near("dv", fast.dv, exact.dv, tolerance);
}

TEST(LinearAttend, EqualsItsDefinitionAtEveryLength) {
  for (const std::int64_t queries : {0, 1, 2, 15, 16, 17, 63, 64, 65, 129, 200}) {
    for (const std::int64_t keys : {0, 1, 2, 15, 16, 17, 63, 64, 65, 129, 200}) {
      for (const bool causal : {false, true}) {
        SCOPED_TRACE(std::to_string(queries) + " queries, " + std::to_string(keys) + " keys, " +
                     (causal ? "causal" : "all"));
        expect_equals_definition({{queries, keys}},
                                 {1, 1, 7, 5, LinearMap::elu_plus_one, causal, 1e-6});
      }
    }
  }
}

TEST(LinearAttend, EqualsItsDefinitionAtEveryWidth) {
  const std::vector<Lengths> lengths = {{17, 20}, {0, 3}, {5, 0}, {0, 0}, {70, 66}, {1, 1}};
  for (const std::int64_t dim : {1, 2, 3, 15, 16, 17, 31, 33, 63, 64, 65, 100, 128, 129, 200}) {
    for (const std::int64_t value_dim : {dim, std::int64_t{1}, dim + 1, std::int64_t{64}}) {
      for (const bool causal : {false, true}) {
        SCOPED_TRACE(std::to_string(dim) + " " + std::to_string(value_dim));
        expect_equals_definition(lengths,
                                 {2, 2, dim, value_dim, LinearMap::elu_plus_one, causal, 1e-6});
      }
    }
  }
}

TEST(LinearAttend, EveryMapAndGroupAndValidLength) {
  const std::vector<Lengths> lengths = {{3, 4, 2},    {100, 140, 77}, {0, 5, 5},    {4, 4, 0},
                                        {65, 65, 64}, {140, 70, 70},  {9, 200, 199}};
  for (const bool causal : {false, true}) {
    for (const Form& form : {Form{6, 2, 8, 20}, Form{4, 1, 16, 1}, Form{4, 4, 1, 33},
                             Form{2, 1, 40, 130}, Form{8, 4, 33, 16}}) {
      Form f = form;
      f.causal = causal;
      f.eps = 1e-6;
      expect_equals_definition(lengths, f);
      f.eps = 0;
      expect_equals_definition(lengths, f);
    }
  }
}

// Products of ReLU features are often exactly 0, those of raw numbers cancel: far from the smooth
// case. 17 numbers, so that a row with a tiny denominator, which no precision survives, is rare.
TEST(LinearAttend, ReluAndRawFeatures) {
  for (const bool causal : {false, true}) {
    expect_equals_definition({{100, 100}, {70, 150}}, {2, 1, 17, 9, LinearMap::relu, causal, 1e-6},
                             1e-4);
    Problem<float> fast({{90, 90}}, {1, 1, 17, 9, LinearMap::identity, causal, 0.0});
    for (auto* x : {&fast.q, &fast.k}) {
      for (float& value : *x) value = std::abs(value);
    }
    Problem<double> exact({{90, 90}}, fast.form);
    std::copy(fast.q.begin(), fast.q.end(), exact.q.begin());
    std::copy(fast.k.begin(), fast.k.end(), exact.k.begin());
    fast.run();
    exact.run_definition();
    expect_near("out", fast.out, exact.out, 1e-5);
    expect_near("dq", fast.dq, exact.dq, 1e-5);
    expect_near("dk", fast.dk, exact.dk, 1e-5);
    expect_near("dv", fast.dv, exact.dv, 1e-5);
  }
}

TEST(LinearAttend, EveryInstructionSet) {
  on_every_target([] {
    for (const bool causal : {false, true}) {
      expect_equals_definition({{70, 90}, {1, 1}, {530, 530}},
                               {2, 1, 19, 21, LinearMap::elu_plus_one, causal, 1e-6});
    }
  });
}

TEST(LinearAttend, LongSequencesKeepTheirPrecision) {
  for (const bool causal : {false, true}) {
    expect_equals_definition({{1060, 1100, 1090}},
                             {1, 1, 16, 16, LinearMap::elu_plus_one, causal, 1e-6});
  }
}

template <class T>
std::vector<T> results(const Problem<T>& p) {
  std::vector<T> all = p.out;
  for (const auto* x : {&p.inverse, &p.dq, &p.dk, &p.dv}) append(all, *x);
  return all;
}

// 1 thread takes a head as one task, more spread the groups of the long sequence.
TEST(LinearAttend, SameBitsForAnyNumberOfThreads) {
  for (const bool causal : {false, true}) {
    for (const std::vector<Lengths>& lengths :
         {std::vector<Lengths>{{2100, 2100}}, std::vector<Lengths>{{700, 1900, 1800}, {3, 3}},
          std::vector<Lengths>{{600, 600}, {520, 520}, {64, 64}, {0, 9}, {1030, 600}}}) {
      Problem<float> p(lengths, {2, 1, 33, 40, LinearMap::elu_plus_one, causal, 1e-6});
      const auto run = [&] {
        p.run();
        return results(p);
      };
      const std::vector<float> one = with_threads(1, run);
      EXPECT_TRUE(same_bits(one, with_threads(2, run)));
      EXPECT_TRUE(same_bits(one, with_threads(3, run)));
    }
  }
}

TEST(LinearAttend, SameBitsAloneAndAmongNeighbours) {
  const std::vector<Lengths> lengths = {{70, 90}, {5, 5}, {1100, 1100}, {1, 17}, {130, 64, 40}};
  for (const bool causal : {false, true}) {
    const Form form{2, 1, 24, 16, LinearMap::elu_plus_one, causal, 1e-6};
    Problem<float> batch(lengths, form, 4);
    batch.run();
    for (std::size_t b = 0; b < lengths.size(); ++b) {
      Problem<float> alone({{9, 20}, lengths[b]}, form, 5);
      const LinearSegment &from = batch.segments[b], &to = alone.segments[1];
      const auto slice = [](const std::vector<float>& x, std::int64_t begin, std::int64_t end,
                            std::int64_t width) {
        return std::vector<float>(x.begin() + begin * width, x.begin() + end * width);
      };
      const auto copy = [&](const std::vector<float>& x, std::int64_t begin, std::int64_t end,
                            std::int64_t width, std::vector<float>& y, std::int64_t at) {
        const std::vector<float> part = slice(x, begin, end, width);
        std::copy(part.begin(), part.end(), y.begin() + at * width);
      };
      copy(batch.q, from.q_begin, from.q_end, 48, alone.q, to.q_begin);
      copy(batch.k, from.k_begin, from.k_end, 24, alone.k, to.k_begin);
      copy(batch.v, from.k_begin, from.k_end, 16, alone.v, to.k_begin);
      copy(batch.dout, from.q_begin, from.q_end, 32, alone.dout, to.q_begin);
      alone.run();
      const auto same = [&](const std::vector<float>& x, const std::vector<float>& y,
                            std::int64_t width, bool keys) {
        return same_bits(
            slice(x, keys ? from.k_begin : from.q_begin, keys ? from.k_end : from.q_end, width),
            slice(y, keys ? to.k_begin : to.q_begin, keys ? to.k_end : to.q_end, width));
      };
      EXPECT_TRUE(same(batch.out, alone.out, 32, false)) << b;
      EXPECT_TRUE(same(batch.dq, alone.dq, 48, false)) << b;
      EXPECT_TRUE(same(batch.dk, alone.dk, 24, true)) << b;
      EXPECT_TRUE(same(batch.dv, alone.dv, 16, true)) << b;
    }
  }
}

TEST(LinearAttend, CausalRowsDoNotKnowHowLongTheSequenceIs) {
  const Form form{1, 1, 32, 32, LinearMap::elu_plus_one, true, 1e-6};
  Problem<float> shorter({{570, 570}}, form, 6), longer({{1150, 1150}}, form, 7);
  std::copy(shorter.q.begin(), shorter.q.end(), longer.q.begin());
  std::copy(shorter.k.begin(), shorter.k.end(), longer.k.begin());
  std::copy(shorter.v.begin(), shorter.v.end(), longer.v.begin());
  shorter.run();
  longer.run();
  longer.out.resize(shorter.out.size());
  EXPECT_TRUE(same_bits(shorter.out, longer.out));
}

TEST(LinearAttend, TheLastCausalRowIsTheLastRowOfAll) {
  const Form all{1, 1, 16, 8, LinearMap::elu_plus_one, false, 1e-6};
  Form causal = all;
  causal.causal = true;
  Problem<double> a({{5, 130}}, all), b({{5, 130}}, causal);
  Problem<float> c({{5, 130}}, all), d({{5, 130}}, causal);
  a.run_definition();
  b.run_definition();
  c.run();
  d.run();
  for (std::size_t e = 4 * 8; e < 5 * 8; ++e) {
    EXPECT_EQ(a.out[e], b.out[e]);
    EXPECT_NEAR(c.out[e], d.out[e], 1e-6f);
  }
  EXPECT_NE(a.out[0], b.out[0]);
}

TEST(LinearAttend, HiddenNaNNeverLeaks) {
  // Behind the valid length: nothing changes anywhere, and its own gradient is 0.
  for (const bool causal : {false, true}) {
    const Form form{2, 1, 20, 20, LinearMap::elu_plus_one, causal, 1e-6};
    Problem<float> clean({{90, 90, 70}, {5, 5}}, form, 8);
    Problem<float> poisoned = clean;
    for (std::size_t i = 70 * 20; i < 90 * 20; ++i) poisoned.k[i] = poisoned.v[i] = kNaN;
    clean.run();
    poisoned.run();
    EXPECT_TRUE(same_bits(results(clean), results(poisoned)));
    for (std::size_t i = 70 * 20; i < 90 * 20; ++i) ASSERT_EQ(poisoned.dk[i], 0.0f);
  }
}

TEST(LinearAttend, ALaterKeysNaNReachesNoEarlierRow) {
  for (const std::int64_t length : {9, 64, 150, 600}) {
    const Form form{2, 2, 20, 17, LinearMap::elu_plus_one, true, 1e-6};
    Problem<float> clean({{length, length}, {5, 5}}, form, 8);
    Problem<float> poisoned = clean;
    const auto key = static_cast<std::size_t>(length - 3) * 2;  // seen by the last three rows
    for (std::size_t i = key * 20; i < (key + 1) * 20; ++i) poisoned.k[i] = kNaN;
    for (std::size_t i = key * 17; i < (key + 1) * 17; ++i) {
      poisoned.v[i] = std::numeric_limits<float>::infinity();
    }
    clean.run();
    poisoned.run();
    for (std::int64_t i = 0; i < length + 5; ++i) {
      const bool sees = i >= length - 3 && i < length;
      for (std::size_t e = 0; e < 17; ++e) {
        const std::size_t at = static_cast<std::size_t>(i) * 34 + e;
        ASSERT_EQ(std::isnan(poisoned.out[at]), sees) << i;
        if (!sees) {
          ASSERT_EQ(clean.out[at], poisoned.out[at]) << i;
          ASSERT_EQ(clean.dq[at / 34 * 40 + e], poisoned.dq[at / 34 * 40 + e]) << i;
        }
        ASSERT_EQ(clean.out[at + 17], poisoned.out[at + 17]) << i;  // the other head
      }
    }
    // The second sequence is untouched in every gradient.
    for (std::size_t i = static_cast<std::size_t>(length) * 40; i < clean.dk.size(); ++i) {
      ASSERT_EQ(clean.dk[i], poisoned.dk[i]) << i;
    }
  }
}

TEST(LinearAttend, AnEarlierRowsNaNReachesNoLaterKey) {
  const Form form{1, 1, 16, 16, LinearMap::elu_plus_one, true, 1e-6};
  Problem<float> clean({{80, 80}}, form, 8);
  for (const bool in_query : {false, true}) {
    Problem<float> poisoned = clean;
    (in_query ? poisoned.q : poisoned.dout)[16] = kNaN;  // row 1
    clean.run();
    poisoned.run();
    EXPECT_TRUE(std::isnan(poisoned.dk[16]));
    for (std::size_t i = 2 * 16; i < clean.dk.size(); ++i) {
      ASSERT_EQ(clean.dk[i], poisoned.dk[i]) << i;
      ASSERT_EQ(clean.dv[i], poisoned.dv[i]) << i;
      ASSERT_EQ(clean.dq[i], poisoned.dq[i]) << i;
    }
  }
}

TEST(LinearAttend, RowsThatSeeNothingGiveZeros) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Problem<float> p({{10, 4}, {3, 2, 0}}, {2, 1, 5, 6, LinearMap::elu_plus_one, true, 1e-6}, 3);
  const auto blind = [](std::size_t row) { return row < 6 || row >= 10; };
  for (std::size_t row = 0; row < 13; ++row) {
    if (!blind(row)) continue;
    std::fill_n(p.q.begin() + static_cast<std::ptrdiff_t>(row * 10), 10, nan);
    std::fill_n(p.dout.begin() + static_cast<std::ptrdiff_t>(row * 12), 12, nan);
  }
  p.run();
  for (std::size_t row = 0; row < 13; ++row) {
    for (std::size_t e = 0; e < 12; ++e) ASSERT_EQ(p.out[row * 12 + e] == 0.0f, blind(row)) << row;
    for (std::size_t e = 0; e < 10; ++e) ASSERT_EQ(p.dq[row * 10 + e] == 0.0f, blind(row)) << row;
  }
  for (const auto* x : {&p.dk, &p.dv}) {
    for (float value : *x) ASSERT_TRUE(std::isfinite(value));
  }
  for (std::size_t i = 4 * 5; i < 6 * 5; ++i) ASSERT_EQ(p.dk[i], 0.0f);
}

// With ReLU features a row may be orthogonal to all keys: its denominator is 0, not tiny.
TEST(LinearAttend, ADenominatorOfZeroGivesZeros) {
  for (const bool causal : {false, true}) {
    Problem<float> fast({{70, 70}}, {1, 1, 4, 3, LinearMap::relu, causal, 0.0});
    Problem<double> exact({{70, 70}}, fast.form);
    for (std::size_t i = 30 * 4; i < 34 * 4; ++i) {
      fast.q[i] = -std::abs(fast.q[i]);
      exact.q[i] = -std::abs(exact.q[i]);
    }
    // Elsewhere a denominator far from 0, so that rounding does not hide what is tested.
    for (std::size_t i = 0; i < 70 * 4; i += 4) {
      if (i < 30 * 4 || i >= 34 * 4) fast.q[i] = 1, exact.q[i] = 1;
      fast.k[i] = 1, exact.k[i] = 1;
    }
    fast.run();
    exact.run_definition();
    for (std::size_t i = 30 * 3; i < 34 * 3; ++i) ASSERT_EQ(fast.out[i], 0.0f);
    for (std::size_t i = 30 * 4; i < 34 * 4; ++i) ASSERT_EQ(fast.dq[i], 0.0f);
    expect_near("out", fast.out, exact.out, 1e-5);
    expect_near("dk", fast.dk, exact.dk, 1e-5);
    expect_near("dv", fast.dv, exact.dv, 1e-5);
  }
}

TEST(LinearAttendDefinition, GradientsMatchFiniteDifferences) {
  for (const LinearMap map : {LinearMap::identity, LinearMap::elu_plus_one, LinearMap::relu}) {
    for (const bool causal : {false, true}) {
      Problem<double> p({{5, 6, 5}, {2, 2}}, {4, 2, 3, 2, map, causal, 0.5}, 11);
      if (map == LinearMap::identity) {  // far from a denominator of 0
        for (auto* x : {&p.q, &p.k}) {
          for (double& value : *x) value = std::abs(value);
        }
      }
      p.run_definition();
      const Problem<double> analytic = p;
      const auto check = [&](std::vector<double> Problem<double>::*x,
                             const std::vector<double>& gradient) {
        check_gradient(
            [&](const std::vector<double>& at) {
              p.*x = at;
              definition::linear_attend(p.forward());
              return dot(p.out, p.dout);
            },
            analytic.*x, gradient, "linear attention");
        p.*x = analytic.*x;
      };
      check(&Problem<double>::q, analytic.dq);
      check(&Problem<double>::k, analytic.dk);
      check(&Problem<double>::v, analytic.dv);
    }
  }
}

}  // namespace
}  // namespace qkv::kernels

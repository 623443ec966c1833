// The general path against the definition in double: every score with every bias, mask and
// normaliser; then the promises that all of them keep.
#include <algorithm>
#include <cstring>
#include <string>

#include "kernels/attention_forms.h"
#include <gtest/gtest.h>

#include "qkv/base/parallel.h"
#include "qkv/kernels/attention/general.h"

namespace qkv {
namespace {

using kernels::AttendPlan;
using kernels::ScoreForm;
using testing::BiasCase;
using testing::FormCase;
using testing::FormProblem;
using testing::Heads;
using testing::Lengths;
using testing::NormCase;

constexpr ScoreForm kScores[] = {ScoreForm::product, ScoreForm::additive, ScoreForm::l1,
                                 ScoreForm::pair};

const std::vector<testing::Sees>& masks() {
  static const std::vector<testing::Sees> all = {
      testing::sees_all, testing::sees_causal, testing::sees_window_and_prefix, testing::sees_odd};
  return all;
}

template <class Visit>
void each_result(Visit&& visit) {
  visit(
      "out", [](auto& p) -> auto& { return p.out; });
  visit(
      "statistic", [](auto& p) -> auto& { return p.lse; });
  visit(
      "entropy", [](auto& p) -> auto& { return p.entropy; });
  visit(
      "dq", [](auto& p) -> auto& { return p.dq; });
  visit(
      "dk", [](auto& p) -> auto& { return p.dk; });
  visit(
      "dv", [](auto& p) -> auto& { return p.dv; });
}

double largest(const std::vector<double>& x) {
  double most = 0;
  for (double value : x) {
    if (std::isfinite(value)) most = std::max(most, std::abs(value));
  }
  return most;
}

/// Every element within `tolerance` · (1 + the largest reference value); infinities and NaN equal.
void expect_near(const std::string& what, const std::vector<float>& got,
                 const std::vector<double>& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size()) << what;
  const double bound = tolerance * (1 + largest(want));
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double x = static_cast<double>(got[i]);
    if (std::isnan(want[i])   ? std::isnan(x)
        : std::isinf(want[i]) ? x == want[i]
                              : std::abs(x - want[i]) <= bound) {
      continue;
    }
    FAIL() << what << "[" << i << "] is " << x << ", not " << want[i] << " ± " << bound;
  }
}

void expect_near(const FormProblem<float>& fast, const FormProblem<double>& exact,
                 double tolerance) {
  each_result(
      [&](const char* what, auto get) { expect_near(what, get(fast), get(exact), tolerance); });
  for (std::size_t n = 0; n < fast.gradients.size(); ++n) {
    expect_near("parameter " + std::to_string(n), fast.gradients[n], exact.gradients[n], tolerance);
  }
}

/// change(problem) is done to both before they run.
template <class Change>
void expect_equals_definition(const AttendPlan& plan, Heads n, const FormCase& c, double tolerance,
                              Change&& change) {
  FormProblem<float> fast(plan, n, c, 1);
  FormProblem<double> exact(plan, n, c, 1);
  change(fast);
  change(exact);
  fast.run();
  exact.run(true);
  // The slope of the triangular kernel is 1/u: it magnifies the rounding of a small u.
  const bool steep = c.norm.name == "triangular";
  expect_near(fast, exact, steep ? 10 * tolerance : tolerance);
}
void expect_equals_definition(const AttendPlan& plan, Heads n, const FormCase& c,
                              double tolerance = 2e-5) {
  expect_equals_definition(plan, n, c, tolerance, [](auto&) {});
}

std::string score_name(const ::testing::TestParamInfo<ScoreForm>& info) {
  const char* names[] = {"product", "additive", "l1", "pair"};
  return names[static_cast<std::size_t>(info.param)];
}
class AttendGeneral : public ::testing::TestWithParam<ScoreForm> {};
INSTANTIATE_TEST_SUITE_P(Scores, AttendGeneral, ::testing::ValuesIn(kScores), score_name);

TEST_P(AttendGeneral, EveryBiasMaskAndNormaliserEqualsItsDefinition) {
  std::vector<std::vector<BiasCase>> stacks = {{}};
  for (const BiasCase bias : testing::kBiasCases) stacks.push_back({bias});
  stacks.push_back({BiasCase::distance, BiasCase::soft_cap});
  stacks.push_back({BiasCase::soft_cap, BiasCase::tensor});
  stacks.push_back({BiasCase::function, BiasCase::row_table});
  int count = 0;
  for (std::size_t m = 0; m < masks().size(); ++m) {
    const AttendPlan plan =
        testing::make_plan({{3, 4}, {19, 70}, {0, 0}, {1, 1}, {20, 10}}, masks()[m]);
    for (const NormCase& norm : testing::norm_cases()) {
      for (std::size_t b = 0; b < stacks.size(); ++b) {
        if (++count % QKV_SWEEP != 0) continue;
        SCOPED_TRACE("mask " + std::to_string(m) + ", " + norm.name + ", biases " +
                     std::to_string(b));
        expect_equals_definition(plan, {2, 1, 7, 5}, {GetParam(), stacks[b], norm});
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(AttendGeneral, SeveralTilesOfRowsAndKeys) {
  for (const NormCase& norm : testing::norm_cases()) {
    for (const std::size_t m : {1U, 3U}) {
      SCOPED_TRACE(norm.name + ", mask " + std::to_string(m));
      const AttendPlan plan = testing::make_plan({{70, 140}, {20, 5}}, masks()[m]);
      const std::vector<BiasCase> biases = {BiasCase::distance, BiasCase::soft_cap,
                                            BiasCase::turned_tensor};
      expect_equals_definition(plan, {2, 1, 17, 16}, {GetParam(), biases, norm});
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(AttendGeneral, EveryWidth) {
  const AttendPlan plan =
      testing::make_plan({{17, 33}, {0, 3}, {5, 0}, {40, 66}}, testing::sees_causal);
  for (const Heads n : {Heads{1, 1, 1, 1}, Heads{2, 2, 16, 3}, Heads{4, 1, 15, 33},
                        Heads{6, 2, 33, 17}, Heads{2, 1, 64, 130}, Heads{3, 3, 131, 64}}) {
    for (const char* name : {"softmax", "sigmoid", "entmax 1.5"}) {
      SCOPED_TRACE(std::string(name) + ", D " + std::to_string(n.dim));
      const auto& norms = testing::norm_cases();
      const auto norm = std::find_if(norms.begin(), norms.end(),
                                     [&](const NormCase& x) { return x.name == name; });
      expect_equals_definition(plan, n, {GetParam(), {BiasCase::narrow_distance}, *norm});
    }
  }
}

TEST_P(AttendGeneral, Dropout) {
  const AttendPlan plan = testing::make_plan({{5, 5}, {30, 67}}, testing::sees_causal);
  for (const NormCase& norm : testing::norm_cases()) {
    SCOPED_TRACE(norm.name);
    expect_equals_definition(plan, {2, 1, 6, 9}, {GetParam(), {BiasCase::key_tensor}, norm}, 2e-5,
                             [](auto& p) { p.dropout = Dropout::make(0.3, 99); });
  }
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b, std::size_t a_at = 0,
               std::size_t b_at = 0, std::size_t n = static_cast<std::size_t>(-1)) {
  n = std::min(n, a.size() - a_at);
  return std::memcmp(a.data() + a_at, b.data() + b_at, n * sizeof(T)) == 0;
}

void expect_same_bits(const FormProblem<float>& a, const FormProblem<float>& b) {
  each_result([&](const char* what, auto get) { EXPECT_TRUE(same_bits(get(a), get(b))) << what; });
  for (std::size_t n = 0; n < a.gradients.size(); ++n) {
    EXPECT_TRUE(same_bits(a.gradients[n], b.gradients[n])) << "parameter " << n;
  }
}

TEST_P(AttendGeneral, SameBitsForAnyNumberOfThreads) {
  const std::vector<Lengths> lengths = {{67, 100}, {3, 3}, {33, 33}, {17, 0}, {20, 9}, {9, 9}};
  const AttendPlan plan = testing::make_plan(lengths, testing::sees_causal);
  const std::vector<BiasCase> biases = {BiasCase::narrow_distance, BiasCase::soft_cap,
                                        BiasCase::turned_tensor, BiasCase::key_tensor,
                                        BiasCase::row_table};
  const int before = threads();
  for (const NormCase& norm : testing::norm_cases()) {
    SCOPED_TRACE(norm.name);
    FormProblem<float> one(plan, {4, 2, 9, 8}, {GetParam(), biases, norm}, 2);
    one.dropout = Dropout::make(0.1, 3);
    set_threads(1);
    one.run();
    for (const int count : {2, 3}) {
      FormProblem<float> more(plan, {4, 2, 9, 8}, {GetParam(), biases, norm}, 2);
      more.dropout = one.dropout;
      set_threads(count);
      more.run();
      expect_same_bits(one, more);
    }
  }
  set_threads(before);
}

// With few key heads the backward pass cuts the rows of a long sequence.
TEST_P(AttendGeneral, LongSequencesAreCutAndJoined) {
  ASSERT_EQ(kernels::backward_rows(600, 1), 256);
  ASSERT_EQ(kernels::backward_rows(600, 8), 600);
  ASSERT_EQ(kernels::backward_rows(256, 1), 256);
  std::size_t m = 0;
  for (const auto& biases : {std::vector{BiasCase::distance, BiasCase::key_tensor},
                             std::vector{BiasCase::tensor, BiasCase::row_table},
                             std::vector{BiasCase::row_tensor, BiasCase::one_number},
                             std::vector{BiasCase::turned_tensor, BiasCase::narrow_distance}}) {
    const auto& norms = testing::norm_cases();
    for (const NormCase& norm : {norms[m % 2 == 0 ? 2 : 0], norms[(m + 5) % norms.size()]}) {
      const AttendPlan plan = m % 2 == 0 ? testing::make_plan({{600, 20}}, masks()[3 * (m / 2)])
                                         : testing::make_plan({{5, 5}, {300, 17}}, masks()[m]);
      const Heads n = m == 0 ? Heads{1, 1, 6, 5} : Heads{2, 1, 6, 5};
      const FormCase c{GetParam(), biases, norm};
      expect_equals_definition(plan, n, c);
      FormProblem<float> one(plan, n, c, 3), more(plan, n, c, 3);
      const int before = threads();
      set_threads(1);
      one.run();
      set_threads(3);
      more.run();
      set_threads(before);
      expect_same_bits(one, more);
    }
    ++m;
  }
}

TEST_P(AttendGeneral, SameBitsAloneAndAmongNeighbours) {
  const std::vector<Lengths> lengths = {{70, 90}, {5, 5}, {67, 64}, {1, 17}};
  const Heads n{2, 1, 12, 10};
  const AttendPlan together = testing::make_plan(lengths, testing::sees_causal);
  for (const NormCase& norm : testing::norm_cases()) {
    SCOPED_TRACE(norm.name);
    const FormCase c{GetParam(), {BiasCase::tensor, BiasCase::soft_cap}, norm};
    FormProblem<float> batch(together, n, c, 4);
    batch.run();
    std::int64_t q0 = 0, k0 = 0;
    for (const Lengths& length : lengths) {
      // The first sequence makes the tensors as large as those of the batch.
      const AttendPlan alone = testing::make_plan({{70, 90}, length}, testing::sees_causal);
      FormProblem<float> single(alone, n, c, 5);
      for (std::size_t v = 0; v < batch.values.size(); ++v) {
        std::copy(batch.values[v].begin(), batch.values[v].end(), single.values[v].begin());
      }
      const auto copy = [](const std::vector<float>& from, std::int64_t at, std::vector<float>& to,
                           std::int64_t to_at, std::int64_t count) {
        std::copy_n(from.begin() + at, count, to.begin() + to_at);
      };
      copy(batch.q, q0 * 24, single.q, 70 * 24, length.queries * 24);
      copy(batch.k, k0 * 12, single.k, 90 * 12, length.keys * 12);
      copy(batch.v, k0 * 10, single.v, 90 * 10, length.keys * 10);
      copy(batch.dout, q0 * 20, single.dout, 70 * 20, length.queries * 20);
      copy(batch.dlse, q0 * 2, single.dlse, 70 * 2, length.queries * 2);
      copy(batch.dentropy, q0 * 2, single.dentropy, 70 * 2, length.queries * 2);
      single.run();
      const auto at = [](std::int64_t x) { return static_cast<std::size_t>(x); };
      EXPECT_TRUE(same_bits(single.out, batch.out, 70 * 20, at(q0 * 20)));
      EXPECT_TRUE(same_bits(single.lse, batch.lse, 70 * 2, at(q0 * 2)));
      EXPECT_TRUE(same_bits(single.entropy, batch.entropy, 70 * 2, at(q0 * 2)));
      EXPECT_TRUE(same_bits(single.dq, batch.dq, 70 * 24, at(q0 * 24)));
      EXPECT_TRUE(same_bits(single.dk, batch.dk, 90 * 12, at(k0 * 12)));
      EXPECT_TRUE(same_bits(single.dv, batch.dv, 90 * 10, at(k0 * 10)));
      q0 += length.queries;
      k0 += length.keys;
    }
  }
}

TEST_P(AttendGeneral, HiddenNaNNeverLeaksAndChangesNoBit) {
  // Rows 3, 8, … see nothing, keys 7, 16, … are seen by nobody.
  const auto sees = [](std::int64_t i, std::int64_t j, std::int64_t, std::int64_t) {
    return i % 5 != 3 && j % 9 != 7 && j <= i + 60;
  };
  const AttendPlan plan = testing::make_plan({{20, 90}, {70, 70}}, sees);
  const std::vector<BiasCase> biases = {BiasCase::packed_tensor, BiasCase::soft_cap,
                                        BiasCase::function, BiasCase::row_table,
                                        BiasCase::distance};
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(),
                       std::numeric_limits<float>::infinity()};
  for (const NormCase& norm : testing::norm_cases()) {
    SCOPED_TRACE(norm.name);
    const FormCase c{GetParam(), biases, norm};
    FormProblem<float> clean(plan, {2, 1, 20, 18}, c, 8), poisoned(plan, {2, 1, 20, 18}, c, 8);
    const std::int64_t rows = plan.queries, keys = plan.keys;
    for (const auto& s : plan.segments) {
      for (std::int64_t j = s.k_begin + 7; j < s.k_end; j += 9) {
        for (std::int64_t d = 0; d < 20; ++d)
          poisoned.k[static_cast<std::size_t>(j * 20 + d)] = bad[d % 2];
        for (std::int64_t d = 0; d < 18; ++d)
          poisoned.v[static_cast<std::size_t>(j * 18 + d)] = bad[d % 2];
        for (std::int64_t i = 0; i < rows; ++i) {  // of the packed tensor, head 0
          const std::size_t first = c.score == ScoreForm::additive ? 1U : 0U;
          const std::size_t parameter = first + (c.norm.sinks ? 1U : 0U);
          poisoned.values[parameter][static_cast<std::size_t>(i * keys + j)] = bad[0];
        }
      }
      for (std::int64_t i = s.q_begin + 3; i < s.q_end; i += 5) {
        for (std::int64_t d = 0; d < 40; ++d)
          poisoned.q[static_cast<std::size_t>(i * 40 + d)] = bad[d % 2];
        for (std::int64_t d = 0; d < 36; ++d)
          poisoned.dout[static_cast<std::size_t>(i * 36 + d)] = bad[0];
        poisoned.dlse[static_cast<std::size_t>(i * 2)] = bad[0];
        poisoned.dentropy[static_cast<std::size_t>(i * 2)] = bad[0];
      }
    }
    clean.dropout = poisoned.dropout = Dropout::make(0.1, 5);
    clean.run();
    poisoned.run();  // after a run with NaN the scratch memory holds some
    clean.run();
    expect_same_bits(clean, poisoned);
    for (std::int64_t i = 3; i < 20; i += 5) {
      EXPECT_EQ(clean.lse[static_cast<std::size_t>(2 * i)],
                -std::numeric_limits<float>::infinity());
      EXPECT_EQ(clean.entropy[static_cast<std::size_t>(2 * i)], 0.0f);
      for (std::int64_t d = 0; d < 36; ++d) {
        ASSERT_EQ(clean.out[static_cast<std::size_t>(i * 36 + d)], 0.0f);
      }
      for (std::int64_t d = 0; d < 40; ++d) {
        ASSERT_EQ(clean.dq[static_cast<std::size_t>(i * 40 + d)], 0.0f);
      }
    }
  }
}

TEST(AttendGeneralEdges, VisibleNaNMakesItsRowsNaN) {
  // Key 69 is seen by row 69 only, before keys that it does not see.
  const AttendPlan plan = testing::make_plan(
      {{70, 80}}, [](auto i, auto j, auto, auto) { return j <= i && (i < 69 || j == 69); });
  const auto& norms = testing::norm_cases();
  for (std::size_t n = 0; n < 3 * norms.size(); ++n) {  // the function of the test refuses NaN
    const NormCase& norm = norms[n / 3];
    SCOPED_TRACE(norm.name + ", score " + std::to_string(n % 3));
    FormProblem<float> p(plan, {1, 1, 4, 3}, {kScores[n % 3], {}, norm}, 8);
    for (std::size_t d = 0; d < 4; ++d) p.k[69 * 4 + d] = std::numeric_limits<float>::quiet_NaN();
    p.run();
    for (std::size_t i = 0; i < 69 * 3; ++i) ASSERT_TRUE(std::isfinite(p.out[i]));
    for (std::size_t e = 0; e < 3; ++e) EXPECT_TRUE(std::isnan(p.out[69 * 3 + e]));
    EXPECT_TRUE(std::isnan(p.lse[69])) << p.lse[69];
    EXPECT_TRUE(!norm.exponential() || std::isnan(p.dq[69 * 4]));
  }
}

TEST(AttendGeneralEdges, BiasesOfMinusInfinity) {
  const AttendPlan plan = testing::make_plan({{20, 70}, {6, 6}}, testing::sees_causal);
  for (const NormCase& norm : testing::norm_cases()) {
    if (norm.name == "row") continue;  // the user's function would have to know about it
    SCOPED_TRACE(norm.name);
    const FormCase c{ScoreForm::product, {BiasCase::packed_tensor}, norm};
    expect_equals_definition(plan, {2, 1, 5, 4}, c, 2e-5, [&](auto& p) {
      auto& values = p.values[norm.sinks ? 1 : 0];
      const std::size_t keys = 76;
      for (std::size_t n = 0; n < values.size(); ++n) {
        const std::size_t i = n / keys % 26, j = n % keys;
        // Whole rows, the first key tile of a row, scattered keys.
        if (i == 2 || i == 25 || (i == 9 && j < 64) || (i + j) % 7 == 0) {
          values[n] = -std::numeric_limits<std::decay_t<decltype(values[n])>>::infinity();
        }
      }
    });
  }
}

TEST(AttendGeneralEdges, Sinks) {
  const AttendPlan plan = testing::make_plan({{20, 70}, {6, 3}}, testing::sees_causal);
  for (const NormCase& norm : testing::norm_cases()) {
    if (!norm.sinks) continue;
    for (const double sink : {-std::numeric_limits<double>::infinity(), 0.0, 30.0, -200.0}) {
      SCOPED_TRACE(sink);
      const FormCase c{ScoreForm::product, {BiasCase::packed_tensor}, norm};
      expect_equals_definition(plan, {2, 1, 5, 4}, c, 2e-5, [&](auto& p) {
        for (std::size_t j = 0; j < 73; ++j) {  // row 1 sees −∞ only
          p.values[1][73 + j] =
              -std::numeric_limits<std::decay_t<decltype(p.values[1][0])>>::infinity();
        }
        for (auto& x : p.values[0]) x = static_cast<std::decay_t<decltype(x)>>(sink);
      });
    }
  }
}

// Rounding of a score of size s is 6e-8·s, in both directions of the weights.
TEST(AttendGeneralEdges, LargeScores) {
  const AttendPlan plan = testing::make_plan({{20, 200}}, testing::sees_all);
  for (const NormCase& norm : testing::norm_cases()) {
    if (norm.kind == NormCase::Kind::kernel_sum || norm.name == "row") continue;
    for (const double base : {-2500.0, 2500.0}) {
      SCOPED_TRACE(norm.name + " about " + std::to_string(base));
      const FormCase c{ScoreForm::product, {BiasCase::one_number}, norm};
      expect_equals_definition(plan, {1, 1, 4, 4}, c, 2e-3, [&](auto& p) {
        auto& value = p.values[norm.sinks ? 1 : 0][0];
        value = static_cast<std::decay_t<decltype(value)>>(base);
      });
    }
  }
}

TEST(AttendGeneralEdges, HardTakesTheFirstOfEquals) {
  const AttendPlan plan = testing::make_plan({{3, 130}}, testing::sees_all);
  NormCase hard{"hard", NormCase::Kind::hard};
  FormProblem<float> p(plan, {1, 1, 2, 1}, {ScoreForm::product, {}, hard}, 3);
  for (std::size_t d = 0; d < 2; ++d) p.k[66 * 2 + d] = p.k[70 * 2 + d] = 100 * p.q[d];
  for (std::size_t j = 0; j < 130; ++j) p.v[j] = static_cast<float>(j);
  p.run();
  EXPECT_EQ(p.out[0], 66.0f);
  EXPECT_EQ(p.dv[70], 0.0f);
  for (float x : p.dq) EXPECT_EQ(x, 0.0f);
}

TEST(AttendGeneralEdges, NoNearKeyGivesZeros) {
  const AttendPlan plan = testing::make_plan({{3, 70}}, testing::sees_all);
  for (const NormCase& norm : testing::norm_cases()) {
    if (norm.kind != NormCase::Kind::kernel_sum) continue;
    FormProblem<float> p(plan, {1, 1, 2, 2}, {ScoreForm::pair, {}, norm}, 3);
    for (float& x : p.q) x += 50;
    p.run();
    for (const auto* x : {&p.out, &p.lse, &p.dq, &p.dk, &p.dv}) {
      for (float value : *x) ASSERT_EQ(value, 0.0f);
    }
  }
}

TEST(AttendGeneralEdges, EntropyOfPlainAttention) {
  const AttendPlan plan = testing::make_plan({{20, 70}, {6, 3}}, testing::sees_causal);
  const FormCase c{ScoreForm::product, {}, {"softmax", NormCase::Kind::softmax}};
  FormProblem<float> p(plan, {2, 1, 5, 4}, c, 3);
  FormProblem<double> exact(plan, {2, 1, 5, 4}, c, 3);
  exact.run(true);
  p.poison();
  auto forward = p.forward();
  forward.entropy = p.entropy.data();
  kernels::attend(forward);
  auto backward = p.backward(true);
  backward.entropy = p.entropy.data();
  backward.dentropy = p.dentropy.data();
  kernels::attend_backward(backward);
  expect_near(p, exact, 2e-5);
}

}  // namespace
}  // namespace qkv

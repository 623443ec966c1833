#include "qkv/kernels/crf.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "qkv/base/parallel.h"
#include "qkv/kernels/gemm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/crf.cc"
#include "qkv/kernels/targets.h"
// foreach_target re-includes this file for every target, so it comes before the rest.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Once more for each target.
#include <hwy/contrib/math/math-inl.h>

#include "qkv/kernels/loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// The largest number of x, −inf without any.
float Largest(std::int64_t n, const float* x) {
  const F d;
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  VF most = hn::Set(d, kLowest);
  ForEachVector(d, n, [&](std::int64_t i, auto at) {
    most = hn::Max(most, at.keep(d, at.load(d, x + i), kLowest));
  });
  return hn::GetLane(hn::MaxOfLanes(d, most));
}

/// out = x + y + shift, y may be null.
void AddShift(std::int64_t n, const float* x, const float* y, float shift, float* out) {
  const F d;
  const VF by = hn::Set(d, shift);
  ForEachVector(d, n, [&](std::int64_t i, auto at) {
    VF v = at.load(d, x + i);
    if (y) v = hn::Add(v, at.load(d, y + i));
    at.store(d, hn::Add(v, by), out + i);
  });
}

/// out = exp(x + y + shift), y may be null.
void ExpShift(std::int64_t n, const float* x, const float* y, float shift, float* out) {
  const F d;
  const VF by = hn::Set(d, shift);
  ForEachVector(d, n, [&](std::int64_t i, auto at) {
    VF v = at.load(d, x + i);
    if (y) v = hn::Add(v, at.load(d, y + i));
    at.store(d, Exp(d, hn::Add(v, by)), out + i);
  });
}

/// s[j] = Σ_i p[i] · x[i n + j], i in order.
void VectorMatrix(std::int64_t n, const float* p, const float* x, float* s) {
  const F d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t j = 0;
  for (; j + 4 * lanes <= n; j += 4 * lanes) {
    VF s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    for (std::int64_t i = 0; i < n; ++i) {
      const VF by = hn::Set(d, p[i]);
      const float* row = x + i * n + j;
      s0 = hn::MulAdd(by, hn::LoadU(d, row), s0);
      s1 = hn::MulAdd(by, hn::LoadU(d, row + lanes), s1);
      s2 = hn::MulAdd(by, hn::LoadU(d, row + 2 * lanes), s2);
      s3 = hn::MulAdd(by, hn::LoadU(d, row + 3 * lanes), s3);
    }
    hn::StoreU(s0, d, s + j);
    hn::StoreU(s1, d, s + j + lanes);
    hn::StoreU(s2, d, s + j + 2 * lanes);
    hn::StoreU(s3, d, s + j + 3 * lanes);
  }
  ForEachVector(d, n - j, [&](std::int64_t k, auto at) {
    VF sum = hn::Zero(d);
    for (std::int64_t i = 0; i < n; ++i) {
      sum = hn::MulAdd(hn::Set(d, p[i]), at.load(d, x + i * n + j + k), sum);
    }
    at.store(d, sum, s + j + k);
  });
}

/// out = log s + c + e, e may be null.
void LogAdd(std::int64_t n, const float* s, const float* c, const float* e, float* out) {
  const F d;
  ForEachVector(d, n, [&](std::int64_t i, auto at) {
    VF v = hn::Add(hn::Log(d, at.load(d, s + i)), at.load(d, c + i));
    if (e) v = hn::Add(v, at.load(d, e + i));
    at.store(d, v, out + i);
  });
}

/// next[j] = max_i (best[i] + a[i n + j]) + e[j], from[j] the lowest such i (as a float: labels are
/// far fewer than 2^24).
void BestStep(std::int64_t n, const float* best, const float* a, const float* e, float* next,
              float* from) {
  const F d;
  ForEachVector(d, n, [&](std::int64_t j, auto at) {
    VF most = hn::Add(hn::Set(d, best[0]), at.load(d, a + j)), argument = hn::Zero(d);
    for (std::int64_t i = 1; i < n; ++i) {
      const VF v = hn::Add(hn::Set(d, best[i]), at.load(d, a + i * n + j));
      const auto more = hn::Gt(v, most);
      most = hn::IfThenElse(more, v, most);
      argument = hn::IfThenElse(more, hn::Set(d, static_cast<float>(i)), argument);
    }
    at.store(d, hn::Add(most, at.load(d, e + j)), next + j);
    at.store(d, argument, from + j);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {

HWY_EXPORT(Largest);
HWY_EXPORT(AddShift);
HWY_EXPORT(ExpShift);
HWY_EXPORT(VectorMatrix);
HWY_EXPORT(LogAdd);
HWY_EXPORT(BestStep);

namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
// Sums below are formed again. Products that left the range of floats are below e^−87 each, and
// count for nothing in a sum of more than this e^−64.
constexpr float kLeast = 1.6e-28f;
// Above, an exponential comes too close to the end of the range.
constexpr float kMost = 60.0f;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

float largest(std::int64_t n, const float* x) { return HWY_DYNAMIC_DISPATCH(Largest)(n, x); }

/// Takes the largest number out of x and returns it; 0 when there is none.
float take_largest(std::int64_t n, float* x) {
  const float most = largest(n, x);
  if (!(most > kNever && std::isfinite(most))) return 0.0f;
  HWY_DYNAMIC_DISPATCH(AddShift)(n, x, nullptr, -most, x);
  return most;
}

/// Steps along the chain in one direction: to label j come all i by weight[i n + j].
struct Steps {
  std::int64_t n;
  const float* to;       // [n n]: row j has the weights of all i to j
  std::vector<float> x;  // [n n]: exp(weight − c)
  std::vector<float> c;  // [n]: the largest weight to j
  // `weight` and `incoming` are transposes of each other.
  Steps(std::int64_t labels, const float* weight, const float* incoming)
      : n(labels), to(incoming), x(at(labels * labels)), c(at(labels)) {
    std::vector<float> minus(at(n));
    for (std::int64_t j = 0; j < n; ++j) {
      const float most = largest(n, to + j * n);
      c[at(j)] = most;
      minus[at(j)] = most > kNever ? -most : 0.0f;
    }
    for (std::int64_t i = 0; i < n; ++i) {
      HWY_DYNAMIC_DISPATCH(ExpShift)(n, weight + i * n, minus.data(), 0.0f, x.data() + i * n);
    }
  }

  float in_logarithms(const float* logs, std::int64_t j) const {
    const float* weight = to + j * n;
    float most = kNever;
    for (std::int64_t i = 0; i < n; ++i) most = std::max(most, logs[i] + weight[i]);
    if (most == kNever) return most;
    float sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += std::exp(logs[i] + weight[i] - most);
    return most + std::log(sum);
  }
  /// out[j] = log Σ_i exp(logs[i] + weight[i j]) + e[j] (e may be null), p[i] = exp(logs[i]); the
  /// largest of `logs` is 0. s is scratch.
  void operator()(const float* logs, const float* e, float* p, float* s, float* out) const {
    HWY_DYNAMIC_DISPATCH(ExpShift)(n, logs, nullptr, 0.0f, p);
    HWY_DYNAMIC_DISPATCH(VectorMatrix)(n, p, x.data(), s);
    HWY_DYNAMIC_DISPATCH(LogAdd)(n, s, c.data(), e, out);
    for (std::int64_t j = 0; j < n; ++j) {
      if (s[j] >= kLeast && std::isfinite(s[j])) continue;
      if (!(s[j] < kLeast)) {  // a NaN or infinity among the emissions
        out[j] = s[j];
        continue;
      }
      const bool never = c[at(j)] == kNever || (e && e[j] == kNever);
      out[j] = never ? kNever : in_logarithms(logs, j) + (e ? e[j] : 0.0f);
    }
  }
};

/// What the passes over one sequence need.
struct Scratch {
  std::vector<float> p, s, x, y;
  explicit Scratch(std::int64_t labels)
      : p(at(labels)), s(at(labels)), x(at(labels)), y(at(labels)) {}
};

/// alpha [n L], the largest of each row taken out and added up in shift [n]; returns log Z.
double forward(const CrfChains<float>& a, const Steps& steps, std::int64_t first, std::int64_t n,
               Scratch& scratch, float* alpha, double* shift) {
  const std::int64_t L = a.labels;
  if (n == 0) return 0;
  const float* e = a.emissions + first * L;
  HWY_DYNAMIC_DISPATCH(AddShift)(L, a.start, e, 0.0f, alpha);
  shift[0] = static_cast<double>(take_largest(L, alpha));
  for (std::int64_t t = 1; t < n; ++t) {
    float* row = alpha + t * L;
    steps(row - L, e + t * L, scratch.p.data(), scratch.s.data(), row);
    shift[t] = shift[t - 1] + static_cast<double>(take_largest(L, row));
  }
  HWY_DYNAMIC_DISPATCH(AddShift)(L, alpha + (n - 1) * L, a.end, 0.0f, scratch.x.data());
  const float most = take_largest(L, scratch.x.data());
  double sum = 0;
  for (const float x : scratch.x) sum += std::exp(static_cast<double>(x));
  return shift[n - 1] + static_cast<double>(most) + std::log(sum);
}

/// A step whose exponentials do not fit: its expectation is formed one by one.
struct WideStep {
  std::int64_t row;  // of the label before
  double shift;
  std::vector<float> after;  // [L]
};

/// The way back through one sequence. leaving[t] = exp alpha_t and reaching[t] = the weight of all
/// ways on from t + 1: their product, times the exponentials of the steps, is what is expected.
struct Backward {
  const CrfChains<float>& a;
  const Steps& there;  // forward
  const Steps& back;
  float *emissions, *leaving, *reaching;
  double log_z;

  void operator()(std::int64_t first, std::int64_t n, const float* alpha, const double* shift,
                  Scratch& scratch, std::vector<WideStep>& wide) const {
    const std::int64_t L = a.labels;
    const auto exp_shift = HWY_DYNAMIC_DISPATCH(ExpShift);
    float* beta = scratch.x.data();
    float* after = scratch.y.data();
    std::copy_n(a.end, L, beta);
    double below = static_cast<double>(take_largest(L, beta));
    for (std::int64_t t = n - 1; t >= 0; --t) {
      const std::int64_t row = first + t;
      exp_shift(L, alpha + t * L, beta, static_cast<float>(shift[t] + below - log_z),
                emissions + row * L);
      exp_shift(L, alpha + t * L, nullptr, 0.0f, leaving + row * L);
      if (t == n - 1) std::fill_n(reaching + row * L, L, 0.0f);
      if (t == 0) break;
      HWY_DYNAMIC_DISPATCH(AddShift)(L, a.emissions + row * L, beta, 0.0f, after);
      below += static_cast<double>(take_largest(L, after));
      const double shifted = shift[t - 1] + below - log_z;
      float* reached = reaching + (row - 1) * L;
      HWY_DYNAMIC_DISPATCH(AddShift)
      (L, after, there.c.data(), static_cast<float>(shifted), reached);
      if (largest(L, reached) > kMost) {
        wide.push_back({row - 1, shifted, {after, after + L}});
        std::fill_n(reached, L, 0.0f);
      } else {
        exp_shift(L, reached, nullptr, 0.0f, reached);
      }
      back(after, nullptr, scratch.p.data(), scratch.s.data(), beta);
      below += static_cast<double>(take_largest(L, beta));
    }
  }
};

std::vector<float> transposed(const CrfChains<float>& a) {
  std::vector<float> t(at(a.labels * a.labels));
  transpose(a.labels, a.labels, a.transition, t.data());
  return t;
}

}  // namespace

void crf_partition(const CrfChains<float>& a, double* log_z) {
  const std::int64_t L = a.labels;
  const std::vector<float> incoming = transposed(a);
  const Steps steps(L, a.transition, incoming.data());
  parallel_for(a.sequences, 1, [&](std::int64_t b, std::int64_t) {
    const std::int64_t first = a.offsets[b], n = a.offsets[b + 1] - first;
    Scratch scratch(L);
    std::vector<float> alpha(at(n * L));
    std::vector<double> shift(at(n));
    log_z[b] = forward(a, steps, first, n, scratch, alpha.data(), shift.data());
  });
}

void crf_expectation(const CrfChains<float>& a, double* log_z, const CrfExpectation<float>& to) {
  const std::int64_t L = a.labels, rows = a.rows();
  const std::vector<float> incoming = transposed(a);
  const Steps there(L, a.transition, incoming.data()), back(L, incoming.data(), a.transition);
  std::vector<float> leaving(at(rows * L)), reaching(at(rows * L));
  std::vector<std::vector<WideStep>> wide(at(a.sequences));
  parallel_for(a.sequences, 1, [&](std::int64_t b, std::int64_t) {
    const std::int64_t first = a.offsets[b], n = a.offsets[b + 1] - first;
    Scratch scratch(L);
    std::vector<float> alpha(at(n * L));
    std::vector<double> shift(at(n));
    log_z[b] = forward(a, there, first, n, scratch, alpha.data(), shift.data());
    if (!std::isfinite(log_z[b])) {
      std::fill_n(to.emissions + first * L, n * L, 0.0f);
      return;  // leaving and reaching are zero
    }
    const Backward backward{a,       there, back, to.emissions, leaving.data(), reaching.data(),
                            log_z[b]};
    backward(first, n, alpha.data(), shift.data(), scratch, wide[at(b)]);
    for (const WideStep& step : wide[at(b)]) {  // these want logarithms
      std::copy_n(alpha.data() + (step.row - first) * L, L, leaving.data() + step.row * L);
    }
  });

  // What is expected of wide steps, then of all others in one product.
  std::vector<double> more(at(L * L));
  for (std::vector<WideStep>& steps : wide) {
    std::sort(steps.begin(), steps.end(),
              [](const WideStep& x, const WideStep& y) { return x.row < y.row; });
    for (const WideStep& step : steps) {
      float* before = leaving.data() + step.row * L;
      for (std::int64_t i = 0; i < L; ++i) {
        for (std::int64_t j = 0; j < L; ++j) {
          more[at(i * L + j)] += std::exp(static_cast<double>(before[i]) +
                                          static_cast<double>(a.transition[i * L + j]) +
                                          static_cast<double>(step.after[at(j)]) + step.shift);
        }
      }
      std::fill_n(before, L, 0.0f);
    }
  }
  gemm_tn(L, L, rows, leaving.data(), L, reaching.data(), L, 0.0f, to.transition, L);
  for (std::int64_t i = 0; i < L * L; ++i) {
    to.transition[i] = to.transition[i] * there.x[at(i)] + static_cast<float>(more[at(i)]);
  }
  std::fill_n(to.start, L, 0.0f);
  std::fill_n(to.end, L, 0.0f);
  for (std::int64_t b = 0; b < a.sequences; ++b) {
    if (a.offsets[b] == a.offsets[b + 1]) continue;
    const float* start = to.emissions + a.offsets[b] * L;
    const float* end = to.emissions + (a.offsets[b + 1] - 1) * L;
    HWY_DYNAMIC_DISPATCH(AddShift)(L, to.start, start, 0.0f, to.start);
    HWY_DYNAMIC_DISPATCH(AddShift)(L, to.end, end, 0.0f, to.end);
  }
}

void crf_best(const CrfChains<float>& a, std::int32_t* labels) {
  const std::int64_t L = a.labels;
  parallel_for(a.sequences, 1, [&](std::int64_t b, std::int64_t) {
    const std::int64_t first = a.offsets[b], n = a.offsets[b + 1] - first;
    if (n == 0) return;
    const float* e = a.emissions + first * L;
    std::vector<float> best(at(L)), next(at(L)), from(at(n * L));
    HWY_DYNAMIC_DISPATCH(AddShift)(L, a.start, e, 0.0f, best.data());
    take_largest(L, best.data());
    for (std::int64_t t = 1; t < n; ++t) {
      HWY_DYNAMIC_DISPATCH(BestStep)
      (L, best.data(), a.transition, e + t * L, next.data(), from.data() + t * L);
      take_largest(L, next.data());  // of long sequences only differences matter
      std::swap(best, next);
    }
    HWY_DYNAMIC_DISPATCH(AddShift)(L, best.data(), a.end, 0.0f, best.data());
    auto j = static_cast<std::int64_t>(std::max_element(best.begin(), best.end()) - best.begin());
    for (std::int64_t t = n - 1; t >= 0; --t) {
      labels[first + t] = static_cast<std::int32_t>(j);
      j = static_cast<std::int64_t>(from[at(t * L + j)]);
    }
  });
}

}  // namespace qkv::kernels
#endif

// The definition of the sums over paths: in logarithms, one after the other.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "qkv/kernels/crf.h"

namespace qkv::kernels::definition {
namespace {

template <class T>
constexpr T kNever = -std::numeric_limits<T>::infinity();

/// log Σ_i exp(term(i)); −inf for no terms.
template <class T, class Term>
T log_sum(std::int64_t n, Term&& term) {
  T most = kNever<T>;
  for (std::int64_t i = 0; i < n; ++i) {
    const T x = term(i);
    if (x > most || std::isnan(x)) most = x;
  }
  if (most == kNever<T> || std::isnan(most)) return most;
  T sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += std::exp(term(i) - most);
  return most + std::log(sum);
}

template <class T>
struct Chain {
  const CrfChains<T>& a;
  std::int64_t first, n;

  Chain(const CrfChains<T>& all, std::int64_t b)
      : a(all), first(all.offsets[b]), n(all.offsets[b + 1] - first) {}
  T emission(std::int64_t t, std::int64_t j) const {
    return a.emissions[(first + t) * a.labels + j];
  }
  T step(std::int64_t i, std::int64_t j) const { return a.transition[i * a.labels + j]; }

  /// alpha[t j] = log Σ of all paths that end in j at t.
  std::vector<T> forward() const {
    const std::int64_t L = a.labels;
    std::vector<T> alpha(static_cast<std::size_t>(n * L));
    for (std::int64_t t = 0; t < n; ++t) {
      const T* before = alpha.data() + (t - 1) * L;
      for (std::int64_t j = 0; j < L; ++j) {
        alpha[static_cast<std::size_t>(t * L + j)] =
            emission(t, j) + (t == 0 ? a.start[j] : log_sum<T>(L, [&](std::int64_t i) {
              return before[i] + step(i, j);
            }));
      }
    }
    return alpha;
  }
  /// beta[t i] = log Σ of all ways on from i at t.
  std::vector<T> backward() const {
    const std::int64_t L = a.labels;
    std::vector<T> beta(static_cast<std::size_t>(n * L));
    for (std::int64_t t = n - 1; t >= 0; --t) {
      const T* after = beta.data() + (t + 1) * L;
      for (std::int64_t i = 0; i < L; ++i) {
        beta[static_cast<std::size_t>(t * L + i)] =
            t == n - 1 ? a.end[i] : log_sum<T>(L, [&](std::int64_t j) {
              return step(i, j) + emission(t + 1, j) + after[j];
            });
      }
    }
    return beta;
  }
  double partition(const std::vector<T>& alpha) const {
    if (n == 0) return 0;
    const T* last = alpha.data() + (n - 1) * a.labels;
    return static_cast<double>(
        log_sum<T>(a.labels, [&](std::int64_t j) { return last[j] + a.end[j]; }));
  }
};

}  // namespace

template <class T>
void crf_partition(const CrfChains<T>& a, double* log_z) {
  for (std::int64_t b = 0; b < a.sequences; ++b) {
    const Chain<T> chain(a, b);
    log_z[b] = chain.partition(chain.forward());
  }
}

template <class T>
void crf_expectation(const CrfChains<T>& a, double* log_z, const CrfExpectation<T>& to) {
  const std::int64_t L = a.labels;
  std::fill_n(to.emissions, a.rows() * L, T(0));
  std::fill_n(to.transition, L * L, T(0));
  std::fill_n(to.start, L, T(0));
  std::fill_n(to.end, L, T(0));
  for (std::int64_t b = 0; b < a.sequences; ++b) {
    const Chain<T> chain(a, b);
    const std::vector<T> alpha = chain.forward(), beta = chain.backward();
    log_z[b] = chain.partition(alpha);
    if (!std::isfinite(log_z[b])) continue;
    const T z = static_cast<T>(log_z[b]);
    for (std::int64_t t = 0; t < chain.n; ++t) {
      const T* at = alpha.data() + t * L;
      for (std::int64_t j = 0; j < L; ++j) {
        const T p = std::exp(at[j] + beta[static_cast<std::size_t>(t * L + j)] - z);
        to.emissions[(chain.first + t) * L + j] = p;
        if (t == 0) to.start[j] += p;
        if (t == chain.n - 1) to.end[j] += p;
      }
      if (t == chain.n - 1) continue;
      const T* after = beta.data() + (t + 1) * L;
      for (std::int64_t i = 0; i < L; ++i) {
        for (std::int64_t j = 0; j < L; ++j) {
          to.transition[i * L + j] +=
              std::exp(at[i] + chain.step(i, j) + chain.emission(t + 1, j) + after[j] - z);
        }
      }
    }
  }
}

template <class T>
void crf_best(const CrfChains<T>& a, std::int32_t* labels) {
  const std::int64_t L = a.labels;
  std::vector<T> best(static_cast<std::size_t>(L)), next(best);
  for (std::int64_t b = 0; b < a.sequences; ++b) {
    const Chain<T> chain(a, b);
    if (chain.n == 0) continue;
    std::vector<std::int32_t> from(static_cast<std::size_t>(chain.n * L));
    for (std::int64_t t = 0; t < chain.n; ++t) {
      for (std::int64_t j = 0; j < L; ++j) {
        std::int64_t argument = 0;
        for (std::int64_t i = 1; t > 0 && i < L; ++i) {
          if (best[static_cast<std::size_t>(i)] + chain.step(i, j) >
              best[static_cast<std::size_t>(argument)] + chain.step(argument, j)) {
            argument = i;
          }
        }
        from[static_cast<std::size_t>(t * L + j)] = static_cast<std::int32_t>(argument);
        next[static_cast<std::size_t>(j)] =
            chain.emission(t, j) +
            (t == 0 ? a.start[j]
                    : best[static_cast<std::size_t>(argument)] + chain.step(argument, j));
      }
      // Of long sequences only differences matter.
      const T most = *std::max_element(next.begin(), next.end());
      for (std::int64_t j = 0; j < L; ++j) {
        best[static_cast<std::size_t>(j)] =
            next[static_cast<std::size_t>(j)] - (std::isfinite(most) ? most : T(0));
      }
    }
    std::int64_t j = 0;
    for (std::int64_t i = 1; i < L; ++i) {
      if (best[static_cast<std::size_t>(i)] + a.end[i] >
          best[static_cast<std::size_t>(j)] + a.end[j]) {
        j = i;
      }
    }
    for (std::int64_t t = chain.n - 1; t >= 0; --t) {
      labels[chain.first + t] = static_cast<std::int32_t>(j);
      j = from[static_cast<std::size_t>(t * L + j)];
    }
  }
}

template void crf_partition(const CrfChains<float>&, double*);
template void crf_partition(const CrfChains<double>&, double*);
template void crf_expectation(const CrfChains<float>&, double*, const CrfExpectation<float>&);
template void crf_expectation(const CrfChains<double>&, double*, const CrfExpectation<double>&);
template void crf_best(const CrfChains<float>&, std::int32_t*);
template void crf_best(const CrfChains<double>&, std::int32_t*);

}  // namespace qkv::kernels::definition

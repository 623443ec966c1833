#include "qkv/kernels/attention/normalise.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

namespace qkv::kernels {
namespace {

template <class T>
constexpr T kNone = -std::numeric_limits<T>::infinity();

template <class T>
RowResult<T> softmax(const NormForm<T>& form, std::int64_t head, std::span<const T> s,
                     std::span<T> p) {
  const bool sinks = form.kind == NormForm<T>::Kind::sink;
  const T sink = !sinks ? kNone<T> : form.sink ? form.sink[head] : T{0};
  T top = sink;
  for (const T x : s) top = std::max(top, x);
  T sum = sinks ? std::exp(sink - top) : T{0};
  for (std::size_t j = 0; j < s.size(); ++j) sum += p[j] = std::exp(s[j] - top);
  const T lse = top + std::log(sum);
  T mean = 0;  // Σ p·s; 0 · −inf must not arise
  for (std::size_t j = 0; j < s.size(); ++j) {
    p[j] /= sum;
    if (p[j] > 0) mean += p[j] * s[j];
  }
  if (sinks && sink > kNone<T>) mean += std::exp(sink - lse) * sink;
  return {lse, std::max(T{0}, lse - mean)};
}

/// The largest s get [s − τ]₊ with Σ = 1: grow the support while its smallest member stays
/// positive.
template <class T>
T sparsemax_threshold(std::span<const T> s) {
  std::vector<T> sorted(s.begin(), s.end());
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  T sum = 0, threshold = 0;
  for (std::size_t n = 0; n < sorted.size(); ++n) {
    sum += sorted[n];
    const T candidate = (sum - 1) / static_cast<T>(n + 1);
    if (sorted[n] <= candidate) break;
    threshold = candidate;
  }
  return threshold;
}

template <class T>
T entmax_weight(T alpha, T scaled, T threshold) {
  const T x = scaled - threshold;
  if (!(x > 0)) return 0;
  return alpha == T{1.5} ? x * x : std::pow(x, 1 / (alpha - 1));
}

/// τ between the values at which the largest weight alone is 1 and at which all N are 1/N; halving
/// as often as T has bits, since the sum falls with τ.
template <class T>
T entmax_threshold(T alpha, std::span<const T> s) {
  const T top = (alpha - 1) * *std::max_element(s.begin(), s.end());
  T low = top - 1, high = top - std::pow(static_cast<T>(s.size()), 1 - alpha);
  for (int n = 0; n < std::numeric_limits<T>::digits; ++n) {
    const T middle = low + (high - low) / 2;
    T sum = 0;
    for (const T x : s) sum += entmax_weight(alpha, (alpha - 1) * x, middle);
    (sum >= 1 ? low : high) = middle;
  }
  return low;
}

}  // namespace

template <class T>
T window_value(WindowShape shape, T s) {
  const T square = std::max(T{0}, -2 * s);  // u²
  switch (shape) {
    case WindowShape::boxcar:
      return square <= 1 ? T{1} : T{0};
    case WindowShape::triangular:
      return std::max(T{0}, 1 - std::sqrt(square));
    case WindowShape::epanechnikov:
      return std::max(T{0}, 1 - square);
  }
  return 0;
}

template <class T>
T window_slope(WindowShape shape, T s) {
  const T square = -2 * s;
  const bool inside = square > T{0} && square < T{1};  // false for NaN
  if (!inside) return 0;
  switch (shape) {
    case WindowShape::boxcar:
      return 0;
    case WindowShape::triangular:
      return 1 / std::sqrt(square);
    case WindowShape::epanechnikov:
      return 2;
  }
  return 0;
}

template <class T>
RowResult<T> normalise(const NormForm<T>& form, std::int64_t head, std::span<const T> s,
                       std::span<T> p) {
  using Kind = typename NormForm<T>::Kind;
  std::fill(p.begin(), p.end(), T{0});
  const RowResult<T> empty{form.exponential() ? kNone<T> : T{0}, T{0}};
  if (s.empty()) return empty;
  if (std::any_of(s.begin(), s.end(), [](T x) { return std::isnan(x); })) {
    const T nan = std::numeric_limits<T>::quiet_NaN();
    std::fill(p.begin(), p.end(), nan);  // comparisons would swallow it
    return {nan, nan};
  }
  const bool nothing = std::all_of(s.begin(), s.end(), [](T x) { return x == kNone<T>; });
  const bool sinks = form.kind == Kind::sink && !(form.sink && form.sink[head] == kNone<T>);
  if (nothing && !sinks) return empty;
  switch (form.kind) {
    case Kind::softmax:
    case Kind::sink:
      return softmax(form, head, s, p);
    case Kind::relu: {
      const T share = form.mean ? 1 / static_cast<T>(s.size()) : T{1};
      for (std::size_t j = 0; j < s.size(); ++j) p[j] = s[j] <= 0 ? T{0} : share * s[j];
      return {0, 0};
    }
    case Kind::sigmoid:
      for (std::size_t j = 0; j < s.size(); ++j) {
        p[j] = 1 / (1 + std::exp(-s[j] - static_cast<T>(form.shift)));
      }
      return {0, 0};
    case Kind::kernel_sum: {
      T sum = 0;
      for (std::size_t j = 0; j < s.size(); ++j) sum += p[j] = window_value(form.window, s[j]);
      if (sum == 0) return {0, 0};
      for (T& x : p) x /= sum;
      return {sum, 0};
    }
    case Kind::sparsemax: {
      const T threshold = sparsemax_threshold(s);
      for (std::size_t j = 0; j < s.size(); ++j) p[j] = std::max(T{0}, s[j] - threshold);
      return {threshold, 0};
    }
    case Kind::entmax: {
      const T alpha = static_cast<T>(form.alpha), threshold = entmax_threshold(alpha, s);
      T sum = 0;
      for (std::size_t j = 0; j < s.size(); ++j) {
        sum += p[j] = entmax_weight(alpha, (alpha - 1) * s[j], threshold);
      }
      for (T& x : p) x /= sum;  // what the last halving left over
      return {threshold, 0};
    }
    case Kind::hard:
      p[static_cast<std::size_t>(std::max_element(s.begin(), s.end()) - s.begin())] = 1;
      return {0, 0};
    case Kind::row: {
      const std::vector<double> scores(s.begin(), s.end());
      std::vector<double> weights(s.size(), 0.0);
      form.row->forward(scores, weights);
      std::transform(weights.begin(), weights.end(), p.begin(),
                     [](double x) { return static_cast<T>(x); });
      return {0, 0};
    }
  }
  return empty;
}

template <class T>
void normalise_backward(const NormForm<T>& form, std::int64_t head, std::span<const T> s,
                        std::span<const T> p, const RowResult<T>& result, std::span<const T> dp,
                        T dlse, T dentropy, std::span<T> ds) {
  using Kind = typename NormForm<T>::Kind;
  const std::size_t n = s.size();
  std::fill(ds.begin(), ds.end(), T{0});
  switch (form.kind) {
    case Kind::softmax:
    case Kind::sink: {
      if (result.statistic == kNone<T>) return;
      T delta = 0;
      for (std::size_t j = 0; j < n; ++j) delta += p[j] * dp[j];
      // ∂H/∂s_j = −p_j (log p_j + H), log p_j = s_j − lse
      const auto slope = [&](T weight, T score, T dweight) {
        if (weight == 0) return T{0};
        return weight *
               (dweight - delta + dlse - dentropy * (score - result.statistic + result.entropy));
      };
      for (std::size_t j = 0; j < n; ++j) ds[j] = slope(p[j], s[j], dp[j]);
      if (form.kind == Kind::sink && form.dsink) {
        const T sink = form.sink ? form.sink[head] : T{0};
        form.dsink[head] += slope(std::exp(sink - result.statistic), sink, T{0});
      }
      return;
    }
    case Kind::relu: {
      const T share = form.mean ? 1 / static_cast<T>(n) : T{1};
      for (std::size_t j = 0; j < n; ++j) ds[j] = s[j] > 0 ? share * dp[j] : T{0};
      return;
    }
    case Kind::sigmoid:
      for (std::size_t j = 0; j < n; ++j) ds[j] = p[j] * (1 - p[j]) * dp[j];
      return;
    case Kind::kernel_sum: {
      if (result.statistic == 0) return;
      T delta = 0;
      for (std::size_t j = 0; j < n; ++j) delta += p[j] * dp[j];
      for (std::size_t j = 0; j < n; ++j) {
        ds[j] = window_slope(form.window, s[j]) / result.statistic * (dp[j] - delta);
      }
      return;
    }
    case Kind::sparsemax:
    case Kind::entmax: {
      // ds = g (dp − Σ g dp / Σ g) with g = p^(2−α), for sparsemax 1 on the support
      const T power = form.kind == Kind::sparsemax ? T{0} : 2 - static_cast<T>(form.alpha);
      T sum = 0, weighted = 0;
      for (std::size_t j = 0; j < n; ++j) {
        if (p[j] == 0) continue;
        ds[j] = power == 0 ? T{1} : std::pow(p[j], power);
        sum += ds[j];
        weighted += ds[j] * dp[j];
      }
      for (std::size_t j = 0; j < n; ++j)
        ds[j] = p[j] == 0 ? T{0} : ds[j] * (dp[j] - weighted / sum);
      return;
    }
    case Kind::hard:
      return;
    case Kind::row: {
      const std::vector<double> scores(s.begin(), s.end()), weights(p.begin(), p.end()),
          dweights(dp.begin(), dp.end());
      std::vector<double> dscores(n, 0.0);
      form.row->backward(scores, weights, dweights, dscores);
      std::transform(dscores.begin(), dscores.end(), ds.begin(),
                     [](double x) { return static_cast<T>(x); });
      return;
    }
  }
}

template float window_value(WindowShape, float);
template double window_value(WindowShape, double);
template float window_slope(WindowShape, float);
template double window_slope(WindowShape, double);
template RowResult<float> normalise(const NormForm<float>&, std::int64_t, std::span<const float>,
                                    std::span<float>);
template RowResult<double> normalise(const NormForm<double>&, std::int64_t, std::span<const double>,
                                     std::span<double>);
template void normalise_backward(const NormForm<float>&, std::int64_t, std::span<const float>,
                                 std::span<const float>, const RowResult<float>&,
                                 std::span<const float>, float, float, std::span<float>);
template void normalise_backward(const NormForm<double>&, std::int64_t, std::span<const double>,
                                 std::span<const double>, const RowResult<double>&,
                                 std::span<const double>, double, double, std::span<double>);

}  // namespace qkv::kernels

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "qkv/kernels/attention/cached.h"

namespace qkv::kernels::definition {
namespace {

/// Row `row` of q, out and weights, which sees keys [begin, end) of hypothesis b with head h.
template <class T>
void attend_row(const AttendCached<T>& a, std::int64_t b, std::int64_t row, std::int64_t h,
                std::int64_t begin, std::int64_t end) {
  const std::int64_t g = h / (a.heads / a.kv_heads), qh = row * a.heads + h;
  const auto stored = [&](std::int64_t j) {
    return a.table[b * a.table_stride + j] + g * kCachePage;
  };
  std::vector<T> p;
  for (std::int64_t j = begin; j < end; ++j) {
    T s = 0;
    for (std::int64_t i = 0; i < a.k.dim; ++i) {
      s += a.q[qh * a.k.dim + i] * static_cast<T>(stored_element(a.k, stored(j), i));
    }
    s *= static_cast<T>(a.scale);
    const T cap = static_cast<T>(a.soft_cap);
    if (cap != 0) s = cap * std::tanh(s / cap);
    if (a.slopes) s -= static_cast<T>(a.slopes[h]) * static_cast<T>(end - 1 - j);
    p.push_back(s);
  }
  T* out = a.out + qh * a.v.dim;
  std::fill_n(out, a.v.dim, T{0});
  if (a.weights) std::fill_n(a.weights + qh * a.table_stride, a.table_stride, T{0});
  if (p.empty()) return;
  T top = *std::max_element(p.begin(), p.end()), sum = 0;
  if (a.sinks) top = std::max(top, static_cast<T>(a.sinks[h]));
  for (T& x : p) sum += x = std::exp(x - top);
  if (a.sinks) sum += std::exp(static_cast<T>(a.sinks[h]) - top);
  for (std::int64_t j = begin; j < end; ++j) {
    const T weight = p[static_cast<std::size_t>(j - begin)] / sum;
    if (a.weights) a.weights[qh * a.table_stride + j] = weight;
    for (std::int64_t e = 0; e < a.v.dim; ++e) {
      out[e] += weight * static_cast<T>(stored_element(a.v, stored(j), e));
    }
  }
}

}  // namespace

template <class T>
void attend_cached(const AttendCached<T>& a) {
  for (std::int64_t b = 0; b < a.rows; ++b) {
    const std::int64_t first = query_begin(a, b), count = query_begin(a, b + 1) - first;
    for (std::int64_t t = 0; t < count; ++t) {
      const std::int64_t after = a.causal ? count - 1 - t : 0;
      const std::int64_t end = std::max<std::int64_t>(0, a.lengths[b] - after);
      const std::int64_t begin = a.window > 0 ? std::max<std::int64_t>(0, end - a.window) : 0;
      for (std::int64_t h = 0; h < a.heads; ++h) attend_row(a, b, first + t, h, begin, end);
    }
  }
}

template void attend_cached(const AttendCached<float>&);
template void attend_cached(const AttendCached<double>&);

}  // namespace qkv::kernels::definition

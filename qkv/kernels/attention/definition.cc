// The definition of attention, row by row as the formulas read (docs/attention.md): the oracle that
// the fast forms are tested against, and the form for double.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "qkv/kernels/attention/attend.h"

namespace qkv::kernels::definition {
namespace {

/// visit(i, segment) for every query row of every segment.
template <class F>
void each_row(const AttendPlan& plan, F&& visit) {
  for (const AttendPlan::Segment& s : plan.segments) {
    for (std::int64_t i = s.q_begin; i < s.q_end; ++i) visit(i, s);
  }
}

/// visit(j) for every key that row i sees.
template <class F>
void each_key(const AttendPlan& plan, std::int64_t i, F&& visit) {
  const auto row = static_cast<std::size_t>(i);
  for (std::int64_t x = plan.row_offsets[row]; x < plan.row_offsets[row + 1]; ++x) {
    const Interval seen = plan.intervals[static_cast<std::size_t>(x)];
    for (std::int64_t j = seen.begin; j < seen.end; ++j) visit(j);
  }
}

template <class T>
T dot(std::int64_t n, const T* a, const T* b) {
  T sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

template <class T>
void add_scaled(std::int64_t n, T scale, const T* x, T* y) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += scale * x[i];
}

}  // namespace

template <class T>
void attend(const Attend<T>& a) {
  const std::int64_t group = a.kv_heads > 0 ? a.heads / a.kv_heads : 1;
  std::fill_n(a.out, a.plan->queries * a.heads * a.value_dim, T{0});
  std::fill_n(a.lse, a.plan->queries * a.heads, -std::numeric_limits<T>::infinity());
  std::vector<T> scores;
  each_row(*a.plan, [&](std::int64_t i, const AttendPlan::Segment& segment) {
    for (std::int64_t h = 0; h < a.heads; ++h) {
      const std::int64_t row = i * a.heads + h, g = h / group;
      const T* q = a.q + row * a.dim;
      scores.clear();
      each_key(*a.plan, i, [&](std::int64_t j) {
        scores.push_back(static_cast<T>(a.scale) *
                         dot(a.dim, q, a.k + (j * a.kv_heads + g) * a.dim));
      });
      if (scores.empty()) continue;
      const T top = *std::max_element(scores.begin(), scores.end());
      T sum = 0;
      for (T& s : scores) sum += s = std::exp(s - top);
      a.lse[row] = top + std::log(sum);
      const Dropout dropout = attend_dropout(a.dropout, row);
      std::size_t at = 0;
      each_key(*a.plan, i, [&](std::int64_t j) {
        const T p = scores[at++] / sum *
                    static_cast<T>(
                        dropout_factor(dropout, static_cast<std::uint64_t>(j - segment.k_begin)));
        add_scaled(a.value_dim, p, a.v + (j * a.kv_heads + g) * a.value_dim,
                   a.out + row * a.value_dim);
      });
    }
  });
}

template <class T>
void attend_backward(const AttendBackward<T>& a) {
  const std::int64_t group = a.kv_heads > 0 ? a.heads / a.kv_heads : 1;
  std::fill_n(a.dq, a.plan->queries * a.heads * a.dim, T{0});
  std::fill_n(a.dk, a.plan->keys * a.kv_heads * a.dim, T{0});
  std::fill_n(a.dv, a.plan->keys * a.kv_heads * a.value_dim, T{0});
  each_row(*a.plan, [&](std::int64_t i, const AttendPlan::Segment& segment) {
    for (std::int64_t h = 0; h < a.heads; ++h) {
      const std::int64_t row = i * a.heads + h, g = h / group;
      const T* q = a.q + row * a.dim;
      const T* dout = a.dout + row * a.value_dim;
      const T delta = dot(a.value_dim, dout, a.out + row * a.value_dim);
      const T dlse = a.dlse ? a.dlse[row] : T{0};
      const Dropout dropout = attend_dropout(a.dropout, row);
      each_key(*a.plan, i, [&](std::int64_t j) {
        const std::int64_t key = j * a.kv_heads + g;
        const T* k = a.k + key * a.dim;
        const T p = std::exp(static_cast<T>(a.scale) * dot(a.dim, q, k) - a.lse[row]);
        const T kept = static_cast<T>(
            dropout_factor(dropout, static_cast<std::uint64_t>(j - segment.k_begin)));
        const T dp = kept * dot(a.value_dim, dout, a.v + key * a.value_dim);
        const T ds = static_cast<T>(a.scale) * p * (dp - delta + dlse);
        add_scaled(a.value_dim, kept * p, dout, a.dv + key * a.value_dim);
        add_scaled(a.dim, ds, k, a.dq + row * a.dim);
        add_scaled(a.dim, ds, q, a.dk + key * a.dim);
      });
    }
  });
}

template void attend(const Attend<float>&);
template void attend(const Attend<double>&);
template void attend_backward(const AttendBackward<float>&);
template void attend_backward(const AttendBackward<double>&);

}  // namespace qkv::kernels::definition

// The definition of attention, row by row as the formulas read (docs/attention.md): the oracle that
// the fast forms are tested against, and the form for double.
#include <algorithm>
#include <limits>
#include <vector>

#include "qkv/kernels/attention/rows.h"

namespace qkv::kernels::definition {
namespace {

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

/// The factor of the weight of key j in a row with this dropout.
template <class T>
T kept(const Dropout& dropout, const AttendPlan::Segment& segment, std::int64_t j) {
  return static_cast<T>(dropout_factor(dropout, static_cast<std::uint64_t>(j - segment.k_begin)));
}

}  // namespace

template <class T>
void attend(const Attend<T>& a) {
  const std::int64_t group = a.kv_heads > 0 ? a.heads / a.kv_heads : 1;
  const std::int64_t rows = a.plan->queries * a.heads;
  std::fill_n(a.out, rows * a.value_dim, T{0});
  std::fill_n(a.lse, rows, -std::numeric_limits<T>::infinity());
  if (a.entropy) std::fill_n(a.entropy, rows, T{0});
  AttendRow<T> row({a.plan, a.heads, a.kv_heads, a.dim, a.q, a.k, a.scale, a.form});
  each_row(*a.plan, [&](std::int64_t i, const AttendPlan::Segment& segment) {
    for (std::int64_t h = 0; h < a.heads; ++h) {
      const std::int64_t at = i * a.heads + h;
      row.read(i, segment, h);
      if (row.keys.empty()) continue;
      a.lse[at] = row.result.statistic;
      if (a.entropy) a.entropy[at] = row.result.entropy;
      const Dropout dropout = attend_dropout(a.dropout, at);
      for (std::size_t n = 0; n < row.keys.size(); ++n) {
        const std::int64_t j = row.keys[n];
        add_scaled(a.value_dim, row.weights[n] * kept<T>(dropout, segment, j),
                   a.v + (j * a.kv_heads + h / group) * a.value_dim, a.out + at * a.value_dim);
      }
    }
  });
}

template <class T>
void attend_backward(const AttendBackward<T>& a) {
  const std::int64_t group = a.kv_heads > 0 ? a.heads / a.kv_heads : 1;
  std::fill_n(a.dq, a.plan->queries * a.heads * a.dim, T{0});
  std::fill_n(a.dk, a.plan->keys * a.kv_heads * a.dim, T{0});
  std::fill_n(a.dv, a.plan->keys * a.kv_heads * a.value_dim, T{0});
  AttendRow<T> row({a.plan, a.heads, a.kv_heads, a.dim, a.q, a.k, a.scale, a.form});
  std::vector<T> dweights;
  each_row(*a.plan, [&](std::int64_t i, const AttendPlan::Segment& segment) {
    for (std::int64_t h = 0; h < a.heads; ++h) {
      const std::int64_t at = i * a.heads + h;
      row.read(i, segment, h);
      const T* dout = a.dout + at * a.value_dim;
      const Dropout dropout = attend_dropout(a.dropout, at);
      dweights.resize(row.keys.size());
      for (std::size_t n = 0; n < row.keys.size(); ++n) {
        const std::int64_t value = (row.keys[n] * a.kv_heads + h / group) * a.value_dim;
        const T factor = kept<T>(dropout, segment, row.keys[n]);
        dweights[n] = factor == 0 ? T{0} : factor * dot(a.value_dim, dout, a.v + value);
        add_scaled(a.value_dim, factor * row.weights[n], dout, a.dv + value);
      }
      row.backward(dweights, a.dlse ? a.dlse[at] : T{0}, a.dentropy ? a.dentropy[at] : T{0},
                   a.dq + at * a.dim, a.dk);
    }
  });
}

template void attend(const Attend<float>&);
template void attend(const Attend<double>&);
template void attend_backward(const AttendBackward<float>&);
template void attend_backward(const AttendBackward<double>&);

}  // namespace qkv::kernels::definition

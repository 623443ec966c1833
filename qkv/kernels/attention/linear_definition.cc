// The definition of linear attention: row by row over the visible keys as the formulas read, and
// the recurrent form one token at a time. The oracle of the fast forms, and the form for double.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "qkv/kernels/attention/linear.h"

namespace qkv::kernels::definition {
namespace {

template <class T>
T phi(LinearMap map, T x) {
  if (map == LinearMap::elu_plus_one) return x > 0 ? x + 1 : std::exp(x);
  if (map == LinearMap::relu) return x < 0 ? T{0} : x;
  return x;
}

template <class T>
T phi_slope(LinearMap map, T x) {
  if (map == LinearMap::elu_plus_one) return x > 0 ? T{1} : std::exp(x);
  if (map == LinearMap::relu) return x > 0 ? T{1} : T{0};
  return T{1};
}

/// φ(a)·φ(b)
template <class T>
T weight(const LinearInputs<T>& in, const T* a, const T* b) {
  T sum = 0;
  for (std::int64_t d = 0; d < in.dim; ++d) sum += phi(in.map, a[d]) * phi(in.map, b[d]);
  return sum;
}

template <class T>
T inverse_of(T z) {
  return std::abs(z) < std::numeric_limits<T>::min() ? T{0} : 1 / z;
}

/// visit(row, keys begin, keys end, head, kv head) for every row that sees at least one key.
template <class T, class Visit>
void each_row(const LinearInputs<T>& in, Visit&& visit) {
  for (const LinearSegment& s : in.segments) {
    for (std::int64_t i = s.q_begin; i < s.q_end; ++i) {
      const std::int64_t place = s.k_end - (s.q_end - i);  // the last key a causal row sees
      const std::int64_t seen = s.k_begin + s.seen;
      const std::int64_t end = in.causal ? std::min(place + 1, seen) : seen;
      if (end <= s.k_begin) continue;
      for (std::int64_t h = 0; h < in.heads; ++h) {
        visit(i * in.heads + h, s.k_begin, end, h / (in.heads / in.kv_heads));
      }
    }
  }
}

template <class T>
std::int64_t rows_of(const LinearInputs<T>& in) {
  return in.segments.empty() ? 0 : in.segments.back().q_end;
}

}  // namespace

template <class T>
void linear_attend(const LinearAttend<T>& a) {
  const LinearInputs<T>& in = a.in;
  std::fill_n(a.out, rows_of(in) * in.heads * in.value_dim, T{0});
  std::fill_n(a.inverse, rows_of(in) * in.heads, T{0});
  each_row(in, [&](std::int64_t row, std::int64_t begin, std::int64_t end, std::int64_t g) {
    T* out = a.out + row * in.value_dim;
    T z = static_cast<T>(in.eps);
    for (std::int64_t j = begin; j < end; ++j) {
      const std::int64_t key = j * in.kv_heads + g;
      const T w = weight(in, in.q + row * in.dim, in.k + key * in.dim);
      z += w;
      for (std::int64_t e = 0; e < in.value_dim; ++e) out[e] += w * in.v[key * in.value_dim + e];
    }
    a.inverse[row] = inverse_of(z);
    for (std::int64_t e = 0; e < in.value_dim; ++e)
      out[e] = a.inverse[row] == 0 ? T{0} : out[e] / z;
  });
}

template <class T>
void linear_attend_backward(const LinearAttendBackward<T>& a) {
  const LinearInputs<T>& in = a.in;
  const std::int64_t keys = in.segments.empty() ? 0 : in.segments.back().k_end;
  std::fill_n(a.dq, rows_of(in) * in.heads * in.dim, T{0});
  std::fill_n(a.dk, keys * in.kv_heads * in.dim, T{0});
  std::fill_n(a.dv, keys * in.kv_heads * in.value_dim, T{0});
  each_row(in, [&](std::int64_t row, std::int64_t begin, std::int64_t end, std::int64_t g) {
    if (a.inverse[row] == 0) return;
    const T* q = in.q + row * in.dim;
    const T* dout = a.dout + row * in.value_dim;
    T dz = 0;
    for (std::int64_t e = 0; e < in.value_dim; ++e) {
      dz -= dout[e] * a.out[row * in.value_dim + e] * a.inverse[row];
    }
    for (std::int64_t j = begin; j < end; ++j) {
      const std::int64_t key = j * in.kv_heads + g;
      const T* k = in.k + key * in.dim;
      const T w = weight(in, q, k);
      T dw = dz;
      for (std::int64_t e = 0; e < in.value_dim; ++e) {
        const T dn = dout[e] * a.inverse[row];
        dw += dn * in.v[key * in.value_dim + e];
        a.dv[key * in.value_dim + e] += w * dn;
      }
      for (std::int64_t d = 0; d < in.dim; ++d) {
        a.dq[row * in.dim + d] += dw * phi(in.map, k[d]) * phi_slope(in.map, q[d]);
        a.dk[key * in.dim + d] += dw * phi(in.map, q[d]) * phi_slope(in.map, k[d]);
      }
    }
  });
}

template <class T>
void linear_sums(const LinearSums<T>& a) {
  const LinearInputs<T>& in = a.in;
  const auto states = static_cast<std::int64_t>(in.segments.size()) * in.kv_heads;
  std::fill_n(a.s, states * in.dim * in.value_dim, T{0});
  std::fill_n(a.z, states * in.dim, T{0});
  for (std::int64_t n = 0; n < states; ++n) {
    const LinearSegment& s = in.segments[static_cast<std::size_t>(n / in.kv_heads)];
    for (std::int64_t j = s.k_begin; j < s.k_begin + s.seen; ++j) {
      const std::int64_t key = j * in.kv_heads + n % in.kv_heads;
      for (std::int64_t d = 0; d < in.dim; ++d) {
        const T feature = phi(in.map, in.k[key * in.dim + d]);
        T* row = a.s + (n * in.dim + d) * in.value_dim;
        a.z[n * in.dim + d] += feature;
        for (std::int64_t e = 0; e < in.value_dim; ++e) {
          row[e] += feature * in.v[key * in.value_dim + e];
        }
      }
    }
  }
}

template <class T>
void linear_step(const LinearStep<T>& a) {
  const std::int64_t group = a.kv_heads > 0 ? a.heads / a.kv_heads : 1;
  for (std::int64_t n = 0; n < a.rows * a.kv_heads; ++n) {
    T* s = a.s + n * a.dim * a.value_dim;
    T* z = a.z + n * a.dim;
    for (std::int64_t d = 0; a.k && d < a.dim; ++d) {
      const T feature = phi(a.map, a.k[n * a.dim + d]);
      z[d] += feature;
      for (std::int64_t e = 0; e < a.value_dim; ++e) {
        s[d * a.value_dim + e] += feature * a.v[n * a.value_dim + e];
      }
    }
    for (std::int64_t row = n * group; row < (n + 1) * group; ++row) {
      T sum = static_cast<T>(a.eps);
      T* out = a.out + row * a.value_dim;
      std::fill_n(out, a.value_dim, T{0});
      for (std::int64_t d = 0; d < a.dim; ++d) {
        const T feature = phi(a.map, a.q[row * a.dim + d]);
        sum += feature * z[d];
        for (std::int64_t e = 0; e < a.value_dim; ++e) out[e] += feature * s[d * a.value_dim + e];
      }
      const bool none = inverse_of(sum) == 0;
      for (std::int64_t e = 0; e < a.value_dim; ++e) out[e] = none ? T{0} : out[e] / sum;
    }
  }
}

template void linear_attend(const LinearAttend<float>&);
template void linear_attend(const LinearAttend<double>&);
template void linear_attend_backward(const LinearAttendBackward<float>&);
template void linear_attend_backward(const LinearAttendBackward<double>&);
template void linear_sums(const LinearSums<float>&);
template void linear_sums(const LinearSums<double>&);
template void linear_step(const LinearStep<float>&);
template void linear_step(const LinearStep<double>&);

}  // namespace qkv::kernels::definition

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

template <class T>
T dot(std::int64_t n, const T* a, const T* b) {
  T sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// y += scale · x
template <class T>
void add_scaled(std::int64_t n, T scale, const T* x, T* y) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += scale * x[i];
}

template <class T>
std::vector<T> features(LinearMap map, std::int64_t n, const T* x) {
  std::vector<T> f(x, x + n);
  for (T& value : f) value = phi(map, value);
  return f;
}

/// dx = dphi · φ'(x), in place.
template <class T>
void through_map(LinearMap map, std::int64_t n, const T* x, T* dphi) {
  for (std::int64_t i = 0; i < n; ++i) {
    dphi[i] = dphi[i] == 0 ? T{0} : dphi[i] * phi_slope(map, x[i]);  // a hidden key may be NaN
  }
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

/// Elements of q and of k.
template <class T>
std::int64_t query_count(const LinearInputs<T>& in) {
  return in.segments.empty() ? 0 : in.segments.back().q_end * in.heads * in.dim;
}
template <class T>
std::int64_t key_count(const LinearInputs<T>& in) {
  return in.segments.empty() ? 0 : in.segments.back().k_end * in.kv_heads * in.dim;
}

}  // namespace

template <class T>
void linear_attend(const LinearAttend<T>& a) {
  const LinearInputs<T>& in = a.in;
  const std::vector<T> fq = features(in.map, query_count(in), in.q);
  const std::vector<T> fk = features(in.map, key_count(in), in.k);
  const std::int64_t rows = in.segments.empty() ? 0 : in.segments.back().q_end * in.heads;
  std::fill_n(a.out, rows * in.value_dim, T{0});
  std::fill_n(a.inverse, rows, T{0});
  each_row(in, [&](std::int64_t row, std::int64_t begin, std::int64_t end, std::int64_t g) {
    T* out = a.out + row * in.value_dim;
    T z = static_cast<T>(in.eps);
    for (std::int64_t j = begin; j < end; ++j) {
      const std::int64_t key = j * in.kv_heads + g;
      const T w = dot(in.dim, fq.data() + row * in.dim, fk.data() + key * in.dim);
      z += w;
      add_scaled(in.value_dim, w, in.v + key * in.value_dim, out);
    }
    a.inverse[row] = inverse_of(z);
    for (std::int64_t e = 0; e < in.value_dim; ++e) out[e] = a.inverse[row] == 0 ? 0 : out[e] / z;
  });
}

template <class T>
void linear_attend_backward(const LinearAttendBackward<T>& a) {
  const LinearInputs<T>& in = a.in;
  const std::vector<T> fq = features(in.map, query_count(in), in.q);
  const std::vector<T> fk = features(in.map, key_count(in), in.k);
  const std::int64_t keys = in.segments.empty() ? 0 : in.segments.back().k_end * in.kv_heads;
  std::fill_n(a.dq, query_count(in), T{0});
  std::fill_n(a.dk, key_count(in), T{0});
  std::fill_n(a.dv, keys * in.value_dim, T{0});
  each_row(in, [&](std::int64_t row, std::int64_t begin, std::int64_t end, std::int64_t g) {
    const T inverse = a.inverse[row];
    if (inverse == 0) return;
    const T* dout = a.dout + row * in.value_dim;
    const T dz = -dot(in.value_dim, dout, a.out + row * in.value_dim) * inverse;
    for (std::int64_t j = begin; j < end; ++j) {
      const std::int64_t key = j * in.kv_heads + g;
      const T* query = fq.data() + row * in.dim;
      const T* k = fk.data() + key * in.dim;
      const T dw = dot(in.value_dim, dout, in.v + key * in.value_dim) * inverse + dz;
      add_scaled(in.value_dim, dot(in.dim, query, k) * inverse, dout, a.dv + key * in.value_dim);
      add_scaled(in.dim, dw, k, a.dq + row * in.dim);
      add_scaled(in.dim, dw, query, a.dk + key * in.dim);
    }
  });
  through_map(in.map, query_count(in), in.q, a.dq);
  through_map(in.map, key_count(in), in.k, a.dk);
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

#include "qkv/kernels/heads.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "qkv/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/heads.cc"
#include "qkv/kernels/targets.h"
// foreach_target re-includes this file for every target, so it comes before the rest.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/loops-inl.h"

// Once for all targets, although this file is included several times.
#ifndef QKV_KERNELS_HEADS_ONCE_
#define QKV_KERNELS_HEADS_ONCE_
namespace qkv::kernels {
namespace {

template <class T>
double sum_of_squares(std::int64_t n, const T* x) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

/// r of a row with this sum of squares. NaN goes through.
inline double inverse_of(RowScale scale, double squares, std::int64_t cols, double eps) {
  if (scale == RowScale::rms) return 1.0 / std::sqrt(squares / static_cast<double>(cols) + eps);
  return squares == 0.0 ? 0.0 : 1.0 / std::max(std::sqrt(squares), eps);
}

/// 1/n of the gradient's second term. Where ‖x‖ ≤ eps, r is the constant 1 / eps and n = ∞.
template <class T>
T share_of(RowScale scale, T inverse, std::int64_t cols, double eps) {
  if (scale == RowScale::rms) return 1 / static_cast<T>(cols);
  return inverse >= static_cast<T>(1.0 / eps) ? T(0) : T(1);
}

}  // namespace
}  // namespace qkv::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

void RowScaleRows(const RowScaleForward<float>& a, std::int64_t first, std::int64_t last) {
  const F d;
  const std::int64_t cols = a.cols;
  for (std::int64_t r = first; r < last; ++r) {
    const float* x = a.x + r * cols;
    VF total = hn::Zero(d);
    ForEachVector(d, cols, [&](std::int64_t c, auto at) {
      const VF v = at.load(d, x + c);
      total = hn::MulAdd(v, v, total);
    });
    double squares = static_cast<double>(hn::GetLane(hn::SumOfLanes(d, total)));
    // Far from where a square is no normal float any more.
    if (!(squares > 1e-25 && squares < 1e37)) squares = sum_of_squares(cols, x);
    const auto inverse = static_cast<float>(inverse_of(a.scale, squares, cols, a.eps));
    const VF q = hn::Set(d, inverse);
    float* out = a.out + r * cols;
    ForEachVector(d, cols, [&](std::int64_t c, auto at) {
      VF v = hn::Mul(at.load(d, x + c), q);
      if (a.gamma) v = hn::Mul(v, at.load(d, a.gamma + c));
      at.store(d, v, out + c);
    });
    a.inverse[r] = inverse;
  }
}

/// Rows [first, last); dgamma is this piece's own, or null.
void RowScaleBackwardRows(const RowScaleBackward<float>& a, std::int64_t first, std::int64_t last,
                          float* dgamma) {
  const F d;
  const std::int64_t cols = a.cols;
  const VF one = hn::Set(d, 1.0f);
  for (std::int64_t r = first; r < last; ++r) {
    const float *x = a.x + r * cols, *dout = a.dout + r * cols;
    const float inverse = a.inverse[r];
    const float share = share_of(a.scale, inverse, cols, a.eps);
    const VF q = hn::Set(d, inverse);
    VF total = hn::Zero(d);
    ForEachVector(d, cols, [&](std::int64_t c, auto at) {
      const VF xhat = hn::Mul(at.load(d, x + c), q);
      const VF o = at.load(d, dout + c);
      if (dgamma) at.store(d, hn::MulAdd(o, xhat, at.load(d, dgamma + c)), dgamma + c);
      total = hn::MulAdd(hn::Mul(o, xhat), a.gamma ? at.load(d, a.gamma + c) : one, total);
    });
    const VF pull = hn::Set(d, hn::GetLane(hn::SumOfLanes(d, total)) * share);
    float* dx = a.dx + r * cols;
    ForEachVector(d, cols, [&](std::int64_t c, auto at) {
      const VF xhat = hn::Mul(at.load(d, x + c), q);
      const VF g = hn::Mul(at.load(d, dout + c), a.gamma ? at.load(d, a.gamma + c) : one);
      at.store(d, hn::Mul(q, hn::NegMulAdd(xhat, pull, g)), dx + c);
    });
  }
}

/// Swaps the numbers of each pair of neighbours.
#if HWY_TARGET != HWY_SCALAR
HWY_INLINE VF SwapPairs(F d, VF v) { return hn::Reverse2(d, v); }
#endif

/// One head, pairs side by side: cos and sin [2·pairs] hold c₀ c₀ c₁ c₁ … and −s₀ s₀ −s₁ s₁ ….
HWY_INLINE void RotateInterleaved(F d, std::int64_t pairs, const float* x, const float* cos,
                                  const float* sin, float* out) {
#if HWY_TARGET == HWY_SCALAR
  (void)d;
  for (std::int64_t i = 0; i < 2 * pairs; ++i) out[i] = x[i] * cos[i] + x[i ^ 1] * sin[i];
#else
  ForEachVector(d, 2 * pairs, [&](std::int64_t i, auto at) {
    const VF v = at.load(d, x + i);
    const VF other = hn::Mul(SwapPairs(d, v), at.load(d, sin + i));
    at.store(d, hn::MulAdd(v, at.load(d, cos + i), other), out + i);
  });
#endif
}

/// One head, pair i at i and i + pairs: cos and sin [pairs].
HWY_INLINE void RotateHalves(F d, std::int64_t pairs, const float* x, const float* cos,
                             const float* sin, float* out) {
  ForEachVector(d, pairs, [&](std::int64_t i, auto at) {
    const VF a = at.load(d, x + i), b = at.load(d, x + pairs + i);
    const VF c = at.load(d, cos + i), s = at.load(d, sin + i);
    at.store(d, hn::MulSub(a, c, hn::Mul(b, s)), out + i);
    at.store(d, hn::MulAdd(b, c, hn::Mul(a, s)), out + pairs + i);
  });
}

/// Rows [first, last); `table` holds 4·pairs numbers.
void RotateRows(const Rotation<float>& a, std::int64_t first, std::int64_t last, float* table) {
  const F d;
  const std::int64_t pairs = a.pairs, rest = a.dim - 2 * pairs;
  const float sign = a.back ? -1.0f : 1.0f;
  float* cos = table;
  float* sin = table + 2 * pairs;
  for (std::int64_t r = first; r < last; ++r) {
    for (std::int64_t i = 0; i < pairs; ++i) {  // once a row, for all its heads
      const float c = a.cos[r * pairs + i], s = sign * a.sin[r * pairs + i];
      if (a.interleaved) {
        cos[2 * i] = cos[2 * i + 1] = c;
        sin[2 * i] = -s;
        sin[2 * i + 1] = s;
      } else {
        cos[i] = c;
        sin[i] = s;
      }
    }
    for (std::int64_t h = 0; h < a.heads; ++h) {
      const float* x = a.x + (r * a.heads + h) * a.dim;
      float* out = a.out + (r * a.heads + h) * a.dim;
      if (a.interleaved) {
        RotateInterleaved(d, pairs, x, cos, sin, out);
      } else {
        RotateHalves(d, pairs, x, cos, sin, out);
      }
      std::copy_n(x + 2 * pairs, rest, out + 2 * pairs);
    }
  }
}

void ClampRun(std::int64_t n, const float* x, float low, float high, float* y) {
  const F d;
  const VF l = hn::Set(d, low), h = hn::Set(d, high);
  ForEachVector(d, n, [&](std::int64_t i, auto at) {
    const VF v = at.load(d, x + i);  // NaN fails both comparisons
    at.store(d, hn::IfThenElse(hn::Lt(v, l), l, hn::IfThenElse(hn::Gt(v, h), h, v)), y + i);
  });
}

void ClampBackwardRun(std::int64_t n, const float* x, float low, float high, const float* dy,
                      float* dx) {
  const F d;
  const VF l = hn::Set(d, low), h = hn::Set(d, high);
  ForEachVector(d, n, [&](std::int64_t i, auto at) {
    const VF v = at.load(d, x + i);
    const auto outside = hn::Or(hn::Lt(v, l), hn::Gt(v, h));
    at.store(d, hn::IfThenZeroElse(outside, at.load(d, dy + i)), dx + i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {

HWY_EXPORT(RowScaleRows);
HWY_EXPORT(RowScaleBackwardRows);
HWY_EXPORT(RotateRows);
HWY_EXPORT(ClampRun);
HWY_EXPORT(ClampBackwardRun);

namespace definition {

template <class T>
void row_scale(const RowScaleForward<T>& a) {
  for (std::int64_t r = 0; r < a.rows; ++r) {
    const T* x = a.x + r * a.cols;
    const double squares = sum_of_squares(a.cols, x);
    a.inverse[r] = static_cast<T>(inverse_of(a.scale, squares, a.cols, a.eps));
    for (std::int64_t c = 0; c < a.cols; ++c) {
      a.out[r * a.cols + c] = x[c] * a.inverse[r] * (a.gamma ? a.gamma[c] : T(1));
    }
  }
}

template <class T>
void row_scale_backward(const RowScaleBackward<T>& a) {
  for (std::int64_t r = 0; r < a.rows; ++r) {
    const T *x = a.x + r * a.cols, *dout = a.dout + r * a.cols;
    const T inverse = a.inverse[r];
    T sum = 0;
    for (std::int64_t c = 0; c < a.cols; ++c) {
      const T xhat = x[c] * inverse;
      sum += dout[c] * xhat * (a.gamma ? a.gamma[c] : T(1));
      if (a.dgamma) a.dgamma[c] += dout[c] * xhat;
    }
    const T pull = sum * share_of(a.scale, inverse, a.cols, a.eps);
    for (std::int64_t c = 0; c < a.cols; ++c) {
      const T g = dout[c] * (a.gamma ? a.gamma[c] : T(1));
      a.dx[r * a.cols + c] = inverse * (g - x[c] * inverse * pull);
    }
  }
}

template <class T>
void rotate(const Rotation<T>& a) {
  std::copy_n(a.x, a.rows * a.heads * a.dim, a.out);
  for (std::int64_t r = 0; r < a.rows; ++r) {
    for (std::int64_t h = 0; h < a.heads; ++h) {
      const T* x = a.x + (r * a.heads + h) * a.dim;
      T* out = a.out + (r * a.heads + h) * a.dim;
      for (std::int64_t i = 0; i < a.pairs; ++i) {
        const std::int64_t one = a.interleaved ? 2 * i : i;
        const std::int64_t other = a.interleaved ? 2 * i + 1 : i + a.pairs;
        const T c = a.cos[r * a.pairs + i], s = a.sin[r * a.pairs + i] * T(a.back ? -1 : 1);
        out[one] = x[one] * c - x[other] * s;
        out[other] = x[other] * c + x[one] * s;
      }
    }
  }
}

template <class T>
void clamp(std::int64_t n, const T* x, T low, T high, T* y) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] < low ? low : x[i] > high ? high : x[i];
}

template <class T>
void clamp_backward(std::int64_t n, const T* x, T low, T high, const T* dy, T* dx) {
  for (std::int64_t i = 0; i < n; ++i) dx[i] = x[i] < low || x[i] > high ? T(0) : dy[i];
}

template void row_scale(const RowScaleForward<float>&);
template void row_scale(const RowScaleForward<double>&);
template void row_scale_backward(const RowScaleBackward<float>&);
template void row_scale_backward(const RowScaleBackward<double>&);
template void rotate(const Rotation<float>&);
template void rotate(const Rotation<double>&);
template void clamp(std::int64_t, const float*, float, float, float*);
template void clamp(std::int64_t, const double*, double, double, double*);
template void clamp_backward(std::int64_t, const float*, float, float, const float*, float*);
template void clamp_backward(std::int64_t, const double*, double, double, const double*, double*);

}  // namespace definition

namespace {
// About 32 KiB of a row-wise loop, or one row.
std::int64_t rows_at_once(std::int64_t width) {
  return std::max<std::int64_t>(1, (1 << 13) / std::max<std::int64_t>(1, width));
}
}  // namespace

void row_scale(const RowScaleForward<float>& a) {
  const auto rows = HWY_DYNAMIC_DISPATCH(RowScaleRows);
  parallel_for(a.rows, rows_at_once(a.cols),
               [&](std::int64_t first, std::int64_t last) { rows(a, first, last); });
}

void row_scale_backward(const RowScaleBackward<float>& a) {
  // The sums over rows are formed in fixed pieces and the pieces added in order.
  constexpr std::int64_t kRows = 128;
  const std::int64_t pieces = (a.rows + kRows - 1) / kRows;
  std::vector<float> partial(a.dgamma ? static_cast<std::size_t>(pieces * a.cols) : 0, 0.0f);
  const auto run = HWY_DYNAMIC_DISPATCH(RowScaleBackwardRows);
  parallel_for(pieces, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t p = first; p < last; ++p) {
      run(a, p * kRows, std::min(a.rows, (p + 1) * kRows),
          a.dgamma ? partial.data() + p * a.cols : nullptr);
    }
  });
  if (!a.dgamma) return;
  for (std::int64_t p = 0; p < pieces; ++p) {
    for (std::int64_t c = 0; c < a.cols; ++c) {
      a.dgamma[c] += partial[static_cast<std::size_t>(p * a.cols + c)];
    }
  }
}

void rotate(const Rotation<float>& a) {
  const auto rows = HWY_DYNAMIC_DISPATCH(RotateRows);
  parallel_for(a.rows, rows_at_once(a.heads * a.dim), [&](std::int64_t first, std::int64_t last) {
    thread_local std::vector<float> table;
    table.resize(static_cast<std::size_t>(4 * a.pairs));
    rows(a, first, last, table.data());
  });
}

void clamp(std::int64_t n, const float* x, float low, float high, float* y) {
  const auto run = HWY_DYNAMIC_DISPATCH(ClampRun);
  parallel_for(n, 1 << 13, [&](std::int64_t first, std::int64_t last) {
    run(last - first, x + first, low, high, y + first);
  });
}

void clamp_backward(std::int64_t n, const float* x, float low, float high, const float* dy,
                    float* dx) {
  const auto run = HWY_DYNAMIC_DISPATCH(ClampBackwardRun);
  parallel_for(n, 1 << 13, [&](std::int64_t first, std::int64_t last) {
    run(last - first, x + first, low, high, dy + first, dx + first);
  });
}

}  // namespace qkv::kernels
#endif

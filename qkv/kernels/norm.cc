#include "qkv/kernels/norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "qkv/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/norm.cc"
#include "qkv/kernels/targets.h"
// foreach_target re-includes this file for every target, so it comes before the rest.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

HWY_INLINE float SumOf(F d, VF v) { return hn::GetLane(hn::SumOfLanes(d, v)); }

/// Rows [first, last). The row's sum is kept in `row` (L1) when nobody asked for it.
void NormRows(const NormForward<float>& a, std::int64_t first, std::int64_t last, float* row) {
  const F d;
  const std::int64_t cols = a.cols;
  const float *bias = a.bias, *gamma = a.gamma, *beta = a.beta;
  const float inverse = 1.0f / static_cast<float>(cols);
  for (std::int64_t r = first; r < last; ++r) {
    const float* x = a.x + r * cols;
    const float* residual = a.residual ? a.residual + r * cols : nullptr;
    float* s = a.sum ? a.sum + r * cols : row;
    VF total = hn::Zero(d);
    ForEachWithDropout(d, cols, a.dropout, static_cast<std::uint64_t>(r * cols),
                       [&](std::int64_t c, auto at, VF factor) {
                         VF v = at.load(d, x + c);
                         if (bias) v = hn::Add(v, at.load(d, bias + c));
                         v = residual ? hn::MulAdd(v, factor, at.load(d, residual + c))
                                      : hn::Mul(v, factor);
                         total = hn::Add(total, v);
                         at.store(d, v, s + c);
                       });
    const float mean = SumOf(d, total) * inverse;
    // The second pass over a row in L1 costs little and avoids the cancellation of E[s²] − mean².
    const VF m = hn::Set(d, mean);
    VF squares = hn::Zero(d);
    ForEachVector(d, cols, [&](std::int64_t c, auto at) {
      const VF v = at.keep(d, hn::Sub(at.load(d, s + c), m));
      squares = hn::MulAdd(v, v, squares);
    });
    const float variance = SumOf(d, squares) * inverse;
    const float rstd = 1.0f / std::sqrt(variance + static_cast<float>(a.eps));
    const VF q = hn::Set(d, rstd);
    float* out = a.out + r * cols;
    ForEachVector(d, cols, [&](std::int64_t c, auto at) {
      VF v = hn::Mul(hn::Sub(at.load(d, s + c), m), q);
      if (gamma && beta) {
        v = hn::MulAdd(v, at.load(d, gamma + c), at.load(d, beta + c));
      } else if (gamma) {
        v = hn::Mul(v, at.load(d, gamma + c));
      } else if (beta) {
        v = hn::Add(v, at.load(d, beta + c));
      }
      at.store(d, v, out + c);
    });
    if (a.mean) a.mean[r] = mean;
    if (a.rstd) a.rstd[r] = rstd;
  }
}

/// Rows [first, last); the sums over rows go to this piece's own dgamma, dbeta, dbias [cols] (or
/// null). Products that are added are fused explicitly: left to the compiler, the bits would depend
/// on which outputs are wanted.
void NormBackwardRows(const NormBackward<float>& a, std::int64_t first, std::int64_t last,
                      float* dgamma, float* dbeta, float* dbias) {
  const F d;
  const std::int64_t cols = a.cols;
  const float* gamma = a.gamma;
  const float inverse = 1.0f / static_cast<float>(cols);
  const VF one = hn::Set(d, 1.0f);
  for (std::int64_t r = first; r < last; ++r) {
    const float* s = a.sum + r * cols;
    const float* g = a.dout + r * cols;
    const VF m = hn::Set(d, a.mean[r]), q = hn::Set(d, a.rstd[r]);
    VF sum_g = hn::Zero(d), sum_gx = hn::Zero(d);
    ForEachVector(d, cols, [&](std::int64_t c, auto at) {
      // Lanes that are not there have s = 0 and x̂ ≠ 0, but their gradient is 0.
      const VF xhat = hn::Mul(hn::Sub(at.load(d, s + c), m), q);
      const VF o = at.load(d, g + c);
      const VF ox = hn::Mul(o, xhat);
      if (dgamma) at.store(d, hn::MulAdd(o, xhat, at.load(d, dgamma + c)), dgamma + c);
      if (dbeta) at.store(d, hn::Add(o, at.load(d, dbeta + c)), dbeta + c);
      const VF weight = gamma ? at.load(d, gamma + c) : one;
      sum_g = hn::MulAdd(o, weight, sum_g);
      sum_gx = hn::MulAdd(ox, weight, sum_gx);
    });
    const VF mean_g = hn::Set(d, SumOf(d, sum_g) * inverse);
    const VF mean_gx = hn::Set(d, SumOf(d, sum_gx) * inverse);
    const float* extra = a.dsum ? a.dsum + r * cols : nullptr;
    float* dresidual = a.dresidual ? a.dresidual + r * cols : nullptr;
    float* dx = a.dx ? a.dx + r * cols : nullptr;
    ForEachWithDropout(d, cols, a.dropout, static_cast<std::uint64_t>(r * cols),
                       [&](std::int64_t c, auto at, VF factor) {
                         const VF xhat = hn::Mul(hn::Sub(at.load(d, s + c), m), q);
                         const VF weight = gamma ? at.load(d, gamma + c) : one;
                         const VF centred = hn::MulSub(at.load(d, g + c), weight, mean_g);
                         const VF inner = hn::NegMulAdd(xhat, mean_gx, centred);
                         const VF ds = extra ? hn::MulAdd(q, inner, at.load(d, extra + c))
                                             : hn::Mul(q, inner);
                         const VF dropped = hn::Mul(ds, factor);
                         if (dresidual) at.store(d, ds, dresidual + c);
                         if (dx) at.store(d, dropped, dx + c);
                         if (dbias)
                           at.store(d, hn::MulAdd(ds, factor, at.load(d, dbias + c)), dbias + c);
                       });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {

HWY_EXPORT(NormRows);
HWY_EXPORT(NormBackwardRows);

namespace definition {

template <class T>
void layer_norm(const NormForward<T>& a) {
  std::vector<T> s(static_cast<std::size_t>(a.cols));
  for (std::int64_t r = 0; r < a.rows; ++r) {
    T mean = 0, variance = 0;
    for (std::int64_t c = 0; c < a.cols; ++c) {
      const std::int64_t i = r * a.cols + c;
      const T x = a.bias ? a.x[i] + a.bias[c] : a.x[i];
      const T dropped =
          x * static_cast<T>(dropout_factor(a.dropout, static_cast<std::uint64_t>(i)));
      s[static_cast<std::size_t>(c)] = a.residual ? a.residual[i] + dropped : dropped;
      mean += s[static_cast<std::size_t>(c)];
    }
    mean /= static_cast<T>(a.cols);
    for (T x : s) variance += (x - mean) * (x - mean);
    variance /= static_cast<T>(a.cols);
    const T rstd = 1 / std::sqrt(variance + static_cast<T>(a.eps));
    for (std::int64_t c = 0; c < a.cols; ++c) {
      const std::int64_t i = r * a.cols + c;
      const T x = s[static_cast<std::size_t>(c)];
      if (a.sum) a.sum[i] = x;
      a.out[i] = (x - mean) * rstd * (a.gamma ? a.gamma[c] : T(1)) + (a.beta ? a.beta[c] : T(0));
    }
    if (a.mean) a.mean[r] = mean;
    if (a.rstd) a.rstd[r] = rstd;
  }
}

template <class T>
void layer_norm_backward(const NormBackward<T>& a) {
  std::vector<T> xhat(static_cast<std::size_t>(a.cols)), g(static_cast<std::size_t>(a.cols));
  for (std::int64_t r = 0; r < a.rows; ++r) {
    T mean_g = 0, mean_gx = 0;
    for (std::int64_t c = 0; c < a.cols; ++c) {
      const std::int64_t i = r * a.cols + c;
      const auto k = static_cast<std::size_t>(c);
      xhat[k] = (a.sum[i] - a.mean[r]) * a.rstd[r];
      g[k] = a.gamma ? a.dout[i] * a.gamma[c] : a.dout[i];
      mean_g += g[k];
      mean_gx += g[k] * xhat[k];
      if (a.dgamma) a.dgamma[c] += a.dout[i] * xhat[k];
      if (a.dbeta) a.dbeta[c] += a.dout[i];
    }
    mean_g /= static_cast<T>(a.cols);
    mean_gx /= static_cast<T>(a.cols);
    for (std::int64_t c = 0; c < a.cols; ++c) {
      const std::int64_t i = r * a.cols + c;
      const auto k = static_cast<std::size_t>(c);
      const T ds = a.rstd[r] * (g[k] - mean_g - xhat[k] * mean_gx) + (a.dsum ? a.dsum[i] : T(0));
      const T dx = ds * static_cast<T>(dropout_factor(a.dropout, static_cast<std::uint64_t>(i)));
      if (a.dresidual) a.dresidual[i] = ds;
      if (a.dx) a.dx[i] = dx;
      if (a.dbias) a.dbias[c] += dx;
    }
  }
}

template void layer_norm(const NormForward<float>&);
template void layer_norm(const NormForward<double>&);
template void layer_norm_backward(const NormBackward<float>&);
template void layer_norm_backward(const NormBackward<double>&);

}  // namespace definition

void layer_norm(const NormForward<float>& a) {
  const auto rows = HWY_DYNAMIC_DISPATCH(NormRows);
  const std::int64_t grain =
      std::max<std::int64_t>(1, (1 << 13) / std::max<std::int64_t>(1, a.cols));
  parallel_for(a.rows, grain, [&](std::int64_t first, std::int64_t last) {
    thread_local std::vector<float> row;
    row.resize(static_cast<std::size_t>(a.cols));
    rows(a, first, last, row.data());
  });
}

void layer_norm_backward(const NormBackward<float>& a) {
  // The sums over rows are formed in fixed pieces and the pieces added in order.
  constexpr std::int64_t kRows = 128;
  const std::int64_t pieces = (a.rows + kRows - 1) / kRows;
  const std::int64_t wanted = (a.dgamma ? 1 : 0) + (a.dbeta ? 1 : 0) + (a.dbias ? 1 : 0);
  std::vector<float> partial(static_cast<std::size_t>(pieces * wanted * a.cols), 0.0f);
  const auto run = HWY_DYNAMIC_DISPATCH(NormBackwardRows);
  parallel_for(pieces, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t p = first; p < last; ++p) {
      float* next = partial.data() + p * wanted * a.cols;
      const auto take = [&](const float* target) {
        float* mine = target ? next : nullptr;
        if (target) next += a.cols;
        return mine;
      };
      float* dgamma = take(a.dgamma);
      float* dbeta = take(a.dbeta);
      float* dbias = take(a.dbias);
      run(a, p * kRows, std::min(a.rows, (p + 1) * kRows), dgamma, dbeta, dbias);
    }
  });
  std::int64_t offset = 0;
  for (float* target : {a.dgamma, a.dbeta, a.dbias}) {
    if (!target) continue;
    for (std::int64_t p = 0; p < pieces; ++p) {
      const float* from = partial.data() + (p * wanted + offset) * a.cols;
      for (std::int64_t c = 0; c < a.cols; ++c) target[c] += from[c];
    }
    ++offset;
  }
}

}  // namespace qkv::kernels
#endif

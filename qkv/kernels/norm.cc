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

#include "qkv/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// Rows [first, last). The row's sum is kept in `row` (L1) when nobody asked for it.
void NormRows(const NormForward<float>& a, std::int64_t first, std::int64_t last, float* row) {
  const F d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t cols = a.cols;
  const float inverse = 1.0f / static_cast<float>(cols);
  for (std::int64_t r = first; r < last; ++r) {
    const float* x = a.x + r * cols;
    const float* residual = a.residual ? a.residual + r * cols : nullptr;
    float* s = a.sum ? a.sum + r * cols : row;
    VF total = hn::Zero(d);
    float rest = 0;
    ForEachWithDropout(
        d, cols, a.dropout, static_cast<std::uint64_t>(r * cols),
        [&](std::int64_t c, VF factor) {
          VF v = hn::LoadU(d, x + c);
          if (a.bias) v = hn::Add(v, hn::LoadU(d, a.bias + c));
          v = hn::Mul(v, factor);
          if (residual) v = hn::Add(v, hn::LoadU(d, residual + c));
          total = hn::Add(total, v);
          hn::StoreU(v, d, s + c);
        },
        [&](std::int64_t c, float factor) {
          float v = (a.bias ? x[c] + a.bias[c] : x[c]) * factor;
          if (residual) v += residual[c];
          rest += v;
          s[c] = v;
        });
    const float mean = (hn::GetLane(hn::SumOfLanes(d, total)) + rest) * inverse;
    // The second pass over a row in L1 costs little and avoids the cancellation of E[s²] − mean².
    const VF m = hn::Set(d, mean);
    VF squares = hn::Zero(d);
    float rest_squares = 0;
    std::int64_t c = 0;
    for (; c + lanes <= cols; c += lanes) {
      const VF v = hn::Sub(hn::LoadU(d, s + c), m);
      squares = hn::MulAdd(v, v, squares);
    }
    for (; c < cols; ++c) rest_squares += (s[c] - mean) * (s[c] - mean);
    const float variance = (hn::GetLane(hn::SumOfLanes(d, squares)) + rest_squares) * inverse;
    const float rstd = 1.0f / std::sqrt(variance + static_cast<float>(a.eps));
    const VF q = hn::Set(d, rstd);
    float* out = a.out + r * cols;
    for (c = 0; c + lanes <= cols; c += lanes) {
      VF v = hn::Mul(hn::Sub(hn::LoadU(d, s + c), m), q);
      if (a.gamma) v = hn::Mul(v, hn::LoadU(d, a.gamma + c));
      if (a.beta) v = hn::Add(v, hn::LoadU(d, a.beta + c));
      hn::StoreU(v, d, out + c);
    }
    for (; c < cols; ++c) {
      float v = (s[c] - mean) * rstd;
      if (a.gamma) v *= a.gamma[c];
      out[c] = a.beta ? v + a.beta[c] : v;
    }
    if (a.mean) a.mean[r] = mean;
    if (a.rstd) a.rstd[r] = rstd;
  }
}

/// Rows [first, last); the sums over rows go to this piece's own dgamma, dbeta, dbias [cols] (or
/// null).
void NormBackwardRows(const NormBackward<float>& a, std::int64_t first, std::int64_t last,
                      float* dgamma, float* dbeta, float* dbias) {
  const F d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t cols = a.cols;
  const float inverse = 1.0f / static_cast<float>(cols);
  for (std::int64_t r = first; r < last; ++r) {
    const float* s = a.sum + r * cols;
    const float* g = a.dout + r * cols;
    const float mean = a.mean[r], rstd = a.rstd[r];
    const VF m = hn::Set(d, mean), q = hn::Set(d, rstd);
    VF sum_g = hn::Zero(d), sum_gx = hn::Zero(d);
    float rest_g = 0, rest_gx = 0;
    std::int64_t c = 0;
    for (; c + lanes <= cols; c += lanes) {
      const VF xhat = hn::Mul(hn::Sub(hn::LoadU(d, s + c), m), q);
      const VF o = hn::LoadU(d, g + c);
      if (dgamma) hn::StoreU(hn::MulAdd(o, xhat, hn::LoadU(d, dgamma + c)), d, dgamma + c);
      if (dbeta) hn::StoreU(hn::Add(o, hn::LoadU(d, dbeta + c)), d, dbeta + c);
      const VF go = a.gamma ? hn::Mul(o, hn::LoadU(d, a.gamma + c)) : o;
      sum_g = hn::Add(sum_g, go);
      sum_gx = hn::MulAdd(go, xhat, sum_gx);
    }
    for (; c < cols; ++c) {
      const float xhat = (s[c] - mean) * rstd;
      if (dgamma) dgamma[c] += g[c] * xhat;
      if (dbeta) dbeta[c] += g[c];
      const float go = a.gamma ? g[c] * a.gamma[c] : g[c];
      rest_g += go;
      rest_gx += go * xhat;
    }
    const float mean_g = (hn::GetLane(hn::SumOfLanes(d, sum_g)) + rest_g) * inverse;
    const float mean_gx = (hn::GetLane(hn::SumOfLanes(d, sum_gx)) + rest_gx) * inverse;
    const VF vg = hn::Set(d, mean_g), vgx = hn::Set(d, mean_gx);
    const float* extra = a.dsum ? a.dsum + r * cols : nullptr;
    float* dresidual = a.dresidual ? a.dresidual + r * cols : nullptr;
    float* dx = a.dx ? a.dx + r * cols : nullptr;
    ForEachWithDropout(
        d, cols, a.dropout, static_cast<std::uint64_t>(r * cols),
        [&](std::int64_t k, VF factor) {
          const VF xhat = hn::Mul(hn::Sub(hn::LoadU(d, s + k), m), q);
          VF go = hn::LoadU(d, g + k);
          if (a.gamma) go = hn::Mul(go, hn::LoadU(d, a.gamma + k));
          VF ds = hn::Mul(q, hn::NegMulAdd(xhat, vgx, hn::Sub(go, vg)));
          if (extra) ds = hn::Add(ds, hn::LoadU(d, extra + k));
          const VF dropped = hn::Mul(ds, factor);
          if (dresidual) hn::StoreU(ds, d, dresidual + k);
          if (dx) hn::StoreU(dropped, d, dx + k);
          if (dbias) hn::StoreU(hn::Add(dropped, hn::LoadU(d, dbias + k)), d, dbias + k);
        },
        [&](std::int64_t k, float factor) {
          const float xhat = (s[k] - mean) * rstd;
          const float go = a.gamma ? g[k] * a.gamma[k] : g[k];
          float ds = rstd * (go - mean_g - xhat * mean_gx);
          if (extra) ds += extra[k];
          if (dresidual) dresidual[k] = ds;
          if (dx) dx[k] = ds * factor;
          if (dbias) dbias[k] += ds * factor;
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

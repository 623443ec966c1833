#include "qkv/kernels/loss.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "qkv/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/loss.cc"
#include "qkv/kernels/targets.h"
// foreach_target re-includes this file for every target, so it comes before the rest.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// z += bias; the largest element and the sum of all.
void BiasMaxSum(std::int64_t n, float* z, const float* bias, float* largest, float* total) {
  const F d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const VF lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
  VF m0 = lowest, m1 = lowest, s0 = hn::Zero(d), s1 = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    VF a = hn::LoadU(d, z + i), b = hn::LoadU(d, z + i + lanes);
    if (bias) {
      a = hn::Add(a, hn::LoadU(d, bias + i));
      b = hn::Add(b, hn::LoadU(d, bias + i + lanes));
      hn::StoreU(a, d, z + i);
      hn::StoreU(b, d, z + i + lanes);
    }
    m0 = hn::Max(m0, a);
    m1 = hn::Max(m1, b);
    s0 = hn::Add(s0, a);
    s1 = hn::Add(s1, b);
  }
  float m = hn::GetLane(hn::MaxOfLanes(d, hn::Max(m0, m1)));
  float s = hn::GetLane(hn::SumOfLanes(d, hn::Add(s0, s1)));
  for (; i < n; ++i) {
    if (bias) z[i] += bias[i];
    m = std::max(m, z[i]);
    s += z[i];
  }
  *largest = m;
  *total = s;
}

/// e[i] = exp(z[i] + bias[i] − m), e null: not kept; returns the sum.
float ExpSum(std::int64_t n, const float* z, const float* bias, float m, float* e) {
  const F d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const VF vm = hn::Set(d, m);
  VF s0 = hn::Zero(d), s1 = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    VF a = hn::LoadU(d, z + i), b = hn::LoadU(d, z + i + lanes);
    if (bias) {
      a = hn::Add(a, hn::LoadU(d, bias + i));
      b = hn::Add(b, hn::LoadU(d, bias + i + lanes));
    }
    a = Exp(d, hn::Sub(a, vm));
    b = Exp(d, hn::Sub(b, vm));
    if (e) {
      hn::StoreU(a, d, e + i);
      hn::StoreU(b, d, e + i + lanes);
    }
    s0 = hn::Add(s0, a);
    s1 = hn::Add(s1, b);
  }
  float s = hn::GetLane(hn::SumOfLanes(d, hn::Add(s0, s1)));
  for (; i < n; ++i) {
    const float x = bias ? z[i] + bias[i] : z[i];
    const float v = hn::GetLane(Exp(d, hn::Set(d, x - m)));
    if (e) e[i] = v;
    s += v;
  }
  return s;
}

/// x = x·a − b
void ScaleShift(std::int64_t n, float a, float b, float* x) {
  const F d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const VF va = hn::Set(d, a), vb = hn::Set(d, b);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::MulSub(hn::LoadU(d, x + i), va, vb), d, x + i);
  }
  for (; i < n; ++i) x[i] = std::fma(x[i], a, -b);
}

/// Calls found(i, value) for elements above *threshold, in order; found may raise the threshold.
template <class Found>
HWY_INLINE void ScanAbove(std::int64_t n, const float* z, const float* bias, const float* threshold,
                          Found&& found) {
  const F d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    VF v = hn::LoadU(d, z + i);
    if (bias) v = hn::Add(v, hn::LoadU(d, bias + i));
    if (hn::AllFalse(d, hn::Gt(v, hn::Set(d, *threshold)))) continue;
    for (std::int64_t j = i; j < i + lanes; ++j) {
      const float x = bias ? z[j] + bias[j] : z[j];
      if (x > *threshold) found(j, x);
    }
  }
  for (; i < n; ++i) {
    const float x = bias ? z[i] + bias[i] : z[i];
    if (x > *threshold) found(i, x);
  }
}

/// The k largest, best first, ties by the lower index; places not filled hold id −1 and −inf.
void TopK(std::int64_t n, const float* z, const float* bias, int k, const std::int32_t* suppressed,
          int suppressed_count, std::int32_t* ids, float* values) {
  std::fill_n(ids, k, -1);
  std::fill_n(values, k, -std::numeric_limits<float>::infinity());
  float threshold = -std::numeric_limits<float>::infinity();
  ScanAbove(n, z, bias, &threshold, [&](std::int64_t i, float x) {
    for (int s = 0; s < suppressed_count; ++s) {
      if (suppressed[s] == i) return;
    }
    int place = k - 1;
    for (; place > 0 && values[place - 1] < x; --place) {
      values[place] = values[place - 1];
      ids[place] = ids[place - 1];
    }
    values[place] = x;
    ids[place] = static_cast<std::int32_t>(i);
    threshold = values[k - 1];
  });
}

float MaxOf(std::int64_t n, const float* z, const float* bias) {
  const F d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  VF m = hn::Set(d, -std::numeric_limits<float>::infinity());
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    VF v = hn::LoadU(d, z + i);
    if (bias) v = hn::Add(v, hn::LoadU(d, bias + i));
    m = hn::Max(m, v);
  }
  float largest = hn::GetLane(hn::MaxOfLanes(d, m));
  for (; i < n; ++i) largest = std::max(largest, bias ? z[i] + bias[i] : z[i]);
  return largest;
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {

HWY_EXPORT(BiasMaxSum);
HWY_EXPORT(ExpSum);
HWY_EXPORT(ScaleShift);
HWY_EXPORT(TopK);
HWY_EXPORT(MaxOf);

namespace {

/// The smoothed target: `on` for the right class, `off` for the others.
struct Target {
  double on, off;
};

Target target_of(double smoothing, Smoothing form, std::int64_t vocabulary) {
  const auto v = static_cast<double>(vocabulary);
  if (form == Smoothing::uniform)
    return {.on = 1.0 - smoothing + smoothing / v, .off = smoothing / v};
  return {.on = 1.0 - smoothing, .off = vocabulary > 1 ? smoothing / (v - 1.0) : 0.0};
}

/// Σ q_v·(−log p_v) = lse·Σq − on·z_y − off·(Σz − z_y), with Σq = on + off·(V − 1).
double smoothed_loss(const Target& q, std::int64_t vocabulary, double lse, double target,
                     double total) {
  const double mass = q.on + q.off * static_cast<double>(vocabulary - 1);
  return lse * mass - q.on * target - q.off * (total - target);
}

template <class T>
void ignore_row(const CrossEntropy<T>& a, std::int64_t r) {
  a.loss[r] = a.nll[r] = 0;
  if (a.correct) a.correct[r] = 0;
  if (a.gradient_scale != 0) std::fill_n(a.logits + r * a.vocabulary, a.vocabulary, T(0));
}

}  // namespace

namespace definition {

template <class T>
void cross_entropy(const CrossEntropy<T>& a) {
  const Target q = target_of(a.smoothing, a.form, a.vocabulary);
  for (std::int64_t r = 0; r < a.rows; ++r) {
    if (a.targets[r] == a.ignore) {
      ignore_row(a, r);
      continue;
    }
    T* z = a.logits + r * a.vocabulary;
    T largest = -std::numeric_limits<T>::infinity(), total = 0, sum = 0;
    for (std::int64_t v = 0; v < a.vocabulary; ++v) {
      if (a.bias) z[v] += a.bias[v];
      largest = std::max(largest, z[v]);
      total += z[v];
    }
    for (std::int64_t v = 0; v < a.vocabulary; ++v) sum += std::exp(z[v] - largest);
    const T lse = largest + std::log(sum), right = z[a.targets[r]];
    a.nll[r] = lse - right;
    a.loss[r] =
        static_cast<T>(smoothed_loss(q, a.vocabulary, static_cast<double>(lse),
                                     static_cast<double>(right), static_cast<double>(total)));
    if (a.correct) a.correct[r] = right >= largest ? 1 : 0;
    if (a.gradient_scale == 0) continue;
    for (std::int64_t v = 0; v < a.vocabulary; ++v) {
      const T wanted = static_cast<T>(v == a.targets[r] ? q.on : q.off);
      z[v] = static_cast<T>(a.gradient_scale) * (std::exp(z[v] - lse) - wanted);
    }
  }
}
template void cross_entropy(const CrossEntropy<float>&);
template void cross_entropy(const CrossEntropy<double>&);

}  // namespace definition

void cross_entropy(const CrossEntropy<float>& a) {
  const Target q = target_of(a.smoothing, a.form, a.vocabulary);
  const auto max_sum = HWY_DYNAMIC_DISPATCH(BiasMaxSum);
  const auto exp_sum = HWY_DYNAMIC_DISPATCH(ExpSum);
  const auto scale_shift = HWY_DYNAMIC_DISPATCH(ScaleShift);
  parallel_for(a.rows, 4, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      if (a.targets[r] == a.ignore) {
        ignore_row(a, r);
        continue;
      }
      float* z = a.logits + r * a.vocabulary;
      float largest = 0, total = 0;
      max_sum(a.vocabulary, z, a.bias, &largest, &total);
      const float right = z[a.targets[r]];
      const bool differentiate = a.gradient_scale != 0;
      const float sum = exp_sum(a.vocabulary, z, nullptr, largest, differentiate ? z : nullptr);
      const float lse = largest + std::log(sum);
      a.nll[r] = lse - right;
      a.loss[r] =
          static_cast<float>(smoothed_loss(q, a.vocabulary, static_cast<double>(lse),
                                           static_cast<double>(right), static_cast<double>(total)));
      if (a.correct) a.correct[r] = right >= largest ? 1 : 0;
      if (!differentiate) continue;
      const auto scale = static_cast<float>(a.gradient_scale);
      const float p = std::exp(right - lse);
      scale_shift(a.vocabulary, scale / sum, scale * static_cast<float>(q.off), z);
      z[a.targets[r]] = scale * (p - static_cast<float>(q.on));
    }
  });
}

void log_softmax_top_k(std::int64_t rows, std::int64_t vocabulary, const float* logits,
                       const float* bias, int k, const std::int32_t* suppressed,
                       int suppressed_count, std::int32_t* ids, float* scores) {
  const auto top_k = HWY_DYNAMIC_DISPATCH(TopK);
  const auto max_of = HWY_DYNAMIC_DISPATCH(MaxOf);
  const auto exp_sum = HWY_DYNAMIC_DISPATCH(ExpSum);
  parallel_for(rows, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const float* z = logits + r * vocabulary;
      top_k(vocabulary, z, bias, k, suppressed, suppressed_count, ids + r * k, scores + r * k);
      // The largest is the best candidate, unless that one was suppressed.
      const float largest =
          suppressed_count > 0 || ids[r * k] < 0 ? max_of(vocabulary, z, bias) : scores[r * k];
      const float lse = largest + std::log(exp_sum(vocabulary, z, bias, largest, nullptr));
      for (int i = 0; i < k; ++i) {
        if (ids[r * k + i] >= 0 || std::isnan(lse)) scores[r * k + i] -= lse;
      }
    }
  });
}

void log_softmax_at(std::int64_t rows, std::int64_t vocabulary, const float* logits,
                    const float* bias, const std::int32_t* ids, float* scores) {
  const auto max_of = HWY_DYNAMIC_DISPATCH(MaxOf);
  const auto exp_sum = HWY_DYNAMIC_DISPATCH(ExpSum);
  parallel_for(rows, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const float* z = logits + r * vocabulary;
      const float largest = max_of(vocabulary, z, bias);
      const float lse = largest + std::log(exp_sum(vocabulary, z, bias, largest, nullptr));
      scores[r] = (bias ? z[ids[r]] + bias[ids[r]] : z[ids[r]]) - lse;
    }
  });
}

}  // namespace qkv::kernels
#endif

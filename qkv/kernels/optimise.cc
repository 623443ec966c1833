#include "qkv/kernels/optimise.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "qkv/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/optimise.cc"
#include "qkv/kernels/targets.h"
// foreach_target re-includes this file for every target, so it comes before the rest.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// decay·old + (1 − decay)·fresh. 1 − decay is taken in double: 1 − 0.999f has four digits.
HWY_INLINE VF Mean(F d, double decay, VF old, VF fresh) {
  return hn::MulAdd(hn::Set(d, static_cast<float>(decay)), old,
                    hn::Mul(hn::Set(d, static_cast<float>(1.0 - decay)), fresh));
}

void AdamRange(const AdamStep& a, std::int64_t first, std::int64_t last) {
  const F d;
  const AdamStep p = a;  // a copy: the stores below could change an original
  const VF scale = hn::Set(d, static_cast<float>(p.gradient_scale));
  const VF rate = hn::Set(d, static_cast<float>(p.rate));
  const VF decay = hn::Set(d, static_cast<float>(p.decay));
  const VF eps = hn::Set(d, static_cast<float>(p.eps));
  const VF correction1 = hn::Set(d, static_cast<float>(p.correction1));
  const VF correction2 = hn::Set(d, static_cast<float>(p.correction2));
  ForEachVector(d, last - first, [&](std::int64_t k, auto at) {
    const std::int64_t i = first + k;
    const VF w = at.load(d, p.weight + i);
    const VF g = hn::Mul(at.load(d, p.gradient + i), scale);
    const VF m = Mean(d, p.beta1, at.load(d, p.m + i), g);
    const VF v = Mean(d, p.beta2, at.load(d, p.v + i), hn::Mul(g, g));
    const VF root = hn::Sqrt(hn::Mul(v, correction2));
    VF step = hn::Div(hn::Mul(m, correction1), hn::Add(root, eps));
    step = hn::MulAdd(decay, w, step);
    const VF next = hn::NegMulAdd(rate, step, w);
    at.store(d, m, p.m + i);
    at.store(d, v, p.v + i);
    at.store(d, next, p.weight + i);
    if (p.ema) at.store(d, Mean(d, p.ema_decay, at.load(d, p.ema + i), next), p.ema + i);
  });
}

void SgdRange(const SgdStep& a, std::int64_t first, std::int64_t last) {
  const F d;
  const SgdStep p = a;
  const VF scale = hn::Set(d, static_cast<float>(p.gradient_scale));
  const VF rate = hn::Set(d, static_cast<float>(p.rate));
  const VF decay = hn::Set(d, static_cast<float>(p.decay));
  const VF momentum = hn::Set(d, static_cast<float>(p.momentum));
  ForEachVector(d, last - first, [&](std::int64_t k, auto at) {
    const std::int64_t i = first + k;
    const VF w = at.load(d, p.weight + i);
    VF g = hn::MulAdd(decay, w, hn::Mul(at.load(d, p.gradient + i), scale));
    if (p.buffer) {
      g = hn::MulAdd(momentum, at.load(d, p.buffer + i), g);
      at.store(d, g, p.buffer + i);
    }
    const VF next = hn::NegMulAdd(rate, g, w);
    at.store(d, next, p.weight + i);
    if (p.ema) at.store(d, Mean(d, p.ema_decay, at.load(d, p.ema + i), next), p.ema + i);
  });
}

/// Σ x² in double: the square of a float may be no float.
double SquaresOf(std::int64_t n, const float* x) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> single;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto s0 = hn::Zero(d), s1 = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto a = hn::PromoteTo(d, hn::LoadU(single, x + i));
    const auto b = hn::PromoteTo(d, hn::LoadU(single, x + i + lanes));
    s0 = hn::MulAdd(a, a, s0);
    s1 = hn::MulAdd(b, b, s1);
  }
  double s = hn::GetLane(hn::SumOfLanes(d, hn::Add(s0, s1)));
  for (; i < n; ++i) s += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return s;
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {

HWY_EXPORT(AdamRange);
HWY_EXPORT(SgdRange);
HWY_EXPORT(SquaresOf);

namespace definition {

void adam_step(const AdamStep& a) {
  for (std::int64_t i = 0; i < a.count; ++i) {
    const double g = static_cast<double>(a.gradient[i]) * a.gradient_scale;
    const double w = static_cast<double>(a.weight[i]);
    const double m = a.beta1 * static_cast<double>(a.m[i]) + (1 - a.beta1) * g;
    const double v = a.beta2 * static_cast<double>(a.v[i]) + (1 - a.beta2) * g * g;
    const double step = m * a.correction1 / (std::sqrt(v * a.correction2) + a.eps) + a.decay * w;
    a.m[i] = static_cast<float>(m);
    a.v[i] = static_cast<float>(v);
    a.weight[i] = static_cast<float>(w - a.rate * step);
    if (a.ema) {
      a.ema[i] = static_cast<float>(a.ema_decay * static_cast<double>(a.ema[i]) +
                                    (1 - a.ema_decay) * static_cast<double>(a.weight[i]));
    }
  }
}

void sgd_step(const SgdStep& a) {
  for (std::int64_t i = 0; i < a.count; ++i) {
    const double w = static_cast<double>(a.weight[i]);
    double g = static_cast<double>(a.gradient[i]) * a.gradient_scale + a.decay * w;
    if (a.buffer) {
      g += a.momentum * static_cast<double>(a.buffer[i]);
      a.buffer[i] = static_cast<float>(g);
    }
    a.weight[i] = static_cast<float>(w - a.rate * g);
    if (a.ema) {
      a.ema[i] = static_cast<float>(a.ema_decay * static_cast<double>(a.ema[i]) +
                                    (1 - a.ema_decay) * static_cast<double>(a.weight[i]));
    }
  }
}

double sum_of_squares(std::int64_t count, const float* x) {
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i)
    sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

}  // namespace definition

namespace {
constexpr std::int64_t kPiece = 1 << 14;  // 64 KiB of each array
}

void adam_step(const AdamStep& a) {
  const auto range = HWY_DYNAMIC_DISPATCH(AdamRange);
  parallel_for(a.count, kPiece,
               [&](std::int64_t first, std::int64_t last) { range(a, first, last); });
}

void sgd_step(const SgdStep& a) {
  const auto range = HWY_DYNAMIC_DISPATCH(SgdRange);
  parallel_for(a.count, kPiece,
               [&](std::int64_t first, std::int64_t last) { range(a, first, last); });
}

double sum_of_squares(std::int64_t count, const float* x) {
  std::vector<double> partial(static_cast<std::size_t>((count + kPiece - 1) / kPiece));
  const auto squares = HWY_DYNAMIC_DISPATCH(SquaresOf);
  parallel_for(count, kPiece, [&](std::int64_t first, std::int64_t last) {
    partial[static_cast<std::size_t>(first / kPiece)] = squares(last - first, x + first);
  });
  double sum = 0;
  for (double p : partial) sum += p;
  return sum;
}

}  // namespace qkv::kernels
#endif

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

#include "qkv/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

HWY_INLINE VF Mean(F d, float decay, VF old, VF fresh) {
  return hn::MulAdd(hn::Set(d, decay), old, hn::Mul(hn::Set(d, 1.0f - decay), fresh));
}

/// One vector of Adam at element i; `n` lanes are loaded and stored (all, or the rest of the
/// array).
template <class Load, class Store>
HWY_INLINE void AdamVector(F d, const AdamStep& a, std::int64_t i, Load&& load, Store&& store) {
  const VF w = load(a.weight + i);
  const VF g = hn::Mul(load(a.gradient + i), hn::Set(d, static_cast<float>(a.gradient_scale)));
  const VF m = Mean(d, static_cast<float>(a.beta1), load(a.m + i), g);
  const VF v = Mean(d, static_cast<float>(a.beta2), load(a.v + i), hn::Mul(g, g));
  const VF root = hn::Sqrt(hn::Mul(v, hn::Set(d, static_cast<float>(a.correction2))));
  VF step = hn::Div(hn::Mul(m, hn::Set(d, static_cast<float>(a.correction1))),
                    hn::Add(root, hn::Set(d, static_cast<float>(a.eps))));
  step = hn::MulAdd(hn::Set(d, static_cast<float>(a.decay)), w, step);
  const VF next = hn::NegMulAdd(hn::Set(d, static_cast<float>(a.rate)), step, w);
  store(m, a.m + i);
  store(v, a.v + i);
  store(next, a.weight + i);
  if (a.ema) store(Mean(d, static_cast<float>(a.ema_decay), load(a.ema + i), next), a.ema + i);
}

template <class Load, class Store>
HWY_INLINE void SgdVector(F d, const SgdStep& a, std::int64_t i, Load&& load, Store&& store) {
  const VF w = load(a.weight + i);
  VF g = hn::Mul(load(a.gradient + i), hn::Set(d, static_cast<float>(a.gradient_scale)));
  g = hn::MulAdd(hn::Set(d, static_cast<float>(a.decay)), w, g);
  if (a.buffer) {
    g = hn::MulAdd(hn::Set(d, static_cast<float>(a.momentum)), load(a.buffer + i), g);
    store(g, a.buffer + i);
  }
  const VF next = hn::NegMulAdd(hn::Set(d, static_cast<float>(a.rate)), g, w);
  store(next, a.weight + i);
  if (a.ema) store(Mean(d, static_cast<float>(a.ema_decay), load(a.ema + i), next), a.ema + i);
}

/// body(i, load, store) for whole vectors, then once for the rest through a padded copy.
template <class Body>
HWY_INLINE void ForEachVector(F d, std::int64_t first, std::int64_t last, Body&& body) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = first;
  for (; i + lanes <= last; i += lanes) {
    body(
        i, [d](const float* p) { return hn::LoadU(d, p); },
        [d](VF v, float* p) { hn::StoreU(v, d, p); });
  }
  const auto rest = static_cast<std::size_t>(last - i);
  if (rest == 0) return;
  body(
      i,
      [d, rest](const float* p) {
        HWY_ALIGN float pad[HWY_MAX_BYTES / 4] = {};
        std::copy_n(p, rest, pad);
        return hn::Load(d, pad);
      },
      [d, rest](VF v, float* p) {
        HWY_ALIGN float pad[HWY_MAX_BYTES / 4];
        hn::Store(v, d, pad);
        std::copy_n(pad, rest, p);
      });
}

void AdamRange(const AdamStep& a, std::int64_t first, std::int64_t last) {
  const F d;
  ForEachVector(d, first, last,
                [&](std::int64_t i, auto load, auto store) { AdamVector(d, a, i, load, store); });
}

void SgdRange(const SgdStep& a, std::int64_t first, std::int64_t last) {
  const F d;
  ForEachVector(d, first, last,
                [&](std::int64_t i, auto load, auto store) { SgdVector(d, a, i, load, store); });
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

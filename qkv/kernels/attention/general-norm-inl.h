// The normalisers that stream, a tile of scores at a time, and their gradients. Hidden scores are
// −inf, which has weight and slope 0 with every one of them. Compiled once per instruction set;
// included from dispatched sources only.
//
// Scores are in natural units: biases count in them. A NaN among the scores of a row reaches its
// sum, and with it all that the row gives out. (So "not 0" is written as "not equal to 0": of a NaN
// Highway's Ne is true on some machines and false on others.)
#if defined(QKV_KERNELS_ATTENTION_GENERAL_NORM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_GENERAL_NORM_INL_H_
#undef QKV_KERNELS_ATTENTION_GENERAL_NORM_INL_H_
#else
#define QKV_KERNELS_ATTENTION_GENERAL_NORM_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include <hwy/highway.h>

#include "qkv/kernels/attention/general-tile-inl.h"
#include "qkv/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

using Norm = NormForm<float>;

inline constexpr float kNothing = -std::numeric_limits<float>::infinity();
inline constexpr float kLog2OfE = 1.4426950408889634f;

/// A number a row that goes from key tile to key tile.
struct RowSums {
  alignas(64) float top[RowCover::kTallest];       // softmax, sink: the largest score so far
  alignas(64) float sum[RowCover::kTallest];       // Σ e^(s − top); otherwise Σ weights
  alignas(64) float weighted[RowCover::kTallest];  // for the entropy: Σ e^(s − top) (s − top)
  alignas(64) float factor[RowCover::kTallest];    // by which the last tile shrank older sums
};

/// A sink is a key that has been seen already.
inline void BeginSums(const Norm& norm, std::int64_t head, std::int64_t width, RowSums& state) {
  const bool sinks = norm.kind == Norm::Kind::sink;
  const float sink = !sinks ? kNothing : norm.sink ? norm.sink[head] : 0.0f;
  std::fill_n(state.top, width, sink);
  std::fill_n(state.sum, width, sink == kNothing ? 0.0f : 1.0f);
  std::fill_n(state.weighted, width, 0.0f);
}

/// Scores -> e^(s − top).
template <bool kEntropy>
void PushExponentials(const Tile& t, float* scores, RowSums& state) {
  const F d;
  const VF none = hn::Set(d, kNothing), log2e = hn::Set(d, kLog2OfE), zero = hn::Zero(d);
  for (std::int64_t v = 0; v < t.width; v += Lanes()) {
    float* column = scores + v;
    const VF before = hn::Load(d, state.top + v);
    VF top = before;
    for (std::int64_t k = 0; k < t.keys; ++k) {
      top = hn::Max(top, hn::Load(d, column + k * t.width));
    }
    // A row that has seen nothing yet stays at −inf; the differences below must not become NaN.
    const VF base = hn::IfThenElse(hn::Eq(top, none), zero, top);
    const VF moved = hn::Sub(before, base), factor = Exp2(hn::Mul(log2e, moved));
    VF sum = hn::Load(d, state.sum + v), weighted = zero;
    if (kEntropy) {
      const VF share = hn::IfThenZeroElse(hn::Eq(sum, zero), hn::Mul(sum, moved));
      weighted = hn::Mul(factor, hn::Add(hn::Load(d, state.weighted + v), share));
      weighted = hn::IfThenZeroElse(hn::Eq(factor, zero), weighted);
    }
    sum = hn::Mul(sum, factor);
    for (std::int64_t k = 0; k < t.keys; ++k) {
      const VF x = hn::Sub(hn::Load(d, column + k * t.width), base), p = Exp2(hn::Mul(log2e, x));
      sum = hn::Add(sum, p);
      if (kEntropy) {
        weighted = hn::Add(weighted, hn::IfThenZeroElse(hn::Eq(p, zero), hn::Mul(p, x)));
      }
      hn::Store(p, d, column + k * t.width);
    }
    hn::Store(top, d, state.top + v);
    hn::Store(sum, d, state.sum + v);
    hn::Store(factor, d, state.factor + v);
    if (kEntropy) hn::Store(weighted, d, state.weighted + v);
  }
}

struct ReluWeight {
  HWY_INLINE VF operator()(F d, VF s) const {
    return hn::IfThenZeroElse(hn::Le(s, hn::Zero(d)), s);
  }
};

struct SigmoidWeight {
  float shift;
  HWY_INLINE VF operator()(F d, VF s) const { return Sigmoid(d, hn::Add(s, hn::Set(d, shift))); }
};

/// κ(u) and ∂κ/∂s of a compact kernel at s = −u²/2.
template <WindowShape kShape>
struct WindowWeight {
  HWY_INLINE VF operator()(F d, VF s) const {
    const VF zero = hn::Zero(d), one = hn::Set(d, 1.0f);
    VF square = hn::Mul(hn::Set(d, -2.0f), s);
    square = hn::IfThenElse(hn::Lt(square, zero), zero, square);
    if (kShape == WindowShape::boxcar) {
      return hn::IfThenElse(hn::IsNaN(s), s, hn::IfThenElseZero(hn::Le(square, one), one));
    }
    const VF u = kShape == WindowShape::triangular ? hn::Sqrt(square) : square;
    const VF weight = hn::Sub(one, u);
    return hn::IfThenZeroElse(hn::Lt(weight, zero), weight);
  }
  HWY_INLINE VF slope(F d, VF s) const {
    const VF zero = hn::Zero(d), one = hn::Set(d, 1.0f);
    const VF square = hn::Mul(hn::Set(d, -2.0f), s);
    const auto inside = hn::And(hn::Gt(square, zero), hn::Lt(square, one));
    const VF slope = kShape == WindowShape::boxcar       ? zero
                     : kShape == WindowShape::triangular ? hn::Div(one, hn::Sqrt(square))
                                                         : hn::Set(d, 2.0f);
    return hn::IfThenElse(hn::IsNaN(s), s, hn::IfThenElseZero(inside, slope));
  }
};

/// Scores -> weights, and their sum.
template <class Weight>
void PushWeights(const Tile& t, const Weight& weight, float* scores, RowSums& state) {
  const F d;
  for (std::int64_t v = 0; v < t.width; v += Lanes()) {
    VF sum = hn::Load(d, state.sum + v);
    for (std::int64_t k = 0; k < t.keys; ++k) {
      float* s = scores + k * t.width + v;
      const VF p = weight(d, hn::Load(d, s));
      sum = hn::Add(sum, p);
      hn::Store(p, d, s);
    }
    hn::Store(sum, d, state.sum + v);
  }
}

/// visit(weight) with the WindowWeight of `shape`.
template <class Visit>
void WithWindow(WindowShape shape, Visit&& visit) {
  switch (shape) {
    case WindowShape::boxcar:
      return visit(WindowWeight<WindowShape::boxcar>());
    case WindowShape::triangular:
      return visit(WindowWeight<WindowShape::triangular>());
    case WindowShape::epanechnikov:
      return visit(WindowWeight<WindowShape::epanechnikov>());
  }
}

/// Scores of a tile -> weights up to a factor a row, which FinishRow gives.
inline void PushTile(const Norm& norm, const Tile& t, bool entropy, float* scores, RowSums& state) {
  switch (norm.kind) {
    case Norm::Kind::relu:
      return PushWeights(t, ReluWeight(), scores, state);
    case Norm::Kind::sigmoid:
      return PushWeights(t, SigmoidWeight{static_cast<float>(norm.shift)}, scores, state);
    case Norm::Kind::kernel_sum:
      return WithWindow(norm.window,
                        [&](const auto& weight) { PushWeights(t, weight, scores, state); });
    default:
      return entropy ? PushExponentials<true>(t, scores, state)
                     : PushExponentials<false>(t, scores, state);
  }
}

/// What is known of a row when all its keys have passed.
struct RowEnd {
  float factor, statistic, entropy;  // factor: of its output
};

inline RowEnd FinishRow(const Norm& norm, const RowSums& state, std::int64_t r,
                        std::int64_t visible) {
  const float sum = state.sum[r], bad = std::isnan(sum) ? sum : 0.0f;
  if (visible == 0) return {0.0f, kNothing, 0.0f};
  switch (norm.kind) {
    case Norm::Kind::relu:
      return {norm.mean ? 1.0f / static_cast<float>(visible) : 1.0f, bad, bad};
    case Norm::Kind::sigmoid:
      return {1.0f, bad, bad};
    case Norm::Kind::kernel_sum:
      return {sum == 0.0f ? 0.0f : 1.0f / sum, sum, bad};
    default: {
      if (sum == 0.0f) return {0.0f, kNothing, 0.0f};  // scores of −inf only
      const float log = std::log(sum), entropy = log - state.weighted[r] / sum;
      return {1.0f / sum, state.top[r] + log, entropy < 0.0f ? 0.0f : entropy};
    }
  }
}

// ---- backward ----

/// A number a row; idle columns hold zeros.
struct RowGradients {
  alignas(64) float statistic[RowCover::kTallest];  // +inf for a softmax without weight
  alignas(64) float factor[RowCover::kTallest];     // RowEnd::factor, but for softmax
  alignas(64) float delta[RowCover::kTallest];      // what is subtracted from dP
  alignas(64) float dentropy[RowCover::kTallest];
};

/// p = e^(s − lse), ds = p (dp − δ − dentropy·(s − lse)), δ with all that is the same for a row.
template <bool kEntropy>
struct ExponentialSlopes {
  HWY_INLINE void operator()(F d, const RowGradients& row, std::int64_t v, VF s, VF dp, VF& p,
                             VF& ds) const {
    const VF log = hn::Sub(s, hn::Load(d, row.statistic + v));
    p = Exp2(hn::Mul(hn::Set(d, kLog2OfE), log));
    VF slope = hn::Sub(dp, hn::Load(d, row.delta + v));
    if (kEntropy) slope = hn::NegMulAdd(hn::Load(d, row.dentropy + v), log, slope);
    ds = hn::IfThenZeroElse(hn::Eq(p, hn::Zero(d)), hn::Mul(p, slope));
  }
};

struct ReluSlopes {
  HWY_INLINE void operator()(F d, const RowGradients& row, std::int64_t v, VF s, VF dp, VF& p,
                             VF& ds) const {
    const VF share = hn::Load(d, row.factor + v);
    p = hn::Mul(share, ReluWeight()(d, s));
    ds = hn::IfThenElseZero(hn::Gt(s, hn::Zero(d)), hn::Mul(share, dp));
  }
};

struct SigmoidSlopes {
  float shift;
  HWY_INLINE void operator()(F d, const RowGradients&, std::int64_t, VF s, VF dp, VF& p,
                             VF& ds) const {
    VF slope;
    p = Sigmoid(d, hn::Add(s, hn::Set(d, shift)), slope);
    ds = hn::IfThenZeroElse(hn::Eq(slope, hn::Zero(d)), hn::Mul(slope, dp));
  }
};

template <class Weight>
struct WindowSlopes {
  HWY_INLINE void operator()(F d, const RowGradients& row, std::int64_t v, VF s, VF dp, VF& p,
                             VF& ds) const {
    const VF factor = hn::Load(d, row.factor + v);
    p = hn::Mul(factor, Weight()(d, s));
    const VF slope = hn::Mul(factor, Weight().slope(d, s));
    ds = hn::IfThenZeroElse(hn::Eq(slope, hn::Zero(d)),
                            hn::Mul(slope, hn::Sub(dp, hn::Load(d, row.delta + v))));
  }
};

/// scores -> weights, dP -> dS.
template <class Slopes>
void SlopeTile(const Tile& t, const Slopes& slopes, const RowGradients& row, float* scores,
               float* products) {
  const F d;
  for (std::int64_t v = 0; v < t.width; v += Lanes()) {
    for (std::int64_t k = 0; k < t.keys; ++k) {
      float* s = scores + k * t.width + v;
      float* dp = products + k * t.width + v;
      VF p, ds;
      slopes(d, row, v, hn::Load(d, s), hn::Load(d, dp), p, ds);
      hn::Store(p, d, s);
      hn::Store(ds, d, dp);
    }
  }
}

inline void PullTile(const Norm& norm, const Tile& t, bool entropy, const RowGradients& row,
                     float* scores, float* products) {
  switch (norm.kind) {
    case Norm::Kind::relu:
      return SlopeTile(t, ReluSlopes(), row, scores, products);
    case Norm::Kind::sigmoid:
      return SlopeTile(t, SigmoidSlopes{static_cast<float>(norm.shift)}, row, scores, products);
    case Norm::Kind::kernel_sum:
      return WithWindow(norm.window, [&](const auto& weight) {
        using Weight = std::decay_t<decltype(weight)>;
        SlopeTile(t, WindowSlopes<Weight>(), row, scores, products);
      });
    default:
      return entropy ? SlopeTile(t, ExponentialSlopes<true>(), row, scores, products)
                     : SlopeTile(t, ExponentialSlopes<false>(), row, scores, products);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

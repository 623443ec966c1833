// Sparsemax, entmax and hard over a strip of scores, a vector of rows at a time. Compiled once per
// instruction set; included from dispatched sources only.
//
// With x = (α − 1)(s − top) the weights are [x − τ]₊^(1/(α−1)), and τ is where they sum to 1. The
// sum is convex and falls with τ, so Newton's steps from τ = −1, where it is at least 1, rise to
// the root and never pass it (Michelot's algorithm for α = 2). The same holds for the sum to the
// power α − 1, a norm of [x − τ]₊ and therefore convex too, and far from the root its steps are
// much longer: it is nearly a straight line. Each row stops for itself: no row feels its
// neighbours.
#if defined(QKV_KERNELS_ATTENTION_GENERAL_THRESHOLD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_GENERAL_THRESHOLD_INL_H_
#undef QKV_KERNELS_ATTENTION_GENERAL_THRESHOLD_INL_H_
#else
#define QKV_KERNELS_ATTENTION_GENERAL_THRESHOLD_INL_H_
#endif

#include <cstdint>
#include <limits>
#include <vector>

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include "qkv/kernels/attention/general-norm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// All scores [keys][width] of a query tile. Key tiles of which no row sees anything are not
/// filled.
struct Strip {
  std::int64_t begin, keys, width;  // begin: absolute
  std::vector<Interval> tiles;      // filled keys, counted from `begin`

  template <class Visit>
  HWY_INLINE void each(Visit&& visit) const {
    for (const Interval& tile : tiles) {
      for (std::int64_t k = tile.begin; k < tile.end; ++k) visit(k);
    }
  }
};

/// u^(1/(α−1)) and its derivative for u > 0; p^(2−α); Newton's step for the sum to the power α − 1,
/// (sum − sum^(2−α)) / ((α − 1) · slopes).
struct SparsemaxPower {
  float scale() const { return 1.0f; }
  HWY_INLINE void operator()(F d, VF u, VF& power, VF& slope) const {
    power = u;
    slope = hn::Set(d, 1.0f);
  }
  HWY_INLINE VF gradient(F d, VF) const { return hn::Set(d, 1.0f); }
  HWY_INLINE VF step(F d, VF sum, VF slopes) const {
    return hn::Div(hn::Sub(sum, hn::Set(d, 1.0f)), slopes);
  }
};
struct Entmax15Power {
  float scale() const { return 0.5f; }
  HWY_INLINE void operator()(F, VF u, VF& power, VF& slope) const {
    power = hn::Mul(u, u);
    slope = hn::Add(u, u);
  }
  HWY_INLINE VF gradient(F, VF p) const { return hn::Sqrt(p); }
  HWY_INLINE VF step(F d, VF sum, VF slopes) const {
    return hn::Div(hn::Mul(hn::Set(d, 2.0f), hn::Sub(sum, hn::Sqrt(sum))), slopes);
  }
};
struct EntmaxPower {
  float alpha;
  float scale() const { return alpha - 1.0f; }
  HWY_INLINE void operator()(F d, VF u, VF& power, VF& slope) const {
    const float exponent = 1.0f / (alpha - 1.0f);
    const VF lower = Exp(d, hn::Mul(hn::Set(d, exponent - 1.0f), hn::Log(d, u)));
    power = hn::Mul(u, lower);
    slope = hn::Mul(hn::Set(d, exponent), lower);
  }
  HWY_INLINE VF gradient(F d, VF p) const {
    return Exp(d, hn::Mul(hn::Set(d, 2.0f - alpha), hn::Log(d, p)));
  }
  HWY_INLINE VF step(F d, VF sum, VF slopes) const {
    const VF longer = hn::Mul(hn::Set(d, 1.0f / scale()), hn::Sub(sum, gradient(d, sum)));
    return hn::Div(longer, slopes);
  }
};

/// visit(power) with what belongs to `norm`.
template <class Visit>
void WithPower(const Norm& norm, Visit&& visit) {
  if (norm.kind == Norm::Kind::sparsemax) return visit(SparsemaxPower());
  if (norm.alpha == 1.5) return visit(Entmax15Power());
  visit(EntmaxPower{static_cast<float>(norm.alpha)});
}

/// The largest scores of the rows at `column`, and which rows hold a NaN.
HWY_INLINE VF LargestScores(const Strip& strip, const float* column, hn::Mask<F>& bad) {
  const F d;
  VF top = hn::Set(d, kNothing);
  bad = hn::IsNaN(top);
  strip.each([&](std::int64_t k) {
    const VF s = hn::Load(d, column + k * strip.width);
    bad = hn::Or(bad, hn::IsNaN(s));
    top = hn::IfThenElse(hn::Gt(s, top), s, top);
  });
  return top;
}

/// Weights of a row that holds a NaN: NaN wherever there is a score.
HWY_INLINE VF OrNaN(hn::Mask<F> bad, VF s, VF p) {
  const F d;
  const VF nan = hn::Set(d, std::numeric_limits<float>::quiet_NaN());
  return hn::IfThenElse(hn::AndNot(hn::Eq(s, hn::Set(d, kNothing)), bad), nan, p);
}

/// How often Newton's step is taken at most; four to six times are usual.
inline constexpr int kMostSteps = 50;
/// Below this sum the two kinds of steps are alike, and the shorter one rounds less.
inline constexpr float kNearlyOne = 1.01f;

/// Scores -> weights; statistic gets τ + (α − 1)·top.
template <class Power>
void ThresholdWeights(const Strip& strip, const Power& power, float* scores, float* statistic) {
  const F d;
  const VF zero = hn::Zero(d), one = hn::Set(d, 1.0f), scale = hn::Set(d, power.scale());
  for (std::int64_t v = 0; v < strip.width; v += Lanes()) {
    float* column = scores + v;
    hn::Mask<F> bad;
    const VF top = LargestScores(strip, column, bad);
    const auto empty = hn::Eq(top, hn::Set(d, kNothing));
    const VF base = hn::IfThenElse(empty, zero, top);
    VF threshold = hn::Set(d, -1.0f), sum = one;
    auto moving = hn::Not(hn::Or(bad, empty));
    const auto above = [&](std::int64_t k) HWY_ATTR {
      const VF s = hn::Load(d, column + k * strip.width);
      return hn::Sub(hn::Mul(scale, hn::Sub(s, base)), threshold);
    };
    for (int taken = 0; taken < kMostSteps && !hn::AllFalse(d, moving); ++taken) {
      VF slopes = zero;
      sum = zero;
      strip.each([&](std::int64_t k) HWY_ATTR {
        const VF u = above(k);
        const auto positive = hn::Gt(u, zero);
        VF weight, slope;
        power(d, u, weight, slope);
        sum = hn::Add(sum, hn::IfThenElseZero(positive, weight));
        slopes = hn::Add(slopes, hn::IfThenElseZero(positive, slope));
      });
      const VF step = hn::Div(hn::Sub(sum, one), slopes);
      const auto far = hn::Gt(sum, hn::Set(d, kNearlyOne));
      const VF next = hn::Add(threshold, hn::IfThenElse(far, power.step(d, sum, slopes), step));
      moving = hn::And(moving, hn::Gt(next, threshold));
      threshold = hn::IfThenElse(moving, next, threshold);
    }
    sum = zero;
    strip.each([&](std::int64_t k) HWY_ATTR {
      const VF u = above(k);
      VF weight, slope;
      power(d, u, weight, slope);
      weight = hn::IfThenElseZero(hn::Gt(u, zero), weight);
      sum = hn::Add(sum, weight);
      float* at = column + k * strip.width;
      hn::Store(OrNaN(bad, hn::Load(d, at), weight), d, at);
    });
    const VF inverse = hn::IfThenZeroElse(hn::Eq(sum, zero), hn::Div(one, sum));
    strip.each([&](std::int64_t k) HWY_ATTR {
      float* at = column + k * strip.width;
      hn::Store(hn::Mul(inverse, hn::Load(d, at)), d, at);
    });
    const VF found = hn::IfThenZeroElse(empty, hn::MulAdd(scale, base, threshold));
    const VF nan = hn::Set(d, std::numeric_limits<float>::quiet_NaN());
    hn::Store(hn::IfThenElse(bad, nan, found), d, statistic + v);
  }
}

/// Scores -> 1 for the first largest; statistic gets 0.
inline void HardWeights(const Strip& strip, float* scores, float* statistic) {
  const F d;
  const VF zero = hn::Zero(d), one = hn::Set(d, 1.0f), none = hn::Set(d, kNothing);
  for (std::int64_t v = 0; v < strip.width; v += Lanes()) {
    float* column = scores + v;
    hn::Mask<F> bad;
    const VF top = LargestScores(strip, column, bad);
    auto open = hn::Ne(top, none);
    strip.each([&](std::int64_t k) HWY_ATTR {
      float* at = column + k * strip.width;
      const VF s = hn::Load(d, at);
      const auto first = hn::And(open, hn::Eq(s, top));
      open = hn::AndNot(first, open);
      hn::Store(OrNaN(bad, s, hn::IfThenElseZero(first, one)), d, at);
    });
    const VF nan = hn::Set(d, std::numeric_limits<float>::quiet_NaN());
    hn::Store(hn::IfThenElse(bad, nan, zero), d, statistic + v);
  }
}

/// dP -> dS = g (dP − Σ g dP / Σ g), g = p^(2−α) where p > 0.
template <class Power>
void ThresholdSlopes(const Strip& strip, const Power& power, const float* weights,
                     float* products) {
  const F d;
  const VF zero = hn::Zero(d);
  for (std::int64_t v = 0; v < strip.width; v += Lanes()) {
    VF sum = zero, weighted = zero;
    const auto read = [&](std::int64_t k, VF& g, VF& dp) HWY_ATTR {
      const VF p = hn::Load(d, weights + k * strip.width + v);
      const auto none = hn::Eq(p, zero);  // not so for NaN, where Ne differs between machines
      g = hn::IfThenZeroElse(none, power.gradient(d, p));
      dp = hn::IfThenZeroElse(none, hn::Load(d, products + k * strip.width + v));
    };
    strip.each([&](std::int64_t k) HWY_ATTR {
      VF g, dp;
      read(k, g, dp);
      sum = hn::Add(sum, g);
      weighted = hn::MulAdd(g, dp, weighted);
    });
    const VF mean = hn::IfThenZeroElse(hn::Eq(sum, zero), hn::Div(weighted, sum));
    strip.each([&](std::int64_t k) HWY_ATTR {
      VF g, dp;
      read(k, g, dp);
      const VF ds = hn::Mul(g, hn::Sub(dp, mean));
      hn::Store(hn::IfThenZeroElse(hn::Eq(g, zero), ds), d, products + k * strip.width + v);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

// Tiles of the additive score (Bahdanau et al. 2015), s_ij = Σ_h w_h tanh(a_ih + b_jh), without a
// tanh per triple: with u = e^{2a} of a query row and v = e^{2b} of a key row, made once a row,
//   tanh(a + b) = 1 − 2r,  r = 1/(1 + u·v),
// and four units share a reciprocal: Σ_h w_h r_h is brought to one denominator.
//
//   AdditivePrepare(…)            once a row of either side
//   AdditiveScores(tile, …)       scores [key][width]
//   AdditiveGradients(tile, …)    from dS [key][width], adds to dA [row][stride], dB, dw
//
// Large values. Four denominators must not overflow: where the largest |a| and |b| of a tile allow
// uv >= 2^31 it is cut there (tanh is 1 − 1e-9), which changes no other bit. A row with |x| > 43,
// infinite or NaN somewhere is far: e^{2x} is not kept, and its pairs take tanh of the sum itself.
// So tanh(±∞) = ±1, a NaN reaches the scores of its row only, and whether a pair goes one way or
// the other depends on its two rows alone. |w| > 2^24 sends all pairs the long way.
//
// Hidden keys may hold anything: their scores are garbage (possibly NaN) that the caller masks. A
// pair with dS = 0 is left out of the gradients, so what the caller sets to zero cannot leak; no
// other bit depends on it.
//
// Error of a score against exact arithmetic: at most 5e-7·Σ|w|, typically a tenth of it (without
// vectors, where the sum is one long chain, a few times that); of a gradient of a row
// 1e-6·max|w|·Σ|dS| over its pairs, of dw 1e-6·Σ|dS| over all.
#if defined(QKV_KERNELS_ATTENTION_ADDITIVE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_ADDITIVE_INL_H_
#undef QKV_KERNELS_ATTENTION_ADDITIVE_INL_H_
#else
#define QKV_KERNELS_ATTENTION_ADDITIVE_INL_H_
#endif

#include <algorithm>
#include <bit>
#include <cstdint>

#include <hwy/highway.h>

#include "qkv/kernels/attention/additive-score-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// 1 / denominator, as AddQuotient.
HWY_INLINE VF Reciprocal(VF denominator) {
  const F d;
#if HWY_TARGET == HWY_AVX3
  const VF r = hn::ApproximateReciprocal(denominator);
  return hn::Mul(r, hn::NegMulAdd(denominator, r, hn::Set(d, 2.0f)));
#else
  return hn::Div(hn::Set(d, 1.0f), denominator);
#endif
}

/// r_g = 1/(1 + u_g v_g) of one pair for G vectors of units, by one reciprocal, in two steps.
template <int G>
struct GradientPair {
  VF x[4], x01, x23, inverse;

  template <bool kCut>
  HWY_INLINE void begin(const float* u, const VF* v) {
    const F d;
    for (int g = 0; g < G; ++g) x[g] = Denominator<kCut>(hn::Load(d, u + g * Lanes()), v[g]);
    x01 = G == 1 ? x[0] : hn::Mul(x[0], x[1]);
    x23 = G == 4 ? hn::Mul(x[2], x[3]) : x[2];
    inverse = Reciprocal(G < 3 ? x01 : hn::Mul(x01, x23));
  }

  HWY_INLINE void finish(VF ds, float* da, VF* db, VF* dw) const {
    const F d;
    const VF r01 = G < 3 ? inverse : hn::Mul(inverse, x23);
    const VF r23 = G < 3 ? inverse : hn::Mul(inverse, x01);
    for (int g = 0; g < G; ++g) {
      const VF pair = g < 2 ? r01 : r23;
      const bool alone = G == 1 || (G == 3 && g == 2);
      const VF r = alone ? pair : hn::Mul(pair, x[g ^ 1]);
      const VF slope = hn::NegMulAdd(r, r, r);
      float* at = da + g * Lanes();
      hn::Store(hn::MulAdd(ds, slope, hn::Load(d, at)), d, at);
      db[g] = hn::MulAdd(ds, slope, db[g]);
      dw[g] = hn::MulAdd(ds, r, dw[g]);
    }
  }
};

/// x == 0 by integers, which leaves the vector ports alone.
HWY_INLINE bool IsZero(float x) { return std::bit_cast<std::uint32_t>(x) << 1 == 0; }

/// The G vectors of units that begin at h. With g = r − r²: da += 4w Σ_k dS·g, db += 4w Σ_q dS·g,
/// dw += Σ dS − 2 Σ dS·r.
template <int G, bool kCut>
void AdditiveGradientGroup(const AdditiveTile& t, std::int64_t h, float total, const float* dscores,
                           std::int64_t width, const PairGradient& to, float* dweight) {
  const F d;
  constexpr std::int64_t kMost = HWY_MAX_BYTES / sizeof(float);
  const std::int64_t lanes = Lanes(), keys = t.key.exp.count, rows = t.query.exp.count;
  HWY_ALIGN float da[kPairTile * G * kMost];
  std::fill_n(da, rows * G * lanes, 0.0f);
  VF dw[G], scale[G];
  for (int g = 0; g < G; ++g) {
    dw[g] = hn::Zero(d);
    scale[g] = hn::Mul(hn::Set(d, 4.0f), hn::Load(d, t.w + h + g * lanes));
  }
  for (std::int64_t k = 0; k < keys; ++k) {
    VF right[G], db[G];
    for (int g = 0; g < G; ++g) {
      right[g] = hn::Load(d, t.key.exp.row(k) + h + g * lanes);
      db[g] = hn::Zero(d);
    }
    // The reciprocals of one row are begun before the row before it is finished.
    const float* ds = dscores + k * width;
    const float* u = t.query.exp.at + h;
    const auto next = [&](std::int64_t q) {
      while (q < rows && IsZero(ds[q])) ++q;
      return q;
    };
    std::int64_t q = next(0);
    GradientPair<G> pair;
    if (q < rows) pair.template begin<kCut>(u + q * t.query.exp.stride, right);
    while (q < rows) {
      const std::int64_t after = next(q + 1);
      const GradientPair<G> now = pair;
      if (after < rows) pair.template begin<kCut>(u + after * t.query.exp.stride, right);
      now.finish(hn::Set(d, ds[q]), da + q * G * lanes, db, dw);
      q = after;
    }
    for (int g = 0; g < G; ++g) {
      float* at = to.dkey + k * to.dkey_stride + h + g * lanes;
      hn::Store(hn::MulAdd(scale[g], db[g], hn::Load(d, at)), d, at);
    }
  }
  for (int g = 0; g < G; ++g) {
    for (std::int64_t q = 0; q < rows; ++q) {
      float* at = to.dquery + q * to.dquery_stride + h + g * lanes;
      hn::Store(hn::MulAdd(scale[g], hn::Load(d, da + (q * G + g) * lanes), hn::Load(d, at)), d,
                at);
    }
    float* at = dweight + h + g * lanes;
    const VF sum = hn::MulAdd(hn::Set(d, -2.0f), dw[g], hn::Set(d, total));
    hn::Store(hn::Add(hn::Load(d, at), sum), d, at);
  }
}

template <bool kCut>
void AdditiveNearGradients(const AdditiveTile& t, const float* dscores, std::int64_t width,
                           const PairGradient& to, float* dw) {
  const F d;
  const std::int64_t lanes = Lanes(), vectors = (t.hidden + lanes - 1) / lanes;
  VF total = hn::Zero(d);
  for (std::int64_t k = 0; k < t.key.exp.count; ++k) {
    ForEachVector(d, t.query.exp.count, [&](std::int64_t q, auto at) {
      total = hn::Add(total, at.load(d, dscores + k * width + q));
    });
  }
  const float sum = hn::GetLane(hn::SumOfLanes(d, total));
  std::int64_t h = 0;
  for (; h + 4 * lanes <= vectors * lanes; h += 4 * lanes) {
    AdditiveGradientGroup<4, kCut>(t, h, sum, dscores, width, to, dw);
  }
  if (vectors % 4 == 1) AdditiveGradientGroup<1, kCut>(t, h, sum, dscores, width, to, dw);
  if (vectors % 4 == 2) AdditiveGradientGroup<2, kCut>(t, h, sum, dscores, width, to, dw);
  if (vectors % 4 == 3) AdditiveGradientGroup<3, kCut>(t, h, sum, dscores, width, to, dw);
}

/// One pair, term by term.
HWY_INLINE void AdditiveFarGradient(const AdditiveTile& t, std::int64_t k, std::int64_t q,
                                    float dscore, const PairGradient& to, float* dw) {
  const F d;
  const float* a = t.query.from + q * t.query.from_stride;
  const float* b = t.key.from + k * t.key.from_stride;
  float* da = to.dquery + q * to.dquery_stride;
  float* db = to.dkey + k * to.dkey_stride;
  const VF ds = hn::Set(d, dscore), one = hn::Set(d, 1.0f);
  ForEachVector(d, t.hidden, [&](std::int64_t h, auto at) {
    const VF tanh = Tanh(d, hn::Add(at.load(d, a + h), at.load(d, b + h)));
    const VF slope = hn::Mul(at.load(d, t.w + h), hn::NegMulAdd(tanh, tanh, one));
    at.store(d, hn::MulAdd(ds, slope, at.load(d, da + h)), da + h);
    at.store(d, hn::MulAdd(ds, slope, at.load(d, db + h)), db + h);
    at.store(d, hn::MulAdd(ds, tanh, at.load(d, dw + h)), dw + h);
  });
}

/// Adds the gradients of a tile with dscores [key][width]; columns behind the rows are not read.
HWY_INLINE void AdditiveGradients(const AdditiveTile& t, std::int64_t width, const float* dscores,
                                  const PairGradient& to, float* dw) {
  const std::int64_t keys = t.key.exp.count, rows = t.query.exp.count;
  const AdditiveCare care = CareFor(t);
  const float* near = dscores;
  HWY_ALIGN float held[kPairTile * kPairTile];
  const auto far = [&](std::int64_t k, std::int64_t q) {
    return AdditiveIsFar(t.key.extent[k]) || AdditiveIsFar(t.query.extent[q]);
  };
  if (HWY_UNLIKELY(care.far)) {
    for (std::int64_t k = 0; k < keys; ++k) {
      for (std::int64_t q = 0; q < rows; ++q) {
        held[k * width + q] = far(k, q) ? 0.0f : dscores[k * width + q];
      }
    }
    near = held;
  }
  if (care.cut) {
    AdditiveNearGradients<true>(t, near, width, to, dw);
  } else {
    AdditiveNearGradients<false>(t, near, width, to, dw);
  }
  if (HWY_LIKELY(!care.far)) return;
  for (std::int64_t k = 0; k < keys; ++k) {
    for (std::int64_t q = 0; q < rows; ++q) {
      const float dscore = dscores[k * width + q];
      if (dscore != 0.0f && far(k, q)) AdditiveFarGradient(t, k, q, dscore, to, dw);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

// The additive score of a tile: preparing rows, what is near, cut or far, and the scores. For what
// it promises see additive-inl.h. Compiled once per instruction set; included from dispatched
// sources only.
#if defined(QKV_KERNELS_ATTENTION_ADDITIVE_SCORE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_ADDITIVE_SCORE_INL_H_
#undef QKV_KERNELS_ATTENTION_ADDITIVE_SCORE_INL_H_
#else
#define QKV_KERNELS_ATTENTION_ADDITIVE_SCORE_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include <hwy/highway.h>

#include "qkv/kernels/attention/pair-inl.h"
#include "qkv/kernels/loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// One side of a tile: prepared rows, the rows they came from, and the largest |x| of each.
struct AdditiveRows {
  PairRows exp;       // e^{2x}, zeros behind `hidden`; zeros throughout for a far row
  const float* from;  // [count][hidden]: what they were prepared from
  std::int64_t from_stride;
  const float* extent;  // [count]: max |x|, NaN where one is NaN
};

struct AdditiveTile {
  std::int64_t hidden;
  AdditiveRows key, query;
  const float* w;  // [PairStride(hidden)], zeros behind `hidden`; aligned like the rows
};

inline constexpr float kAdditiveFar = 43.0f;           // e^{±86} and their inverses are normal
inline constexpr float kAdditiveCut = 2147483648.0f;   // 2^31: four of them multiply to 2^124
inline constexpr float kAdditiveNear = 10.7f;          // e^{2·10.7} + 1 < kAdditiveCut
inline constexpr float kAdditiveWeight = 16777216.0f;  // times 4·2^93 still finite

HWY_INLINE bool AdditiveIsFar(float extent) { return !(extent <= kAdditiveFar); }

/// to[r][stride] = e^{2x} of `rows` rows, extent[r] = max |x|; see AdditiveRows.
HWY_INLINE void AdditivePrepare(std::int64_t rows, std::int64_t hidden, const float* from,
                                std::int64_t from_stride, float* to, std::int64_t stride,
                                float* extent) {
  const F d;
  const I i;
  for (std::int64_t r = 0; r < rows; ++r, from += from_stride, to += stride) {
    auto most = hn::Zero(i);  // of the bits: their order is that of |x|, NaN behind infinity
    ForEachVector(d, hidden, [&](std::int64_t h, auto at) {
      const VF x = at.load(d, from + h);
      most = hn::Max(most, hn::BitCast(i, hn::Abs(x)));
      hn::Vec<U> bits;
      const VF p = ExpReduced(d, hn::Add(x, x), 127.0f, bits);
      at.store(d, hn::Mul(p, hn::BitCast(d, hn::ShiftLeft<23>(bits))), to + h);
    });
    extent[r] = hn::GetLane(hn::BitCast(d, hn::MaxOfLanes(i, most)));
    std::fill(to + (AdditiveIsFar(extent[r]) ? 0 : hidden), to + stride, 0.0f);
  }
}

/// What a tile has to be careful about: whether some uv may pass kAdditiveCut, some row is far.
struct AdditiveCare {
  bool cut, far;
};

HWY_INLINE AdditiveCare CareFor(const AdditiveTile& t) {
  const auto most = [](const AdditiveRows& rows, bool& far) {
    float near = 0.0f;
    for (std::int64_t r = 0; r < rows.exp.count; ++r) {
      const bool is_far = AdditiveIsFar(rows.extent[r]);
      far |= is_far;
      near = is_far ? near : std::max(near, rows.extent[r]);
    }
    return near;
  };
  AdditiveCare care{};
  const float a = most(t.query, care.far), b = most(t.key, care.far);
  care.cut = a + b > kAdditiveNear;
  return care;
}

/// sum + numerator / denominator, 1 <= denominator <= 2^126. The approximation has 14 bits,
/// Newton's step doubles them; narrower machines approximate worse and have the divider idle.
HWY_INLINE VF AddQuotient(VF numerator, VF denominator, VF sum) {
  const F d;
#if HWY_TARGET == HWY_AVX3
  const VF r = hn::ApproximateReciprocal(denominator);
  return hn::MulAdd(hn::Mul(numerator, r), hn::NegMulAdd(denominator, r, hn::Set(d, 2.0f)), sum);
#else
  (void)d;
  return hn::Add(sum, hn::Div(numerator, denominator));
#endif
}

/// 1 + uv, cut if asked for.
template <bool kCut>
HWY_INLINE VF Denominator(VF u, VF v) {
  const F d;
  const VF x = hn::MulAdd(u, v, hn::Set(d, 1.0f));
  return kCut ? hn::Min(x, hn::Set(d, kAdditiveCut)) : x;
}

/// numerator / denominator = Σ_g w_g / x_g over G vectors of units.
template <int G>
HWY_INLINE void Fraction(const VF* w, const VF* x, VF& numerator, VF& denominator) {
  if (G == 1) {
    numerator = w[0];
    denominator = x[0];
    return;
  }
  numerator = hn::MulAdd(w[0], x[1], hn::Mul(w[1], x[0]));
  denominator = hn::Mul(x[0], x[1]);
  if (G == 2) return;
  const VF n23 = G == 3 ? w[2] : hn::MulAdd(w[2], x[3], hn::Mul(w[3], x[2]));
  const VF d23 = G == 3 ? x[2] : hn::Mul(x[2], x[3]);
  numerator = hn::MulAdd(numerator, d23, hn::Mul(n23, denominator));
  denominator = hn::Mul(denominator, d23);
}

template <bool kCut>
struct AdditivePairs {
  std::int64_t hidden;
  const float* w;
  VF weight;  // Σ w of each lane

  /// Adds the fractions of the G vectors of units that begin at h, for Q pairs.
  template <int G, int Q>
  HWY_INLINE void group(const float* const* u, const float* const* v, std::int64_t h,
                        VF* sum) const {
    const F d;
    VF weights[G];
    for (int g = 0; g < G; ++g) weights[g] = hn::Load(d, w + h + g * Lanes());
    // All fractions first, then the quotients: so a reciprocal has the next fractions to wait in.
    VF numerator[Q], denominator[Q];
    for (int q = 0; q < Q; ++q) {
      VF x[4];
      for (int g = 0; g < G; ++g) {
        const std::int64_t at = h + g * Lanes();
        x[g] = Denominator<kCut>(hn::Load(d, u[q] + at), hn::Load(d, v[q] + at));
      }
      Fraction<G>(weights, x, numerator[q], denominator[q]);
    }
    for (int q = 0; q < Q; ++q) sum[q] = AddQuotient(numerator[q], denominator[q], sum[q]);
  }

  template <int Q>
  HWY_INLINE void pairs(const float* const* u, const float* const* v, float* to) const {
    const F d;
    const std::int64_t lanes = Lanes(), vectors = (hidden + lanes - 1) / lanes;
    VF sum[Q];
    for (int q = 0; q < Q; ++q) sum[q] = hn::Zero(d);
    std::int64_t h = 0;
    for (; h < vectors / 4 * 4 * lanes; h += 4 * lanes) group<4, Q>(u, v, h, sum);
    if (vectors % 4 == 1) group<1, Q>(u, v, h, sum);
    if (vectors % 4 == 2) group<2, Q>(u, v, h, sum);
    if (vectors % 4 == 3) group<3, Q>(u, v, h, sum);
    const VF minus2 = hn::Set(d, -2.0f);
    for (int q = 0; q < Q; ++q) {
      hn::Store(hn::MulAdd(minus2, sum[q], weight), d, to + q * lanes);
    }
  }
};

/// Σ_h w_h tanh(a_h + b_h) of one pair, term by term.
HWY_INLINE float AdditiveFarScore(std::int64_t hidden, const float* a, const float* b,
                                  const float* w) {
  const F d;
  VF sum = hn::Zero(d);
  ForEachVector(d, hidden, [&](std::int64_t h, auto at) {
    const VF tanh = Tanh(d, hn::Add(at.load(d, a + h), at.load(d, b + h)));
    sum = hn::MulAdd(at.load(d, w + h), tanh, sum);
  });
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

/// scores[key][width]; idle columns get zeros.
HWY_INLINE void AdditiveScores(const AdditiveTile& t, std::int64_t width, float* scores) {
  const F d;
  const std::int64_t keys = t.key.exp.count, rows = t.query.exp.count;
  const AdditiveCare care = CareFor(t);
  VF weight = hn::Zero(d);
  auto light = hn::Eq(weight, weight);
  for (std::int64_t h = 0; h < t.hidden; h += Lanes()) {
    const VF w = hn::Load(d, t.w + h);
    weight = hn::Add(weight, w);
    light = hn::And(light, hn::Le(hn::Abs(w), hn::Set(d, kAdditiveWeight)));
  }
  const bool heavy = !hn::AllTrue(d, light);
  if (care.cut) {
    PairScores(t.key.exp, t.query.exp, width, AdditivePairs<true>{t.hidden, t.w, weight}, scores);
  } else {
    PairScores(t.key.exp, t.query.exp, width, AdditivePairs<false>{t.hidden, t.w, weight}, scores);
  }
  if (HWY_LIKELY(!care.far && !heavy)) return;
  for (std::int64_t k = 0; k < keys; ++k) {
    const bool far = heavy || AdditiveIsFar(t.key.extent[k]);
    for (std::int64_t q = 0; q < rows; ++q) {
      if (!far && !AdditiveIsFar(t.query.extent[q])) continue;
      scores[k * width + q] = AdditiveFarScore(t.hidden, t.query.from + q * t.query.from_stride,
                                               t.key.from + k * t.key.from_stride, t.w);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

// Tiles of the additive score with a leaky ReLU (Brody et al. 2022),
// s_ij = Σ_h w_h f(a_ih + b_jh), f(x) = x above 0 and slope · x below, and its gradients. Rows are
// prepared by PackRows. A NaN or infinite pair gets what the formula gives, others do not feel it;
// a pair with dS = 0 is left out of the gradients. Compiled once per instruction set; included from
// dispatched sources only.
#if defined(QKV_KERNELS_ATTENTION_LEAKY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_LEAKY_INL_H_
#undef QKV_KERNELS_ATTENTION_LEAKY_INL_H_
#else
#define QKV_KERNELS_ATTENTION_LEAKY_INL_H_
#endif

#include <cstdint>

#include <hwy/highway.h>

#include "qkv/kernels/attention/pair-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// Rows of both sides and the weight with zeros behind `hidden` (stride PairStride(hidden)).
struct LeakyTile {
  std::int64_t hidden;
  PairRows key, query;
  const float* w;
  float slope;
};

/// What a sum of units is multiplied by: 1 above 0, else the slope (a NaN stays one).
HWY_INLINE VF LeakyFactor(VF x, float slope) {
  const F d;
  return hn::IfThenElse(hn::Gt(x, hn::Zero(d)), hn::Set(d, 1.0f), hn::Set(d, slope));
}

struct LeakyPairs {
  std::int64_t hidden;
  const float* w;
  float slope;

  template <int Q>
  HWY_INLINE void pairs(const float* const* u, const float* const* v, float* to) const {
    const F d;
    VF sum[Q];
    for (int q = 0; q < Q; ++q) sum[q] = hn::Zero(d);
    for (std::int64_t h = 0; h < hidden; h += Lanes()) {
      const VF weight = hn::Load(d, w + h);
      for (int q = 0; q < Q; ++q) {
        const VF x = hn::Add(hn::Load(d, u[q] + h), hn::Load(d, v[q] + h));
        sum[q] = hn::MulAdd(weight, hn::Mul(LeakyFactor(x, slope), x), sum[q]);
      }
    }
    for (int q = 0; q < Q; ++q) hn::Store(sum[q], d, to + q * Lanes());
  }
};

/// scores[key][width]; idle columns get zeros.
HWY_INLINE void LeakyScores(const LeakyTile& t, std::int64_t width, float* scores) {
  PairScores(t.key, t.query, width, LeakyPairs{t.hidden, t.w, t.slope}, scores);
}

/// Adds the gradients of a tile with dscores [key][width]; columns behind the rows are not read.
HWY_INLINE void LeakyGradients(const LeakyTile& t, std::int64_t width, const float* dscores,
                               const PairGradient& to, float* dw) {
  const F d;
  for (std::int64_t h = 0; h < t.hidden; h += Lanes()) {
    const VF weight = hn::Load(d, t.w + h);
    VF dweight = hn::Load(d, dw + h);
    for (std::int64_t k = 0; k < t.key.count; ++k) {
      const VF key = hn::Load(d, t.key.row(k) + h);
      VF dkey = hn::Load(d, to.dkey + k * to.dkey_stride + h);
      for (std::int64_t q = 0; q < t.query.count; ++q) {
        const float dscore = dscores[k * width + q];
        if (dscore == 0.0f) continue;
        const VF x = hn::Add(hn::Load(d, t.query.row(q) + h), key);
        const VF ds = hn::Mul(hn::Set(d, dscore), LeakyFactor(x, t.slope));
        const VF step = hn::Mul(ds, weight);
        float* at = to.dquery + q * to.dquery_stride + h;
        hn::Store(hn::Add(hn::Load(d, at), step), d, at);
        dkey = hn::Add(dkey, step);
        dweight = hn::MulAdd(ds, x, dweight);
      }
      hn::Store(dkey, d, to.dkey + k * to.dkey_stride + h);
    }
    hn::Store(dweight, d, dw + h);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

// Tiles of the L1 score, s_ij = factor · Σ_d |q_id − k_jd| with factor = −scale, and its gradients:
// dq = factor · dS · sign(q − k), dk the opposite, both 0 at ties. Rows are prepared by PackRows.
// A NaN or infinite pair gets what the formula gives, others do not feel it; a pair with dS = 0 is
// left out of the gradients. The gradient of the factor is Σ dS·s / factor.
#if defined(QKV_KERNELS_ATTENTION_L1_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_L1_INL_H_
#undef QKV_KERNELS_ATTENTION_L1_INL_H_
#else
#define QKV_KERNELS_ATTENTION_L1_INL_H_
#endif

#include <cstdint>

#include <hwy/highway.h>

#include "qkv/kernels/attention/pair-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// Rows of both sides with zeros behind `dim` (PackRows, stride PairStride(dim)).
struct L1Tile {
  std::int64_t dim;
  PairRows key, query;
  float factor;
};

struct L1Pairs {
  std::int64_t dim;
  float factor;

  template <int Q>
  HWY_INLINE void pairs(const float* const* u, const float* const* v, float* to) const {
    const F d;
    VF sum[Q];
    for (int q = 0; q < Q; ++q) sum[q] = hn::Zero(d);
    for (std::int64_t c = 0; c < dim; c += Lanes()) {
      for (int q = 0; q < Q; ++q) {
        const VF apart = hn::Sub(hn::Load(d, u[q] + c), hn::Load(d, v[q] + c));
        sum[q] = hn::Add(sum[q], hn::Abs(apart));
      }
    }
    for (int q = 0; q < Q; ++q) {
      hn::Store(hn::Mul(hn::Set(d, factor), sum[q]), d, to + q * Lanes());
    }
  }
};

/// scores[key][width]; idle columns get zeros.
HWY_INLINE void L1Scores(const L1Tile& t, std::int64_t width, float* scores) {
  PairScores(t.key, t.query, width, L1Pairs{t.dim, t.factor}, scores);
}

/// The G vectors of features that begin at c.
template <int G>
void L1GradientGroup(const L1Tile& t, std::int64_t c, std::int64_t width, const float* dscores,
                     const PairGradient& to) {
  const F d;
  const std::int64_t lanes = Lanes();
  const VF sign = hn::SignBit(d);
  for (std::int64_t k = 0; k < t.key.count; ++k) {
    VF key[G], dkey[G];
    for (int g = 0; g < G; ++g) {
      key[g] = hn::Load(d, t.key.row(k) + c + g * lanes);
      dkey[g] = hn::Load(d, to.dkey + k * to.dkey_stride + c + g * lanes);
    }
    for (std::int64_t q = 0; q < t.query.count; ++q) {
      const float dscore = dscores[k * width + q];
      if (dscore == 0.0f) continue;
      const VF ds = hn::Set(d, t.factor * dscore);
      for (int g = 0; g < G; ++g) {
        const VF apart = hn::Sub(hn::Load(d, t.query.row(q) + c + g * lanes), key[g]);
        const VF signed_ds = hn::Xor(ds, hn::And(sign, apart));
        const VF step = hn::IfThenElseZero(hn::Ne(apart, hn::Zero(d)), signed_ds);
        float* at = to.dquery + q * to.dquery_stride + c + g * lanes;
        hn::Store(hn::Add(hn::Load(d, at), step), d, at);
        dkey[g] = hn::Sub(dkey[g], step);
      }
    }
    for (int g = 0; g < G; ++g) {
      hn::Store(dkey[g], d, to.dkey + k * to.dkey_stride + c + g * lanes);
    }
  }
}

/// Adds the gradients of a tile with dscores [key][width]; columns behind the rows are not read.
HWY_INLINE void L1Gradients(const L1Tile& t, std::int64_t width, const float* dscores,
                            const PairGradient& to) {
  std::int64_t c = 0;
  for (; c + 3 * Lanes() < t.dim; c += 4 * Lanes()) L1GradientGroup<4>(t, c, width, dscores, to);
  for (; c < t.dim; c += Lanes()) L1GradientGroup<1>(t, c, width, dscores, to);
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

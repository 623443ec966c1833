// What the passes of linear attention share: feature maps, packing of a chunk, sums of a piece, and
// the walk over the triangle of a causal chunk. Included from dispatched sources only.
#if defined(QKV_KERNELS_ATTENTION_LINEAR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_LINEAR_INL_H_
#undef QKV_KERNELS_ATTENTION_LINEAR_INL_H_
#else
#define QKV_KERNELS_ATTENTION_LINEAR_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include <hwy/highway.h>

#include "qkv/kernels/attention/linear_schedule.h"
#include "qkv/kernels/attention/tile-inl.h"
#include "qkv/kernels/loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

// ---- feature maps ----

template <LinearMap kMap>
HWY_INLINE VF Phi(VF x) {
  const F d;
  const VF zero = hn::Zero(d);
  if (kMap == LinearMap::elu_plus_one) {
    return hn::IfThenElse(hn::Gt(x, zero), hn::Add(x, hn::Set(d, 1.0f)), ExpNonPositive(d, x));
  }
  if (kMap == LinearMap::relu) return hn::IfThenElse(hn::Lt(x, zero), zero, x);  // keeps NaN
  return x;
}

/// φ'(x) from φ(x).
template <LinearMap kMap>
HWY_INLINE VF Slope(VF phi) {
  const F d;
  const VF one = hn::Set(d, 1.0f);
  if (kMap == LinearMap::elu_plus_one) return hn::Min(phi, one);
  if (kMap == LinearMap::relu) return hn::IfThenElseZero(hn::Gt(phi, hn::Zero(d)), one);
  return one;
}

/// f.template operator()<map>() for a map known at run time.
template <class Call>
HWY_INLINE void WithMap(LinearMap map, Call&& f) {
  switch (map) {
    case LinearMap::identity:
      return f.template operator()<LinearMap::identity>();
    case LinearMap::elu_plus_one:
      return f.template operator()<LinearMap::elu_plus_one>();
    case LinearMap::relu:
      return f.template operator()<LinearMap::relu>();
  }
}

/// to[r, padded] = φ(from[r·stride .. + dim]), zeros behind.
inline void PackFeatures(LinearMap map, std::int64_t rows, std::int64_t dim, const float* from,
                         std::int64_t stride, float* to, std::int64_t padded) {
  const F d;
  WithMap(map, [&]<LinearMap kMap>() {
    for (std::int64_t r = 0; r < rows; ++r, from += stride, to += padded) {
      ForEachVector(d, dim, [&](std::int64_t i, auto at) {
        hn::Store(at.keep(d, Phi<kMap>(at.load(d, from + i))), d, to + i);
      });
      std::fill(to + (dim + Lanes() - 1) / Lanes() * Lanes(), to + padded, 0.0f);
    }
  });
}

/// to[c, width] = φ(from[r·stride + c])ᵀ; what stands in columns behind the rows is of no use.
inline void PackFeaturesTransposed(LinearMap map, std::int64_t rows, std::int64_t dim,
                                   const float* from, std::int64_t stride, float* to,
                                   std::int64_t width) {
  const F d;
  PackTransposed(rows, dim, from, stride, 1.0f, to, width);
  WithMap(map, [&]<LinearMap kMap>() {
    if (kMap == LinearMap::identity) return;
    for (std::int64_t i = 0; i < dim * width; i += Lanes()) {
      hn::Store(Phi<kMap>(hn::Load(d, to + i)), d, to + i);
    }
  });
}

/// to = dphi · φ'(x) for dim numbers, at addresses that need no alignment but dphi's.
template <LinearMap kMap>
HWY_INLINE void ThroughMap(std::int64_t dim, const float* dphi, const float* x, float* to) {
  const F d;
  ForEachVector(d, dim, [&](std::int64_t i, auto at) {
    at.store(d, hn::Mul(hn::Load(d, dphi + i), Slope<kMap>(Phi<kMap>(at.load(d, x + i)))), to + i);
  });
}

/// values[k] = v[k .. + Dv], then a one, then zeros.
inline void PackValues(const LinearInputs<float>& in, const LinearChunk& c, std::int64_t head,
                       const LinearWidths& w, float* values) {
  PackRows(c.keys, in.value_dim, in.v + (c.key * in.kv_heads + head) * in.value_dim,
           in.kv_heads * in.value_dim, values, w.e);
  for (std::int64_t k = 0; k < c.keys; ++k) values[k * w.e + in.value_dim] = 1.0f;
}

inline void PackKeys(const LinearInputs<float>& in, const LinearChunk& c, std::int64_t head,
                     const LinearWidths& w, float* keys) {
  PackFeatures(in.map, c.keys, in.dim, in.k + (c.key * in.kv_heads + head) * in.dim,
               in.kv_heads * in.dim, keys, w.d);
}

/// n a multiple of 16, x aligned.
inline bool AllFinite(std::int64_t n, const float* x) {
  const F d;
  VF zero0 = hn::Zero(d), zero1 = zero0;  // stay 0 until a NaN or infinity passes
  std::int64_t i = 0;
  for (; i + 2 * Lanes() <= n; i += 2 * Lanes()) {
    zero0 = hn::MulAdd(hn::Load(d, x + i), hn::Zero(d), zero0);
    zero1 = hn::MulAdd(hn::Load(d, x + i + Lanes()), hn::Zero(d), zero1);
  }
  if (i < n) zero0 = hn::MulAdd(hn::Load(d, x + i), hn::Zero(d), zero0);
  return hn::AllTrue(d, hn::Eq(hn::Add(zero0, zero1), hn::Zero(d)));
}

/// Lanes of a row of queries, whole vectors.
HWY_INLINE std::int64_t Width(std::int64_t rows) {
  return (rows + Lanes() - 1) / Lanes() * Lanes();
}

// ---- sums and triangles ----

/// sum (+)= Σ_k [v 1] φ(k)ᵀ: Dv + 1 rows of features.
HWY_INLINE void AddKeys(const LinearInputs<float>& in, const LinearWidths& w, std::int64_t count,
                        const float* keys, const float* values, float* sum, bool begun) {
  Product<true>(false, in.value_dim + 1, w.d / Lanes(), count, values, w.e, keys, w.d, sum, w.d,
                begun);
}

/// The sum of a piece.
inline void SumKeys(const LinearInputs<float>& in, const LinearPiece& piece, float* sum,
                    Scratch scratch) {
  const LinearWidths w(in.dim, in.value_dim);
  float* keys = scratch.take(kLinearChunk * w.d);
  float* values = scratch.take(kLinearChunk * w.e);
  for (std::int64_t n = piece.first; n < piece.last; ++n) {
    const LinearChunk c = piece.axis.chunk(n);
    PackKeys(in, c, piece.head, w, keys);
    PackValues(in, c, piece.head, w, values);
    AddKeys(in, w, c.keys, keys, values, sum, n > piece.first);
  }
}

/// The sum of all that comes before a chunk: `before` its piece and, once begun, the piece's `own`;
/// null for nothing. `total` is room for their sum.
HWY_INLINE const float* Known(const LinearWidths& w, const float* before, const float* own,
                              bool begun, float* total) {
  if (!begun) return before;
  if (!before) return own;
  const F d;
  for (std::int64_t i = 0; i < w.sum; i += Lanes()) {
    hn::Store(hn::Add(hn::Load(d, before + i), hn::Load(d, own + i)), d, total + i);
  }
  return total;
}

/// A block of the triangle: query lanes [r0, r1) look at keys [0, keys) of their chunk.
struct Block32 {
  std::int64_t r0, r1, keys, vectors;
};

/// visit(block) over 32 rows at a time: three quarters of the square are computed.
template <class Visit>
HWY_INLINE void EachBlock(const LinearChunk& c, Visit&& visit) {
  for (std::int64_t r0 = 0; r0 < c.rows; r0 += 32) {
    const std::int64_t r1 = std::min(c.rows, r0 + 32);
    const std::int64_t keys = std::min(c.keys, r1 + c.offset);
    if (keys > 0) visit(Block32{r0, r1, keys, Width(r1 - r0) / Lanes()});
  }
}

/// Zeros in weights[key][lane] where the query does not see the key.
HWY_INLINE void HideLater(const LinearChunk& c, const Block32& b, float* weights,
                          std::int64_t width) {
  const F d;
  for (std::int64_t k = std::max<std::int64_t>(0, b.r0 + c.offset + 1); k < b.keys; ++k) {
    const VF first = hn::Set(d, static_cast<float>(k - c.offset));  // the first lane that sees k
    for (std::int64_t v = 0; v < b.vectors; ++v) {
      const std::int64_t lane = b.r0 + v * Lanes();
      const auto sees = hn::Ge(hn::Iota(d, static_cast<float>(lane)), first);
      float* at = weights + k * width + lane;
      hn::Store(hn::IfThenElseZero(sees, hn::Load(d, at)), d, at);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

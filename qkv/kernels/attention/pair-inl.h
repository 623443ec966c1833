// Scores that compare a query row and a key row unit by unit, s_ij = Σ_h f_h(a_ih, b_jh), as tiles:
// what the additive (additive-inl.h) and the L1 score (l1-inl.h) share. Compiled once per
// instruction set; included from dispatched sources only.
//
// A tile is up to kPairTile keys × kPairTile query rows, both as prepared rows [row][stride]: the
// units lie in the lanes, so a tile of one row (a decoding step) costs no more a pair than a full
// one. Its scores, and the gradients dS of them, stand as everywhere here: [key][width], query rows
// side by side, `width` at least the rows.
//
// The same bits wherever a pair stands, in tiles of any size: the sum over units is a chain per
// lane, then a tree over the lanes, of that pair alone.
#if defined(QKV_KERNELS_ATTENTION_PAIR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_PAIR_INL_H_
#undef QKV_KERNELS_ATTENTION_PAIR_INL_H_
#else
#define QKV_KERNELS_ATTENTION_PAIR_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include <hwy/highway.h>

#include "qkv/kernels/attention/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// The most keys, and query rows, of a tile.
inline constexpr std::int64_t kPairTile = 64;

/// Floats from one prepared row to the next: `dim` with zeros behind it, an odd number of cache
/// lines, so that many rows do not meet in few sets of the L1 cache.
constexpr std::int64_t PairStride(std::int64_t dim) { return ((dim + 15) / 16 | 1) * 16; }

/// Rows [count][dim] of one side of a tile, as PrepareRows of the score left them.
struct PairRows {
  const float* at;
  std::int64_t count, stride;
  HWY_INLINE const float* row(std::int64_t r) const { return at + r * stride; }
};

/// Where gradients of rows are added to: [rows][stride], [keys][stride], padded like the rows.
struct PairGradient {
  float* dquery;
  std::int64_t dquery_stride;
  float* dkey;
  std::int64_t dkey_stride;
};

/// Sums over the lanes of N vectors (N the lanes), [N][N] floats: vector i's sum in lane i. A tree
/// over neighbouring lanes. Destroys them.
HWY_INLINE VF LaneSums(float* vectors) {
  const F d;
#if HWY_TARGET != HWY_SCALAR
  const std::int64_t lanes = Lanes();
  for (std::int64_t left = lanes; left > 1; left /= 2) {
    for (std::int64_t i = 0; i < left; i += 2) {
      const VF a = hn::Load(d, vectors + i * lanes), b = hn::Load(d, vectors + (i + 1) * lanes);
      hn::Store(hn::Add(hn::ConcatEven(d, b, a), hn::ConcatOdd(d, b, a)), d,
                vectors + i / 2 * lanes);
    }
  }
#endif
  return hn::Load(d, vectors);
}

/// scores[key][width] = the sums over the lanes that score.pairs<Q>(u, v, to) leaves at `to` for Q
/// pairs of a query row u[i] and a key row v[i]; zeros in the idle columns.
template <class Score>
void PairScores(const PairRows& keys, const PairRows& queries, std::int64_t width,
                const Score& score, float* scores) {
  const F d;
  constexpr std::int64_t kMost = HWY_MAX_BYTES / sizeof(float);
  constexpr int kBlock = kMost < 4 ? 1 : 4;  // pairs whose chains run side by side
  HWY_ALIGN float sums[kMost * kMost];
  const float *u[kBlock], *v[kBlock];
  const std::int64_t lanes = Lanes(), rows = queries.count, whole = rows / lanes * lanes;
  for (std::int64_t q = 0; q < whole; q += lanes) {
    for (std::int64_t k = 0; k < keys.count; ++k) {
      std::fill_n(v, kBlock, keys.row(k));
      for (std::int64_t i = 0; i < lanes; i += kBlock) {
        for (int n = 0; n < kBlock; ++n) u[n] = queries.row(q + i + n);
        score.template pairs<kBlock>(u, v, sums + i * lanes);
      }
      hn::Store(LaneSums(sums), d, scores + k * width + q);
    }
  }
  for (std::int64_t k = 0; k < keys.count; ++k) {
    std::fill(scores + k * width + rows, scores + (k + 1) * width, 0.0f);
  }

  // What is left of the rows is no whole vector: pairs of several keys share the sum over lanes.
  HWY_ALIGN float done[kMost];
  const std::int64_t pairs = keys.count * (rows - whole);
  std::int64_t k = 0, q = whole, k_done = 0, q_done = whole;
  for (std::int64_t first = 0; first < pairs; first += lanes) {
    const std::int64_t count = std::min(lanes, pairs - first);
    const auto take = [&](int n) {
      u[n] = queries.row(q);
      v[n] = keys.row(k);
      if (++q == rows) q = whole, ++k;
    };
    std::int64_t i = 0;
    for (; i + kBlock <= count; i += kBlock) {
      for (int n = 0; n < kBlock; ++n) take(n);
      score.template pairs<kBlock>(u, v, sums + i * lanes);
    }
    for (; i < count; ++i) {
      take(0);
      score.template pairs<1>(u, v, sums + i * lanes);
    }
    hn::Store(LaneSums(sums), d, done);
    for (i = 0; i < count; ++i) {
      scores[k_done * width + q_done] = done[i];
      if (++q_done == rows) q_done = whole, ++k_done;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

// From scores to weights: what the forward and the backward pass of the softmax share. Compiled
// once per instruction set; included from dispatched sources only.
//
// Scores are kept transposed, [key][query row]: query rows stand in the lanes of a vector, so
// maxima and sums over keys are vertical and need no shuffles, and both products with them read
// their other side, keys and values, row by row as they lie in memory. Scores are in units of
// log 2, the factor being folded into the packed queries.
#if defined(QKV_KERNELS_ATTENTION_WEIGHTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_WEIGHTS_INL_H_
#undef QKV_KERNELS_ATTENTION_WEIGHTS_INL_H_
#else
#define QKV_KERNELS_ATTENTION_WEIGHTS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <limits>

#include "qkv/kernels/attention/attend.h"
#include "qkv/kernels/attention/cover-inl.h"
#include "qkv/kernels/attention/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

constexpr float kLog2E = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

/// The two words of each row's dropout key.
struct RowKeys {
  alignas(64) std::uint32_t key0[RowCover::kTallest];
  alignas(64) std::uint32_t key1[RowCover::kTallest];

  void draw(const Dropout& dropout, std::int64_t first_row_head, std::int64_t heads,
            std::int64_t rows, std::int64_t width) {
    if (!dropout.active()) return;
    for (std::int64_t r = 0; r < width; ++r) {
      const Dropout row = attend_dropout(dropout, first_row_head + std::min(r, rows - 1) * heads);
      key0[r] = row.key0;
      key1[r] = row.key1;
    }
  }
};

/// Which of two neighbouring keys' weights stay, from the draws of the pair.
struct KeepPair {
  hn::Mask<F> even, odd;
  HWY_INLINE KeepPair(hn::Vec<U> draws, const Dropout& dropout) {
    const F d;
    const U u;
    const auto dropped = hn::Set(I(), static_cast<std::int32_t>(dropout.threshold) - 1);
    const auto low = hn::BitCast(I(), hn::And(draws, hn::Set(u, 0xffffU)));
    const auto high = hn::BitCast(I(), hn::ShiftRight<16>(draws));
    even = hn::RebindMask(d, hn::Gt(low, dropped));
    odd = hn::RebindMask(d, hn::Gt(high, dropped));
  }
};

/// What one query tile carries from key tile to key tile, a number a row. The weights are
/// 2^(S − base). The base is the maximum when it last moved, and follows only when the maximum has
/// grown past base + kLag: most tiles rescale nothing. A key that stands alone by more than kLag
/// has weight 1 exactly, so that its value comes out as it is.
struct SoftmaxRows {
  static constexpr float kLag = 8.0f;
  alignas(64) float base[RowCover::kTallest];    // −inf while a row has seen nothing
  alignas(64) float sum[RowCover::kTallest];     // Σ 2^(S − base)
  alignas(64) float factor[RowCover::kTallest];  // by which the last tile shrank older sums

  void clear(std::int64_t rows, std::int64_t width) {
    std::fill_n(base, rows, -std::numeric_limits<float>::infinity());
    std::fill_n(base + rows, width - rows, 0.0f);  // idle lanes never ask for a rescaling
    std::fill_n(sum, width, 0.0f);
  }

  /// `top`: the maxima of vector v over a tile. True when older sums have to shrink.
  HWY_INLINE bool move(std::int64_t v, VF top) {
    const F d;
    const VF nothing = hn::Set(d, -std::numeric_limits<float>::infinity());
    const VF before = hn::Load(d, base + v);
    const auto grown = hn::Gt(top, hn::Add(before, hn::Set(d, kLag)));
    if (HWY_LIKELY(hn::AllFalse(d, grown))) {
      hn::Store(hn::Set(d, 1.0f), d, factor + v);
      return false;
    }
    const VF after = hn::IfThenElse(grown, top, before);
    // A row that has seen nothing yet stays at −inf; the difference must not become NaN.
    const VF shrink =
        Exp2(hn::Sub(before, hn::IfThenElse(hn::Eq(after, nothing), hn::Zero(d), after)));
    hn::Store(hn::IfThenElse(grown, shrink, hn::Set(d, 1.0f)), d, factor + v);
    hn::Store(after, d, base + v);
    return true;
  }
  HWY_INLINE VF finite_base(std::int64_t v) const {
    const F d;
    const VF x = hn::Load(d, base + v);
    return hn::IfThenElse(hn::Eq(x, hn::Set(d, -std::numeric_limits<float>::infinity())),
                          hn::Zero(d), x);
  }
};

/// The maxima of N vectors over all keys of a tile.
template <int N>
HWY_INLINE bool MaximaOf(std::int64_t keys, std::int64_t width, const float* column, std::int64_t v,
                         SoftmaxRows& state) {
  const F d;
  VF even[N], odd[N];
  for (int n = 0; n < N; ++n) {
    even[n] = odd[n] = hn::Set(d, -std::numeric_limits<float>::infinity());
  }
  std::int64_t k = 0;
  for (; k + 2 <= keys; k += 2, column += 2 * width) {
    for (int n = 0; n < N; ++n) {
      even[n] = hn::Max(even[n], hn::Load(d, column + n * Lanes()));
      odd[n] = hn::Max(odd[n], hn::Load(d, column + width + n * Lanes()));
    }
  }
  bool grown = false;
  for (int n = 0; n < N; ++n) {
    if (k < keys) even[n] = hn::Max(even[n], hn::Load(d, column + n * Lanes()));
    grown |= state.move(v + n * Lanes(), hn::Max(even[n], odd[n]));
  }
  return grown;
}

/// Moves the bases. True when the older sums have to shrink by state.factor.
HWY_INLINE bool Maxima(std::int64_t keys, std::int64_t width, const float* scores,
                       SoftmaxRows& state) {
  bool grown = false;
  std::int64_t v = 0;
  for (; v + 4 * Lanes() <= width; v += 4 * Lanes()) {
    grown |= MaximaOf<4>(keys, width, scores + v, v, state);
  }
  for (; v < width; v += Lanes()) grown |= MaximaOf<1>(keys, width, scores + v, v, state);
  return grown;
}

/// visit(v) for the vectors of the g-th cell of rows.
template <class Visit>
HWY_INLINE void EachVector(std::int64_t g, std::int64_t width, Visit&& visit) {
  const std::int64_t end = std::min((g + 1) * RowCover::kCell, width);
  for (std::int64_t v = g * RowCover::kCell; v < end; v += Lanes()) visit(v);
}

/// The same behind a mask: hidden scores become −inf.
HWY_INLINE bool MaskedMaxima(std::int64_t keys, std::int64_t width, const RowCover& cover,
                             float* scores, SoftmaxRows& state) {
  const F d;
  const VF hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
  bool grown = false;
  for (std::int64_t g = 0; g * RowCover::kCell < width; ++g) {
    EachVector(g, width, [&](std::int64_t v) HWY_ATTR {
      VF top = hidden;
      EachRun(cover.blocks(g), [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
        const std::int64_t last = std::min(end * RowCover::kCell, keys);
        for (std::int64_t k = begin * RowCover::kCell; k < last; ++k) {
          float* at = scores + k * width + v;
          const VF s = hn::IfThenElse(cover.visible(k, v), hn::Load(d, at), hidden);
          hn::Store(s, d, at);
          top = hn::Max(top, s);
        }
      });
      grown |= state.move(v, top);
    });
  }
  return grown;
}

/// Scores of keys [begin, end) to weights 2^(S − base), added to `sum`, and their dropout; of
/// vector v. `begin` is even.
template <bool kDropout>
HWY_INLINE VF WeightsOf(std::int64_t begin, std::int64_t end, std::int64_t width,
                        std::int64_t first_key, const Dropout& dropout, const RowKeys& keys,
                        std::int64_t v, VF base, VF sum, float* scores) {
  const F d;
  const U u;
  const VF scale = hn::Set(d, dropout.scale);
  float* p = scores + begin * width + v;
  std::int64_t k = begin;
  for (; k + 2 <= end; k += 2, p += 2 * width) {
    VF p0 = Exp2(hn::Sub(hn::Load(d, p), base));
    VF p1 = Exp2(hn::Sub(hn::Load(d, p + width), base));
    sum = hn::Add(hn::Add(sum, p0), p1);
    if (kDropout) {
      const KeepPair keep(
          Draws((first_key + k) / 2, hn::Load(u, keys.key0 + v), hn::Load(u, keys.key1 + v)),
          dropout);
      p0 = hn::IfThenElseZero(keep.even, hn::Mul(p0, scale));
      p1 = hn::IfThenElseZero(keep.odd, hn::Mul(p1, scale));
    }
    hn::Store(p0, d, p);
    hn::Store(p1, d, p + width);
  }
  if (k < end) {
    VF p0 = Exp2(hn::Sub(hn::Load(d, p), base));
    sum = hn::Add(sum, p0);
    if (kDropout) {
      const KeepPair keep(
          Draws((first_key + k) / 2, hn::Load(u, keys.key0 + v), hn::Load(u, keys.key1 + v)),
          dropout);
      p0 = hn::IfThenElseZero(keep.even, hn::Mul(p0, scale));
    }
    hn::Store(p0, d, p);
  }
  return sum;
}

/// The same for a whole tile, behind a mask or not (null).
template <bool kDropout>
void Weights(std::int64_t keys, std::int64_t width, std::int64_t first_key, const Dropout& dropout,
             const RowKeys& row_keys, const RowCover* cover, float* scores, SoftmaxRows& state) {
  const F d;
  for (std::int64_t g = 0; g * RowCover::kCell < width; ++g) {
    EachVector(g, width, [&](std::int64_t v) HWY_ATTR {
      const VF base = state.finite_base(v);
      VF sum = hn::Mul(hn::Load(d, state.sum + v), hn::Load(d, state.factor + v));
      if (cover == nullptr) {
        sum =
            WeightsOf<kDropout>(0, keys, width, first_key, dropout, row_keys, v, base, sum, scores);
      } else {
        EachRun(cover->blocks(g), [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
          sum = WeightsOf<kDropout>(begin * RowCover::kCell, std::min(end * RowCover::kCell, keys),
                                    width, first_key, dropout, row_keys, v, base, sum, scores);
        });
      }
      hn::Store(sum, d, state.sum + v);
    });
  }
}

/// c[key][row] = rows of `left` (keys) · b [depth][width], where the mask asks for it.
HWY_INLINE void CoveredScores(std::int64_t keys, std::int64_t width, std::int64_t depth,
                              const float* left, std::int64_t stride, const float* b,
                              const RowCover* cover, float* c) {
  if (cover == nullptr) {
    Product<false>(false, keys, width / Lanes(), depth, left, stride, b, width, c, width, false);
    return;
  }
  cover->EachRunOfKeys(keys, [&](std::int64_t first, std::int64_t last,
                                 std::uint32_t groups) HWY_ATTR {
    EachRun(groups, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      const std::int64_t v = begin * RowCover::kCell, to = std::min(end * RowCover::kCell, width);
      Product<false>(false, last - first, (to - v) / Lanes(), depth, left + first * stride, stride,
                     b + v, width, c + first * width + v, width, false);
    });
  });
}

/// out[row] += Σ_key c[key][row] · b[key], where the mask asks for it.
HWY_INLINE void CoveredRows(bool guarded, std::int64_t rows, std::int64_t width, std::int64_t keys,
                            const float* c, const float* b, std::int64_t stride,
                            const RowCover* cover, float* out, std::int64_t padded, bool begun) {
  if (cover == nullptr) {
    Product<true>(guarded, rows, padded / Lanes(), keys, c, width, b, stride, out, padded, begun);
    return;
  }
  if (!begun) std::fill_n(out, rows * padded, 0.0f);
  for (std::int64_t r = 0; r < rows; r += RowCover::kCell) {
    EachRun(cover->blocks(r / RowCover::kCell), [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      const std::int64_t k = begin * RowCover::kCell, last = std::min(end * RowCover::kCell, keys);
      Product<true>(guarded, std::min(RowCover::kCell, rows - r), padded / Lanes(), last - k,
                    c + k * width + r, width, b + k * stride, stride, out + r * padded, padded,
                    true);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

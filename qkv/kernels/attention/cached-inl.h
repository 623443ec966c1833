// The inner loops of cached attention: scores of R query rows against four keys at a time, and
// their weighted sums of values. Features stand in the lanes; stored types are widened on the way.
// Compiled once per instruction set; included from dispatched sources only.
//
// Each dot product is one chain over the features per lane, each output one chain over the keys
// (two, by parity, in narrow heads, where one would wait for itself), whatever R is: rows get the
// same bits alone and together.
#if defined(QKV_KERNELS_ATTENTION_CACHED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_CACHED_INL_H_
#undef QKV_KERNELS_ATTENTION_CACHED_INL_H_
#else
#define QKV_KERNELS_ATTENTION_CACHED_INL_H_
#endif

#include <hwy/cache_control.h>

#include "qkv/kernels/attention/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

struct StoredF32 {
  using Element = float;
  static HWY_INLINE VF Load(const float* from) { return hn::Load(F(), from); }
};

struct StoredBf16 {
  using Element = std::uint16_t;
  static HWY_INLINE VF Load(const std::uint16_t* from) {
    const hn::Rebind<std::uint16_t, F> half;
    return hn::BitCast(F(), hn::ShiftLeft<16>(hn::PromoteTo(U(), hn::Load(half, from))));
  }
};

struct StoredInt8 {
  using Element = std::int8_t;
  static HWY_INLINE VF Load(const std::int8_t* from) {
    const hn::Rebind<std::int8_t, F> quarter;
    return hn::ConvertTo(F(), hn::PromoteTo(I(), hn::Load(quarter, from)));
  }
};

/// Rows are asked for this many keys before their turn, evenly: the memory works while the scores
/// are computed. In bursts, or for int8, whose arithmetic takes longer than its bytes, it only
/// costs.
inline constexpr std::int64_t kAhead = 16;

/// Asks for a row of `width` elements.
template <class T>
HWY_INLINE void Fetch(const T* row, std::int64_t width) {
  constexpr auto kLine = static_cast<std::int64_t>(64 / sizeof(T));
  for (std::int64_t x = 0; x < width; x += kLine) hwy::Prefetch(row + x);
}

/// Query rows and vectors of values that are worked on at once: 4·4 accumulators of 32 registers,
/// 2·4 or 4·2 of 16.
inline constexpr int kRowsAtOnce = HWY_TARGET <= HWY_AVX3 ? 4 : 2;

#if HWY_TARGET != HWY_SCALAR
/// Adds the upper half of the lanes to the lower one until four are left.
template <class D>
HWY_INLINE auto FoldToFour(D, hn::Vec<D> x) {
  if constexpr (hn::MaxLanes(D()) <= 4) {
    return x;
  } else {
    const hn::Half<D> half;
    return FoldToFour(half, hn::Add(hn::LowerHalf(half, x), hn::UpperHalf(half, x)));
  }
}
#endif

/// The sums of the lanes of four vectors.
HWY_INLINE void SumFour(VF a, VF b, VF c, VF e, float* sums) {
#if HWY_TARGET == HWY_SCALAR
  for (const VF x : {a, b, c, e}) *sums++ = hn::GetLane(x);
#else
  const F d;
  const VF ac = hn::Add(hn::InterleaveLower(d, a, c), hn::InterleaveUpper(d, a, c));
  const VF be = hn::Add(hn::InterleaveLower(d, b, e), hn::InterleaveUpper(d, b, e));
  const VF all = hn::Add(hn::InterleaveLower(d, ac, be), hn::InterleaveUpper(d, ac, be));
  hn::Store(FoldToFour(d, all), hn::Full128<float>(), sums);
#endif
}

/// scores[r·stride + i] = q[r·width ..]·keys[i][offset ..] for four keys.
template <class Stored, int R>
HWY_INLINE void ScoreFour(const typename Stored::Element* const* keys, std::int64_t offset,
                          std::int64_t width, const float* HWY_RESTRICT q,
                          float* HWY_RESTRICT scores, std::int64_t stride) {
  const F d;
  const std::int64_t lanes = Lanes();
  VF sum[R][4];
  if (width <= 4 * lanes) {  // short rows: one loop instead of four
    for (int r = 0; r < R; ++r) {
      for (int i = 0; i < 4; ++i) sum[r][i] = hn::Zero(d);
    }
    for (std::int64_t x = 0; x < width; x += lanes) {
      VF key[4];
      for (int i = 0; i < 4; ++i) key[i] = Stored::Load(keys[i] + offset + x);
      for (int r = 0; r < R; ++r) {
        const VF left = hn::Load(d, q + r * width + x);
        for (int i = 0; i < 4; ++i) sum[r][i] = hn::MulAdd(left, key[i], sum[r][i]);
      }
    }
  } else {  // long ones key by key, so that memory is read in order
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      VF s[R];
      for (int r = 0; r < R; ++r) s[r] = hn::Zero(d);
      for (std::int64_t x = 0; x < width; x += lanes) {
        const VF key = Stored::Load(keys[i] + offset + x);
        for (int r = 0; r < R; ++r) s[r] = hn::MulAdd(hn::Load(d, q + r * width + x), key, s[r]);
      }
      for (int r = 0; r < R; ++r) sum[r][i] = s[r];
    }
  }
  for (int r = 0; r < R; ++r) {
    SumFour(sum[r][0], sum[r][1], sum[r][2], sum[r][3], scores + r * stride);
  }
}

/// Where the sums over values stand: rows of `width` floats, `stride` apart. `odd`, if not null,
/// has those of odd keys.
struct Sums {
  float* even;
  float* odd;
  std::int64_t stride, width;
};

template <class Stored, int R, int E>
HWY_INLINE void AddValue(VF (&sum)[R][E], const typename Stored::Element* value,
                         const float* HWY_RESTRICT p, std::int64_t stride) {
  const F d;
  VF right[E];
  for (int e = 0; e < E; ++e) right[e] = Stored::Load(value + e * Lanes());
  for (int r = 0; r < R; ++r) {
    const VF left = hn::Set(d, p[r * stride]);
    for (int e = 0; e < E; ++e) sum[r][e] = hn::MulAdd(left, right[e], sum[r][e]);
  }
}

/// sums[r][e ..] += Σ_j p[r·stride + j]·values[j][from + e ..] over keys [begin, end), for R rows
/// and E vectors.
template <class Stored, int R, int E, int kChains>
HWY_INLINE void AddValues(const typename Stored::Element* const* values, std::int64_t begin,
                          std::int64_t end, std::int64_t from, std::int64_t e,
                          const float* HWY_RESTRICT p, std::int64_t stride, const Sums& sums,
                          bool fetch = false) {
  const F d;
  const std::int64_t lanes = Lanes();
  from += e;
  VF sum[kChains][R][E];
  const auto each = [&](auto&& f) HWY_ATTR {
    for (int c = 0; c < kChains; ++c) {
      for (int r = 0; r < R; ++r) {
        for (int i = 0; i < E; ++i) {
          f(sum[c][r][i], (c == 0 ? sums.even : sums.odd) + r * sums.stride + e + i * lanes);
        }
      }
    }
  };
  each([d](VF& x, float* at) HWY_ATTR { x = hn::Load(d, at); });
  std::int64_t j = begin;
  if constexpr (kChains == 2) {
    if (j % 2 == 1 && j < end) {
      AddValue<Stored, R, E>(sum[1], values[j] + from, p + j, stride);
      ++j;
    }
    for (; j + 2 <= end; j += 2) {
      AddValue<Stored, R, E>(sum[0], values[j] + from, p + j, stride);
      AddValue<Stored, R, E>(sum[1], values[j + 1] + from, p + j + 1, stride);
    }
  }
  for (; fetch && j < end; ++j) {
    Fetch(values[j + kAhead] + from, sums.width);
    AddValue<Stored, R, E>(sum[0], values[j] + from, p + j, stride);
  }
  for (; j < end; ++j) AddValue<Stored, R, E>(sum[0], values[j] + from, p + j, stride);
  each([d](VF& x, float* at) HWY_ATTR { hn::Store(x, d, at); });
}

/// The same for all vectors of the values, the first of which fetch.
template <class Stored, int R>
void WeightedSum(const typename Stored::Element* const* values, std::int64_t begin,
                 std::int64_t end, std::int64_t from, const float* p, std::int64_t stride,
                 const Sums& sums, bool fetch) {
  const std::int64_t lanes = Lanes();
  std::int64_t e = 0;
  if (sums.odd) {
    for (; e + 2 * lanes <= sums.width; e += 2 * lanes) {
      AddValues<Stored, R, 2, 2>(values, begin, end, from, e, p, stride, sums);
    }
    if (e < sums.width) AddValues<Stored, R, 1, 2>(values, begin, end, from, e, p, stride, sums);
    return;
  }
  constexpr int kWide = kRowsAtOnce == 4 || R == 1 ? 4 : 2;
  // One pass over whole rows where registers allow: half rows cost a third of the bandwidth.
  if constexpr (kRowsAtOnce == 4 && R <= 2) {
    for (; e + 8 * lanes <= sums.width; e += 8 * lanes) {
      AddValues<Stored, R, 8, 1>(values, begin, end, from, e, p, stride, sums, fetch && e == 0);
    }
  }
  for (; e + kWide * lanes <= sums.width; e += kWide * lanes) {
    AddValues<Stored, R, kWide, 1>(values, begin, end, from, e, p, stride, sums, fetch && e == 0);
  }
  for (; e + 2 * lanes <= sums.width; e += 2 * lanes) {
    AddValues<Stored, R, 2, 1>(values, begin, end, from, e, p, stride, sums);
  }
  if (e < sums.width) AddValues<Stored, R, 1, 1>(values, begin, end, from, e, p, stride, sums);
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

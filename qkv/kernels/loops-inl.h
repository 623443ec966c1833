// How our element-wise loops run over memory of any size and alignment, with dropout or without;
// included once per target inside foreach_target. The end of a run is a vector too, partly loaded
// and stored: there is no scalar copy of a formula whose rounding could differ.
#if defined(QKV_KERNELS_LOOPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_LOOPS_INL_H_
#undef QKV_KERNELS_LOOPS_INL_H_
#else
#define QKV_KERNELS_LOOPS_INL_H_
#endif

#include <cstdint>

#include <hwy/highway.h>

#include "qkv/base/random.h"
#include "qkv/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// Access to a whole vector.
struct Whole {
  HWY_INLINE VF load(F d, const float* p) const { return hn::LoadU(d, p); }
  HWY_INLINE void store(F d, VF v, float* p) const { hn::StoreU(v, d, p); }
  /// v with `filler` in the lanes that are not there.
  HWY_INLINE VF keep(F, VF v, float /*filler*/ = 0) const { return v; }
};

/// Access to the first `count` lanes: the others load as zero, their memory is not touched.
struct First {
  std::int64_t count;

  HWY_INLINE VF load(F d, const float* p) const {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
    return hn::MaskedLoad(mask(d), d, p);  // does not fault
#else
    HWY_ALIGN float pad[HWY_MAX_BYTES / sizeof(float)] = {};
    for (std::int64_t i = 0; i < count; ++i) pad[i] = p[i];
    return hn::Load(d, pad);
#endif
  }
  HWY_INLINE void store(F d, VF v, float* p) const {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
    hn::BlendedStore(v, mask(d), d, p);
#else
    HWY_ALIGN float pad[HWY_MAX_BYTES / sizeof(float)];
    hn::Store(v, d, pad);
    for (std::int64_t i = 0; i < count; ++i) p[i] = pad[i];
#endif
  }
  HWY_INLINE VF keep(F d, VF v, float filler = 0) const {
    return hn::IfThenElse(mask(d), v, hn::Set(d, filler));
  }

 private:
  HWY_INLINE hn::Mask<F> mask(F d) const { return hn::FirstN(d, static_cast<std::size_t>(count)); }
};

/// body(i, at) for i = 0, N, 2N … below n, N the lanes; `at` is Whole or, at the end, First.
template <class Body>
HWY_INLINE void ForEachVector(F d, std::int64_t n, Body&& body) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) body(i, Whole());
  if (i < n) body(i, First{n - i});
}

/// The words of dropout_draw() for elements [2·word, 2·word + 2·N): element 2j has the low half of
/// word j.
HWY_INLINE hn::Vec<hn::RebindToUnsigned<F>> DropoutWords(F, const Dropout& drop,
                                                         std::uint32_t word) {
  const hn::RebindToUnsigned<F> du;
  const auto m1 = hn::Set(du, 0x7feb352dU), m2 = hn::Set(du, 0x846ca68bU);
  // Iota of a constant: of a variable it is built number by number.
  auto x = hn::Xor(hn::Add(hn::Iota(du, 0), hn::Set(du, word)), hn::Set(du, drop.key0));
  x = hn::Xor(x, hn::ShiftRight<16>(x));
  x = hn::Mul(x, m1);
  x = hn::Xor(x, hn::ShiftRight<15>(x));
  x = hn::Mul(x, m2);
  x = hn::Xor(x, hn::ShiftRight<16>(x));
  x = hn::Add(x, hn::Set(du, drop.key1));
  x = hn::Mul(x, m1);
  x = hn::Xor(x, hn::ShiftRight<15>(x));
  x = hn::Mul(x, m2);
  return hn::Xor(x, hn::ShiftRight<16>(x));
}

/// dropout_factor() of elements [index, index + 2·N) for an even index, in order into lo and hi.
HWY_INLINE void DropoutFactors(F d, const Dropout& drop, std::uint64_t index, VF& lo, VF& hi) {
#if HWY_TARGET == HWY_SCALAR
  lo = hn::Set(d, dropout_factor(drop, index));
  hi = hn::Set(d, dropout_factor(drop, index + 1));
#else
  const hn::RebindToUnsigned<F> du;
  const hn::Repartition<std::uint16_t, F> d16;
  const auto draws =
      hn::BitCast(d16, DropoutWords(d, drop, static_cast<std::uint32_t>(index >> 1)));
  const auto threshold = hn::Set(du, drop.threshold);
  const hn::Half<decltype(d16)> half;
  const auto a = hn::PromoteTo(du, hn::LowerHalf(half, draws));
  const auto b = hn::PromoteTo(du, hn::UpperHalf(half, draws));
  const VF scale = hn::Set(d, drop.scale);
  lo = hn::IfThenZeroElse(hn::RebindMask(d, hn::Lt(a, threshold)), scale);
  hi = hn::IfThenZeroElse(hn::RebindMask(d, hn::Lt(b, threshold)), scale);
#endif
}

/// body(i, at, factors) over a run of n elements that begins at `index`, with their dropout factors
/// (ones when it is inactive). An odd first element goes alone: words belong to pairs. (`drop` is a
/// copy: stores to float memory could change an original, and the compiler would load it again.)
template <class Body>
HWY_INLINE void ForEachWithDropout(F d, std::int64_t n, const Dropout drop, std::uint64_t index,
                                   Body&& body) {
  if (!drop.active()) {
    const VF one = hn::Set(d, 1.0f);
    ForEachVector(d, n, [&](std::int64_t i, auto at) { body(i, at, one); });
    return;
  }
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  if ((index & 1) != 0 && n > 0) {
    body(0, First{1}, hn::Set(d, dropout_factor(drop, index)));
    i = 1;
  }
  VF lo, hi;
  for (; i < n; i += 2 * lanes) {
    DropoutFactors(d, drop, index + static_cast<std::uint64_t>(i), lo, hi);
    if (n - i >= 2 * lanes) {
      body(i, Whole(), lo);
      body(i + lanes, Whole(), hi);
    } else if (n - i >= lanes) {
      body(i, Whole(), lo);
      if (n - i > lanes) body(i + lanes, First{n - i - lanes}, hi);
    } else {
      body(i, First{n - i}, lo);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // QKV_KERNELS_LOOPS_INL_H_

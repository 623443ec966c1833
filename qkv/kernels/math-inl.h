// Vector mathematics shared by our kernels; included once per target inside foreach_target.
// Goals: about 1e-7 relative error, NaN in → NaN out, infinities handled, same bits at every lane
// and alignment. Non-goals: the last bit, flags, rounding modes.
#if defined(QKV_KERNELS_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_MATH_INL_H_
#undef QKV_KERNELS_MATH_INL_H_
#else
#define QKV_KERNELS_MATH_INL_H_
#endif

#include <hwy/highway.h>

#include "qkv/base/random.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::ScalableTag<float>;
using VF = hn::Vec<F>;

/// 2^n for whole n in [−126, 127], from the exponent's bits.
HWY_INLINE VF PowerOfTwo(F d, hn::Vec<hn::RebindToSigned<F>> n) {
  const hn::RebindToSigned<F> di;
  return hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(n, hn::Set(di, 127))));
}

/// e^x: x = n·ln 2 + r with |r| ≤ ln 2 / 2, then a polynomial of degree 6 (error below 2e-8) times
/// 2^n in two halves, so that both ends of the range come out right (denormals flush late, overflow
/// is infinite).
HWY_INLINE VF Exp(F d, VF x) {
  const hn::RebindToSigned<F> di;
  const VF clamped = hn::Min(hn::Max(x, hn::Set(d, -105.0f)), hn::Set(d, 89.5f));
  const VF n = hn::Round(hn::Mul(clamped, hn::Set(d, 1.44269504f)));
  VF r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), clamped);  // ln 2 in two parts (Cody & Waite)
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  VF p = hn::Set(d, 1.3981999507e-3f);
  p = hn::MulAdd(p, r, hn::Set(d, 8.3334519073e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1665795894e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6666665459e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 5.0000001201e-1f));
  p = hn::Add(hn::MulAdd(hn::Mul(r, r), p, r), hn::Set(d, 1.0f));
  const auto whole = hn::ConvertTo(di, n);
  const auto half = hn::ShiftRight<1>(whole);
  p = hn::Mul(hn::Mul(p, PowerOfTwo(d, half)), PowerOfTwo(d, hn::Sub(whole, half)));
  return hn::IfThenElse(hn::Eq(x, x), p, x);  // NaN stays NaN
}

/// tanh x = 1 − 2 / (e^{2x} + 1); near zero the odd series, where the difference would cancel.
HWY_INLINE VF Tanh(F d, VF x) {
  const VF one = hn::Set(d, 1.0f), two = hn::Set(d, 2.0f);
  const VF large = hn::Sub(one, hn::Div(two, hn::Add(Exp(d, hn::Mul(two, x)), one)));
  const VF z = hn::Mul(x, x);
  // x − x³/3 + 2x⁵/15 − 17x⁷/315 + 62x⁹/2835: below 1e-8 relative for |x| < 0.25.
  VF s = hn::Set(d, 62.0f / 2835.0f);
  s = hn::MulAdd(s, z, hn::Set(d, -17.0f / 315.0f));
  s = hn::MulAdd(s, z, hn::Set(d, 2.0f / 15.0f));
  s = hn::MulAdd(s, z, hn::Set(d, -1.0f / 3.0f));
  const VF small = hn::MulAdd(hn::Mul(s, z), x, x);
  return hn::IfThenElse(hn::Lt(hn::Abs(x), hn::Set(d, 0.25f)), small, large);
}

HWY_INLINE VF Sigmoid(F d, VF x) {
  const VF one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, Exp(d, hn::Neg(x))));
}

/// erf by Abramowitz & Stegun 7.1.26 has 1.5e-7 absolute error: what gelu needs, no more.
HWY_INLINE VF Erf(F d, VF x) {
  const VF one = hn::Set(d, 1.0f);
  const VF a = hn::Abs(x);
  const VF t = hn::Div(one, hn::MulAdd(a, hn::Set(d, 0.3275911f), one));
  VF p = hn::Set(d, 1.061405429f);
  p = hn::MulAdd(p, t, hn::Set(d, -1.453152027f));
  p = hn::MulAdd(p, t, hn::Set(d, 1.421413741f));
  p = hn::MulAdd(p, t, hn::Set(d, -0.284496736f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.254829592f));
  const VF y = hn::NegMulAdd(hn::Mul(p, t), Exp(d, hn::Neg(hn::Mul(a, a))), one);
  return hn::CopySign(y, x);
}

/// dropout_draw() of the words of 2·N elements, N the lanes: element 2j has the low half of word j.
HWY_INLINE hn::Vec<hn::RebindToUnsigned<F>> DropoutWords(F, const Dropout& drop,
                                                         std::uint32_t word) {
  const hn::RebindToUnsigned<F> du;
  const auto m1 = hn::Set(du, 0x7feb352dU), m2 = hn::Set(du, 0x846ca68bU);
  auto x = hn::Xor(hn::Iota(du, word), hn::Set(du, drop.key0));
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

/// body(i, factors) for the elements of a run of n that begins at `index`: a vector at a time, and
/// tail(i, factor) for what is left. Without dropout the factors are one.
template <class Body, class Tail>
HWY_INLINE void ForEachWithDropout(F d, std::int64_t n, const Dropout& drop, std::uint64_t index,
                                   Body&& body, Tail&& tail) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  if (!drop.active()) {
    const VF one = hn::Set(d, 1.0f);
    for (; i + lanes <= n; i += lanes) body(i, one);
    for (; i < n; ++i) tail(i, 1.0f);
    return;
  }
  if ((index & 1) != 0 && n > 0) tail(i, dropout_factor(drop, index)), ++i;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    VF lo, hi;
    DropoutFactors(d, drop, index + static_cast<std::uint64_t>(i), lo, hi);
    body(i, lo);
    body(i + lanes, hi);
  }
  for (; i < n; ++i) tail(i, dropout_factor(drop, index + static_cast<std::uint64_t>(i)));
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // QKV_KERNELS_MATH_INL_H_

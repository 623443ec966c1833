// Vector mathematics shared by our kernels; included once per target inside foreach_target.
// Goals: about 1e-7 relative error, NaN in → NaN out, infinities handled, same bits at every lane
// and alignment. Non-goals: the last bit, flags, rounding modes.
#if defined(QKV_KERNELS_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_MATH_INL_H_
#undef QKV_KERNELS_MATH_INL_H_
#else
#define QKV_KERNELS_MATH_INL_H_
#endif

#include <limits>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::ScalableTag<float>;
using VF = hn::Vec<F>;

/// x = n·ln 2 + r with |r| ≤ ln 2 / 2: gives e^r and, in `bits`, a word whose low byte is n + bias.
/// Adding 1.5·2²³ rounds to the nearest whole number and leaves it in the low bits of the sum. The
/// polynomial is a minimax fit of relative error 3e-9.
HWY_INLINE VF ExpReduced(F d, VF x, float bias, hn::Vec<hn::RebindToUnsigned<F>>& bits) {
  const hn::RebindToUnsigned<F> du;
  const VF magic = hn::Set(d, 12582912.0f + bias);
  const VF t = hn::MulAdd(x, hn::Set(d, 1.44269504f), magic);
  const VF n = hn::Sub(t, magic);
  VF r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);  // ln 2 in two parts (Cody & Waite)
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  VF p = hn::Set(d, 1.3814568519592285e-3f);
  p = hn::MulAdd(p, r, hn::Set(d, 8.36873147636652e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.166838899254799e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.1666652113199234f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.4999999403953552f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  bits = hn::BitCast(du, t);
  return hn::MulAdd(p, r, hn::Set(d, 1.0f));
}

/// e^x for x ≤ 0 (softmax): 2^n comes from the exponent's bits. Below the normal range it is 0.
HWY_INLINE VF ExpNonPositive(F d, VF x) {
  hn::Vec<hn::RebindToUnsigned<F>> bits;
  const VF p = ExpReduced(d, x, 127.0f, bits);
  const VF y = hn::Mul(p, hn::BitCast(d, hn::ShiftLeft<23>(bits)));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.336544f)), y);
}

/// e^x: n is added to the exponent of e^r, so that n = 128 comes out right too.
HWY_INLINE VF Exp(F d, VF x) {
  const hn::RebindToUnsigned<F> du;
  hn::Vec<hn::RebindToUnsigned<F>> bits;
  const VF p = ExpReduced(d, x, 0.0f, bits);
  VF y = hn::BitCast(d, hn::Add(hn::BitCast(du, p), hn::ShiftLeft<23>(bits)));
  // Above the range x + ∞ is infinite, and NaN, which fails every comparison, stays NaN.
  const VF above = hn::Add(x, hn::Set(d, std::numeric_limits<float>::infinity()));
  y = hn::IfThenElse(hn::Le(x, hn::Set(d, 88.72283f)), y, above);
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.336544f)), y);
}

/// tanh |x| = (1 − e) / (1 + e), e = e^{−2|x|}; near zero an odd polynomial (Cephes), where the
/// difference would cancel.
HWY_INLINE VF Tanh(F d, VF x) {
  const VF one = hn::Set(d, 1.0f), a = hn::Abs(x);
  const VF e = ExpNonPositive(d, hn::Mul(hn::Set(d, -2.0f), a));
  const VF large = hn::Div(hn::Sub(one, e), hn::Add(one, e));
  const VF z = hn::Mul(a, a);
  VF s = hn::Set(d, -5.70498872745e-3f);
  s = hn::MulAdd(s, z, hn::Set(d, 2.06390887954e-2f));
  s = hn::MulAdd(s, z, hn::Set(d, -5.37397155531e-2f));
  s = hn::MulAdd(s, z, hn::Set(d, 1.33314422036e-1f));
  s = hn::MulAdd(s, z, hn::Set(d, -3.33332819422e-1f));
  const VF small = hn::MulAdd(hn::Mul(s, z), a, a);
  return hn::CopySign(hn::IfThenElse(hn::Lt(a, hn::Set(d, 0.625f)), small, large), x);
}

/// 1 / (1 + e^{−x}) and its derivative, both to relative accuracy: from e^{−|x|}, nothing cancels.
HWY_INLINE VF Sigmoid(F d, VF x, VF& derivative) {
  const VF one = hn::Set(d, 1.0f);
  const VF e = ExpNonPositive(d, hn::Neg(hn::Abs(x)));
  const VF q = hn::Div(one, hn::Add(one, e));
  const VF eq = hn::Mul(e, q);
  derivative = hn::Mul(eq, q);
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), eq, q);
}

HWY_INLINE VF Sigmoid(F d, VF x) {
  VF unused;
  return Sigmoid(d, x, unused);
}

/// Φ(x) = (1 + erf(x/√2)) / 2, the normal distribution, and e^{−x²/2}. The tail is that exponential
/// times a minimax polynomial in t = 1 / (1 + 0.42·|x|/√2), relative error 2e-7.
HWY_INLINE VF NormalDistribution(F d, VF x, VF& exponential) {
  const VF one = hn::Set(d, 1.0f), a = hn::Abs(x);
  exponential = ExpNonPositive(d, hn::Mul(hn::Mul(hn::Set(d, -0.5f), a), a));
  const VF t = hn::Div(one, hn::MulAdd(a, hn::Set(d, 0.29698485f), one));
  VF p = hn::Set(d, 0.07021520112883232f);
  p = hn::MulAdd(p, t, hn::Set(d, -0.32018969973344175f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.440556648126142f));
  p = hn::MulAdd(p, t, hn::Set(d, -0.1304182851051094f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.26868462743064825f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.19474401001414252f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.23958289874307592f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.23682443029173228f));
  const VF tail = hn::Mul(hn::Mul(hn::Mul(p, t), hn::Set(d, 0.5f)), exponential);
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(one, tail));
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // QKV_KERNELS_MATH_INL_H_

// The vector forms of activation.h; included once per target inside foreach_target.
#if defined(QKV_KERNELS_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ACTIVATION_INL_H_
#undef QKV_KERNELS_ACTIVATION_INL_H_
#else
#define QKV_KERNELS_ACTIVATION_INL_H_
#endif

#include <hwy/highway.h>

#include "qkv/kernels/activation.h"
#include "qkv/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// 2·√(2/π)·(z + 0.044715 z³): gelu_tanh(z) = z·sigmoid of this, as (1 + tanh u)/2 = sigmoid(2u).
HWY_INLINE VF GeluArgument(F d, VF z) {
  const VF inner = hn::MulAdd(hn::Mul(hn::Set(d, 0.044715f), z), z, hn::Set(d, 1.0f));
  return hn::Mul(hn::Mul(hn::Set(d, 1.5957691f), z), inner);
}

HWY_INLINE VF Activated(F d, Activation activation, VF z) {
  VF unused;
  switch (activation) {
    case Activation::none:
      return z;
    case Activation::relu:
      return hn::IfThenZeroElse(hn::Le(z, hn::Zero(d)), z);  // NaN passes
    case Activation::gelu:
      return hn::Mul(z, NormalDistribution(d, z, unused));
    case Activation::gelu_tanh:
      return hn::Mul(z, Sigmoid(d, GeluArgument(d, z)));
    case Activation::tanh:
      return Tanh(d, z);
    case Activation::sigmoid:
      return Sigmoid(d, z);
    case Activation::silu:
      return hn::Mul(z, Sigmoid(d, z));
    case Activation::quick_gelu:
      return hn::Mul(z, Sigmoid(d, hn::Mul(hn::Set(d, 1.702f), z)));
    case Activation::elu: {  // e^z − 1 = 2t / (1 − t) with t = tanh(z/2): no digits are lost near 0
      const VF t = Tanh(d, hn::Mul(hn::Set(d, 0.5f), z));
      const VF below = hn::Div(hn::Add(t, t), hn::Sub(hn::Set(d, 1.0f), t));
      return hn::IfThenElse(hn::Gt(z, hn::Zero(d)), z, below);
    }
  }
  return z;
}

/// The derivative of z·σ(k z): σ + k z σ'. Far out σ' is 0, however large z.
HWY_INLINE VF SigmoidProductSlope(F d, float k, VF z) {
  const VF kz = hn::Mul(hn::Set(d, k), z);
  VF slope;
  const VF s = Sigmoid(d, kz, slope);
  return hn::Add(s, hn::IfThenZeroElse(hn::Eq(slope, hn::Zero(d)), hn::Mul(kz, slope)));
}

/// The derivative of Activated() at z.
HWY_INLINE VF Slope(F d, Activation activation, VF z) {
  const VF one = hn::Set(d, 1.0f);
  switch (activation) {
    case Activation::none:
      return one;
    case Activation::relu:
      return hn::IfThenZeroElse(hn::Le(z, hn::Zero(d)), one);
    case Activation::gelu: {
      VF density;
      const VF below = NormalDistribution(d, z, density);
      return hn::MulAdd(hn::Mul(z, hn::Set(d, 0.39894228f)), density, below);
    }
    case Activation::gelu_tanh: {
      VF slope;
      const VF s = Sigmoid(d, GeluArgument(d, z), slope);
      const VF inner = hn::MulAdd(hn::Mul(hn::Set(d, 0.134145f), z), z, one);  // 3·0.044715·z² + 1
      const VF chain = hn::Mul(hn::Mul(hn::Mul(z, hn::Set(d, 1.5957691f)), inner), slope);
      // Far out the slope is 0 and z² may be infinite.
      return hn::Add(s, hn::IfThenZeroElse(hn::Eq(slope, hn::Zero(d)), chain));
    }
    case Activation::tanh: {
      const VF t = Tanh(d, z);
      return hn::NegMulAdd(t, t, one);
    }
    case Activation::sigmoid: {
      VF slope;
      Sigmoid(d, z, slope);
      return slope;
    }
    case Activation::silu:
      return SigmoidProductSlope(d, 1.0f, z);
    case Activation::quick_gelu:
      return SigmoidProductSlope(d, 1.702f, z);
    case Activation::elu:
      return hn::IfThenElse(hn::Gt(z, hn::Zero(d)), one, Exp(d, z));
  }
  return one;
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // QKV_KERNELS_ACTIVATION_INL_H_

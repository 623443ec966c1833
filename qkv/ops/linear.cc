#include "qkv/ops/linear.h"

#include "qkv/base/dims.h"
#include "qkv/kernels/gemm.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

bool smooth(Activation a) { return a != Activation::none && a != Activation::relu; }

/// dW += xᵀ·dz and dx += dz·Wᵀ, where wanted.
void product_backward(const Tensor& x, const Tensor& weight, const Tensor& dz) {
  const std::int64_t rows = x.dim(0), in = x.dim(1), out = weight.dim(1);
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    if (needs_gradient(weight)) {
      GradientBuffer dw = gradient_buffer(weight);
      kernels_for<T>().gemm_tn(in, out, rows, x.data<T>(), in, dz.data<T>(), out, T(dw.add ? 1 : 0),
                               dw.tensor.data<T>(), out);
    }
    if (needs_gradient(x)) {
      const Tensor transposed = transposed_parameter(weight);
      GradientBuffer dx = gradient_buffer(x);
      kernels_for<T>().gemm_nn(rows, in, out, dz.data<T>(), out, transposed.data<T>(), in,
                               T(dx.add ? 1 : 0), dx.tensor.data<T>(), in);
    }
  });
}

/// What lies between a product and y = dropout(activation(z + bias)), with what its backward pass
/// needs of the forward one.
struct Step {
  Tensor bias, z, y;  // z of the smooth activations, y of relu; else undefined
  Activation activation = Activation::none;
  Dropout drop = {};

  bool plain() const { return activation == Activation::none && !drop.active(); }
  /// dz; db is accumulated.
  Tensor backward(const Tensor& dy) const {
    Tensor dz = dy;
    if (!plain()) {
      dz = Tensor::empty(dy.shape(), dy.dtype());
      dispatch(dy, [&](auto zero) {
        using T = decltype(zero);
        kernels_for<T>().bias_activation_backward(dy.dim(0), dy.dim(1), data_or_null<T>(z),
                                                  data_or_null<T>(bias), data_or_null<T>(y),
                                                  activation, drop, dy.data<T>(), dz.data<T>());
      });
    }
    if (bias.defined() && needs_gradient(bias)) {
      dispatch(dz, [&](auto zero) {
        using T = decltype(zero);
        GradientBuffer db = gradient_buffer(bias);
        kernels_for<T>().column_sums(dz.dim(0), dz.dim(1), dz.data<T>(), T(db.add ? 1 : 0),
                                     db.tensor.data<T>());
      });
    }
    return dz;
  }
};

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Activation activation,
              double dropout) {
  const Dims d("linear", {{"x", x.shape(), "T I"}, {"weight", weight.shape(), "I O"}});
  if (bias.defined())
    Dims("linear", {{"weight", weight.shape(), "I O"}, {"bias", bias.shape(), "O"}});
  check_types("linear", x, {&weight, &bias});
  const std::int64_t rows = d["T"], in = d["I"], out = d["O"];
  const Dropout drop = draw_dropout(dropout);
  const bool plain = activation == Activation::none && !drop.active();

  Tensor z = Tensor::empty({rows, out}, x.dtype());
  // The smooth activations need z in the backward pass; the others find all they need in y.
  const bool keep_z = smooth(activation) && recording();
  Tensor y = keep_z ? Tensor::empty({rows, out}, x.dtype()) : z;
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().gemm_nn(rows, out, in, x.data<T>(), in, weight.data<T>(), out, T(0),
                             z.data<T>(), out);
    if (!plain || bias.defined()) {
      kernels_for<T>().bias_activation(rows, out, z.data<T>(), data_or_null<T>(bias), activation,
                                       drop, y.data<T>());
    }
  });

  const Step step{bias, keep_z ? z : Tensor(),
                  activation == Activation::relu ? Tensor(y) : Tensor(), activation, drop};
  record(y, {&x, &weight, &bias},
         [x, weight, step](const Tensor& dy) { product_backward(x, weight, step.backward(dy)); });
  return y;
}

Tensor bias_activate(const Tensor& x, const Tensor& bias, Activation activation) {
  const Dims d("bias_activate", {{"x", x.shape(), "T O"}});
  if (bias.defined()) {
    Dims("bias_activate", {{"x", x.shape(), "T O"}, {"bias", bias.shape(), "O"}});
  }
  check_types("bias_activate", x, {&bias});
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().bias_activation(d["T"], d["O"], x.data<T>(), data_or_null<T>(bias), activation,
                                     {}, y.data<T>());
  });
  const Step step{bias, smooth(activation) ? x.reshaped(x.shape()) : Tensor(),
                  activation == Activation::relu ? y.reshaped(y.shape()) : Tensor(), activation};
  record(y, {&x, &bias}, [x, step](const Tensor& dy) { accumulate_shared(x, step.backward(dy)); });
  return y;
}

Tensor matmul(const Tensor& a, const Tensor& b) { return linear(a, b); }

}  // namespace qkv

#include "qkv/ops/norm.h"

#include "qkv/base/dims.h"
#include "qkv/kernels/elementwise.h"
#include "qkv/kernels/norm.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

/// What the backward pass reads.
struct Saved {
  Tensor x, residual, gamma, beta, sum, mean, rstd;
  Dropout drop;
};

void backward(const Saved& n, const Tensor& dout, const Tensor& dsum) {
  if (!dout.defined()) {  // only the carried sum was used
    accumulate_shared(n.residual, dsum);
    if (!needs_gradient(n.x)) return;
    Tensor dx = Tensor::empty(n.x.shape(), n.x.dtype());
    dispatch(n.x, [&](auto zero) {
      using T = decltype(zero);
      kernels_for<T>().dropout(n.x.count(), dsum.data<T>(), n.drop, dx.data<T>());
    });
    return accumulate(n.x, std::move(dx));
  }
  Tensor ds = Tensor::empty(n.x.shape(), n.x.dtype());
  const bool separate = n.drop.active() && needs_gradient(n.x);
  Tensor dx = separate ? Tensor::empty(n.x.shape(), n.x.dtype()) : ds;
  dispatch(n.x, [&](auto zero) {
    using T = decltype(zero);
    kernels::NormBackward<T> a{};
    a.rows = n.x.dim(0);
    a.cols = n.x.dim(1);
    a.sum = n.sum.data<T>();
    a.mean = n.mean.data<T>();
    a.rstd = n.rstd.data<T>();
    a.gamma = data_or_null<T>(n.gamma);
    a.dout = dout.data<T>();
    a.dsum = data_or_null<T>(dsum);
    a.dropout = n.drop;
    a.dresidual = ds.data<T>();
    a.dx = separate ? dx.data<T>() : nullptr;
    Tensor dgamma, dbeta;
    if (n.gamma.defined() && needs_gradient(n.gamma)) {
      dgamma = gradient_sum(n.gamma);
      a.dgamma = dgamma.data<T>();
    }
    if (n.beta.defined() && needs_gradient(n.beta)) {
      dbeta = gradient_sum(n.beta);
      a.dbeta = dbeta.data<T>();
    }
    kernels_for<T>().layer_norm_backward(a);
  });
  if (separate) {
    accumulate(n.x, std::move(dx));
  } else {
    accumulate_shared(n.x, ds);
  }
  if (n.residual.defined()) accumulate(n.residual, std::move(ds));
}

ResidualNorm run(const char* call, const Tensor& residual, const Tensor& x, const Tensor& gamma,
                 const Tensor& beta, const NormOptions& options) {
  const Dims d(call, {{"x", x.shape(), "T C"}});
  if (residual.defined())
    Dims(call, {{"x", x.shape(), "T C"}, {"residual", residual.shape(), "T C"}});
  if (gamma.defined()) Dims(call, {{"x", x.shape(), "T C"}, {"gamma", gamma.shape(), "C"}});
  if (beta.defined()) Dims(call, {{"x", x.shape(), "T C"}, {"beta", beta.shape(), "C"}});
  check_types(call, x, {&residual, &gamma, &beta});
  const std::int64_t rows = d["T"], cols = d["C"];
  const Dropout drop = draw_dropout(options.dropout);

  ResidualNorm y;
  y.sum = residual.defined() ? Tensor::empty(x.shape(), x.dtype()) : x;
  y.out = Tensor::empty(x.shape(), x.dtype());
  Tensor mean = Tensor::empty({rows}, x.dtype()), rstd = Tensor::empty({rows}, x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    kernels::NormForward<T> a{};
    a.rows = rows;
    a.cols = cols;
    a.x = x.data<T>();
    a.residual = data_or_null<T>(residual);
    a.dropout = drop;
    a.gamma = data_or_null<T>(gamma);
    a.beta = data_or_null<T>(beta);
    a.eps = options.eps;
    a.sum = residual.defined() ? y.sum.data<T>() : nullptr;
    a.out = y.out.data<T>();
    a.mean = mean.data<T>();
    a.rstd = rstd.data<T>();
    kernels_for<T>().layer_norm(a);
  });

  // Without a residual, sum is x itself: its gradient goes straight to x.
  const Tensor sum = residual.defined() ? y.sum.reshaped(y.sum.shape()) : x;
  Tensor unused;
  Tensor* sum_output = residual.defined() ? &y.sum : &unused;
  record({&y.out, sum_output}, {&x, &residual, &gamma, &beta},
         [saved = Saved{x, residual, gamma, beta, sum, mean, rstd, drop}](
             std::span<const Tensor> gradients) { backward(saved, gradients[0], gradients[1]); });
  return y;
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
  return run("layer_norm", {}, x, gamma, beta, {.eps = eps}).out;
}

ResidualNorm residual_norm(const Tensor& residual, const Tensor& x, const Tensor& gamma,
                           const Tensor& beta, const NormOptions& options) {
  if (!residual.defined()) fail<ShapeError>("residual_norm: no residual was given");
  return run("residual_norm", residual, x, gamma, beta, options);
}

}  // namespace qkv

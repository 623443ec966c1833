#include "qkv/ops/convolve.h"

#include <memory>
#include <vector>

#include "qkv/base/dims.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

/// A call with its arguments checked; the kernels' form refers to the grids kept here.
struct Call {
  std::vector<kernels::ConvolvedGrid> grids;
  kernels::Convolve form;
  std::int64_t places = 0;

  Call(const Grids& from, const Grids& to, const PixelWindow& window) : places(to.total()) {
    for (std::int64_t b = 0; b < from.count(); ++b) {
      grids.push_back({from[b], to[b], from.begin(b), to.begin(b)});
    }
    form.grids = grids;
    form.window = window;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
};

void check_window(const Tensor& kernel, const PixelWindow& window) {
  const bool time = kernel.shape().rank() == 3;
  const std::int64_t rows = time ? 1 : kernel.dim(0), cols = kernel.dim(time ? 0 : 1);
  if (rows == window.rows && cols == window.cols) return;
  fail<ShapeError>("convolve: kernel {} does not fit a window of {} × {}",
                   to_string(kernel.shape()), window.rows, window.cols);
}

std::shared_ptr<const Call> checked(const Tensor& x, const Grids& grids, const Tensor& kernel,
                                    const Tensor& bias, const PixelWindow& window,
                                    std::int64_t groups) {
  const char* shape = kernel.shape().rank() == 3 ? "K J O" : "Kh Kw J O";
  const Dims d("convolve", {{"x", x.shape(), "T I"}, {"kernel", kernel.shape(), shape}});
  if (bias.defined()) {
    Dims("convolve", {{"kernel", kernel.shape(), shape}, {"bias", bias.shape(), "O"}});
  }
  check_types("convolve", x, {&kernel, &bias});
  check_window(kernel, window);
  if (d["T"] != grids.total()) {
    fail<ShapeError>("convolve: {} rows but pictures of {} pixels", d["T"], grids.total());
  }
  if (groups < 1 || d["I"] != groups * d["J"] || d["O"] % groups != 0) {
    fail<ShapeError>("convolve: x {} and kernel {} in {} groups", to_string(x.shape()),
                     to_string(kernel.shape()), groups);
  }
  const auto call = std::make_shared<Call>(grids, grids.over(window), window);
  call->form.in = d["I"];
  call->form.out = d["O"];
  call->form.groups = groups;
  return call;
}

/// The kernel as [O, the rest]: what the gradient of the pixels multiplies.
Tensor turned(const Tensor& kernel) {
  const std::int64_t out = kernel.dim(-1), rest = out == 0 ? 0 : kernel.count() / out;
  Tensor to = Tensor::empty({out, rest}, kernel.dtype());
  dispatch(kernel, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().transpose(rest, out, kernel.data<T>(), to.data<T>());
  });
  return to;
}

void backward(const kernels::Convolve& form, const Tensor& x, const Tensor& kernel,
              const Tensor& bias, const Tensor& dy) {
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    if (needs_gradient(x)) {
      Tensor dx = gradient_sum(x);
      kernels_for<T>().convolve_input(form, dy.data<T>(), turned(kernel).data<T>(), dx.data<T>());
    }
    if (needs_gradient(kernel)) {
      Tensor dk = gradient_sum(kernel);
      kernels_for<T>().convolve_weight(form, x.data<T>(), dy.data<T>(), dk.data<T>());
    }
    if (bias.defined() && needs_gradient(bias)) {
      GradientBuffer db = gradient_buffer(bias);
      kernels_for<T>().column_sums(dy.dim(0), dy.dim(1), dy.data<T>(), T(db.add ? 1 : 0),
                                   db.tensor.data<T>());
    }
  });
}

}  // namespace

Tensor convolve(const Tensor& x, const Grids& grids, const Tensor& kernel, const Tensor& bias,
                const PixelWindow& window, std::int64_t groups) {
  const auto call = checked(x, grids, kernel, bias, window, groups);
  Tensor y = Tensor::empty({call->places, call->form.out}, x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().convolve(call->form, x.data<T>(), kernel.data<T>(), data_or_null<T>(bias),
                              y.data<T>());
  });
  record(y, {&x, &kernel, &bias},
         [call, x, kernel, bias](const Tensor& dy) { backward(call->form, x, kernel, bias, dy); });
  return y;
}

}  // namespace qkv

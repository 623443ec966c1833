#include "qkv/ops/elementwise.h"

#include "qkv/base/error.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

void check_same(const char* call, const Tensor& a, const Tensor& b) {
  check_types(call, a, {&b});
  if (a.shape() != b.shape()) {
    fail<ShapeError>("{}: shapes {} and {} differ", call, to_string(a.shape()),
                     to_string(b.shape()));
  }
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  check_same("add", a, b);
  Tensor y = Tensor::empty(a.shape(), a.dtype());
  dispatch(a, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().add(a.count(), a.data<T>(), b.data<T>(), y.data<T>());
  });
  record(y, {&a, &b}, [a, b](const Tensor& dy) {
    accumulate_shared(a, dy);
    accumulate_shared(b, dy);
  });
  return y;
}

Tensor multiply(const Tensor& a, const Tensor& b) {
  check_same("multiply", a, b);
  const auto product = [](const Tensor& x, const Tensor& y) {
    Tensor z = Tensor::empty(x.shape(), x.dtype());
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      kernels_for<T>().multiply(x.count(), x.data<T>(), y.data<T>(), z.data<T>());
    });
    return z;
  };
  Tensor y = product(a, b);
  record(y, {&a, &b}, [a, b, product](const Tensor& dy) {
    if (needs_gradient(a)) accumulate(a, product(dy, b));
    if (needs_gradient(b)) accumulate(b, product(dy, a));
  });
  return y;
}

void add_scaled(double factor, const Tensor& x, Tensor& sum) {
  if (x.shape() != sum.shape()) {
    fail<ShapeError>("add_scaled: {} to {}", to_string(x.shape()), to_string(sum.shape()));
  }
  check_types("add_scaled", sum, {&x});
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().axpby(x.count(), static_cast<T>(factor), x.data<T>(), T(1), sum.data<T>());
  });
}

Tensor scale(const Tensor& x, double factor) {
  const auto scaled = [factor](const Tensor& from) {
    Tensor to = Tensor::empty(from.shape(), from.dtype());
    dispatch(from, [&](auto zero) {
      using T = decltype(zero);
      kernels_for<T>().axpby(from.count(), static_cast<T>(factor), from.data<T>(), T(0),
                             to.data<T>());
    });
    return to;
  };
  Tensor y = scaled(x);
  record(y, {&x}, [x, scaled](const Tensor& dy) { accumulate(x, scaled(dy)); });
  return y;
}

Tensor activate(const Tensor& x, Activation activation) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().bias_activation(1, x.count(), x.data<T>(), static_cast<const T*>(nullptr),
                                     activation, Dropout{}, y.data<T>());
  });
  const Tensor saved = y.reshaped(y.shape());
  record(y, {&x}, [x, saved, activation](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape(), x.dtype());
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      kernels_for<T>().bias_activation_backward(1, x.count(), x.data<T>(),
                                                static_cast<const T*>(nullptr), saved.data<T>(),
                                                activation, Dropout{}, dy.data<T>(), dx.data<T>());
    });
    accumulate(x, std::move(dx));
  });
  return y;
}

Tensor gated(const Tensor& gate, const Tensor& up, Activation activation) {
  check_same("gated", gate, up);
  Tensor y = Tensor::empty(gate.shape(), gate.dtype());
  dispatch(gate, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().gate(gate.count(), gate.data<T>(), up.data<T>(), activation, y.data<T>());
  });
  record(y, {&gate, &up}, [gate, up, activation](const Tensor& dy) {
    Tensor dgate, dup;
    if (needs_gradient(gate)) dgate = Tensor::empty(gate.shape(), gate.dtype());
    if (needs_gradient(up)) dup = Tensor::empty(up.shape(), up.dtype());
    dispatch(gate, [&](auto zero) {
      using T = decltype(zero);
      kernels_for<T>().gate_backward(gate.count(), gate.data<T>(), up.data<T>(), activation,
                                     dy.data<T>(), dgate.defined() ? dgate.data<T>() : nullptr,
                                     dup.defined() ? dup.data<T>() : nullptr);
    });
    if (dgate.defined()) accumulate(gate, std::move(dgate));
    if (dup.defined()) accumulate(up, std::move(dup));
  });
  return y;
}

Tensor dropout(const Tensor& x, double probability) {
  const Dropout drop = draw_dropout(probability);
  if (!drop.active()) return x;
  const auto dropped = [drop](const Tensor& from) {
    Tensor to = Tensor::empty(from.shape(), from.dtype());
    dispatch(from, [&](auto zero) {
      using T = decltype(zero);
      kernels_for<T>().dropout(from.count(), from.data<T>(), drop, to.data<T>());
    });
    return to;
  };
  Tensor y = dropped(x);
  record(y, {&x}, [x, dropped](const Tensor& dy) { accumulate(x, dropped(dy)); });
  return y;
}

}  // namespace qkv

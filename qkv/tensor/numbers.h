// The numbers of a tensor one by one, for code above the operations that makes or changes a few of
// them: tables, masks, initial weights. It knows nothing of gradients, and is not for hot loops.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// f(T{}) with T = float or double, the type of the numbers.
template <class F>
void with_type(DType type, F&& f) {
  if (type == DType::f64) {
    f(double{});
  } else {
    f(float{});
  }
}

/// Element i, counted through the rows.
inline double number(const Tensor& x, std::int64_t i) {
  const auto at = static_cast<std::size_t>(i);
  return x.dtype() == DType::f64 ? x.values<double>()[at] : static_cast<double>(x.values()[at]);
}

/// Of f32 tensors: the same shape and equal numbers.
inline bool same_numbers(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::ranges::equal(a.values(), b.values());
}

/// A tensor whose element i, counted through the rows, is f(i), a double; asked in that order.
template <class F>
Tensor generated(const Shape& shape, DType type, F&& f) {
  Tensor out = Tensor::empty(shape, type);
  with_type(type, [&](auto zero) {
    using T = decltype(zero);
    T* to = out.data<T>();
    for (std::int64_t i = 0; i < out.count(); ++i) to[i] = static_cast<T>(f(i));
  });
  return out;
}

/// x[i] becomes f(i, x[i]), both doubles.
template <class F>
void change_each(Tensor& x, F&& f) {
  with_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* at = x.data<T>();
    for (std::int64_t i = 0; i < x.count(); ++i) {
      at[i] = static_cast<T>(f(i, static_cast<double>(at[i])));
    }
  });
}

/// f(x[i], y[i]) in the type of x and y, which have the same count; the shape is x's.
template <class F>
Tensor combined(const Tensor& x, const Tensor& y, F&& f) {
  if (x.count() != y.count()) {
    fail<ShapeError>("combined: {} and {} numbers", x.count(), y.count());
  }
  Tensor out = Tensor::empty(x.shape(), x.dtype());
  with_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *a = x.data<T>(), *b = y.data<T>();
    T* to = out.data<T>();
    for (std::int64_t i = 0; i < x.count(); ++i) to[i] = f(a[i], b[i]);
  });
  return out;
}

}  // namespace qkv

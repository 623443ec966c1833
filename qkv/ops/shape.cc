#include "qkv/ops/shape.h"

#include <algorithm>

#include "qkv/base/error.h"
#include "qkv/ops/dispatch.h"

namespace qkv {

Tensor reshape(const Tensor& x, const Shape& shape) {
  Tensor y = x.reshaped(shape);
  record(y, {&x}, [x](const Tensor& dy) { accumulate_shared(x, dy.reshaped(x.shape())); });
  return y;
}

Tensor select_rows(const Tensor& x, std::span<const std::int64_t> rows) {
  const std::int64_t count = x.dim(0), width = count == 0 ? 0 : x.count() / count;
  for (std::int64_t row : rows) {
    if (row < 0 || row >= count) fail<ShapeError>("select_rows: row {} of {}", row, count);
  }
  Shape shape = x.shape();
  shape[0] = static_cast<std::int64_t>(rows.size());
  Tensor y = Tensor::empty(shape, x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    T* out = y.data<T>();
    for (std::int64_t row : rows) out = std::copy_n(x.data<T>() + row * width, width, out);
  });
  std::vector<std::int64_t> kept(rows.begin(), rows.end());
  record(y, {&x}, [x, kept = std::move(kept), width](const Tensor& dy) {
    Tensor dx = gradient_sum(x);
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      const T* from = dy.data<T>();
      for (std::int64_t row : kept) {
        T* to = dx.data<T>() + row * width;
        for (std::int64_t c = 0; c < width; ++c) to[c] += from[c];
        from += width;
      }
    });
  });
  return y;
}

Tensor sum(const Tensor& x) {
  Tensor y = Tensor::zeros({}, x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    double total = 0;
    for (T value : x.values<T>()) total += static_cast<double>(value);
    *y.data<T>() = static_cast<T>(total);
  });
  record(y, {&x},
         [x](const Tensor& dy) { accumulate(x, Tensor::full(x.shape(), dy.item(), x.dtype())); });
  return y;
}

}  // namespace qkv

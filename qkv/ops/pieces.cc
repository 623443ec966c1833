#include "qkv/ops/pieces.h"

#include <algorithm>
#include <vector>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/kernels/elementwise.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

std::int64_t row_size(const Tensor& x) {
  std::int64_t n = 1;
  for (int axis = 1; axis < x.shape().rank(); ++axis) n *= x.dim(axis);
  return n;
}

template <class T>
void add_to(std::int64_t n, const T* from, T* to) {
  kernels_for<T>().add(n, from, to, to);
}

/// parts[i] = the columns of whole that belong to it, or the other way round.
template <class Move>
void over_columns(std::span<const Tensor> parts, std::int64_t rows, std::int64_t width,
                  Move&& move) {
  parallel_for(rows, 64, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      std::int64_t column = 0;
      for (std::size_t i = 0; i < parts.size(); ++i) {
        const std::int64_t n = parts[i].dim(1);
        move(i, r * n, r * width + column, n);
        column += n;
      }
    }
  });
}

}  // namespace

Tensor slice_rows(const Tensor& x, std::int64_t begin, std::int64_t end) {
  if (begin < 0 || end < begin || x.shape().rank() == 0 || end > x.dim(0)) {
    fail<ShapeError>("slice_rows: rows [{}, {}) of {}", begin, end, to_string(x.shape()));
  }
  if (begin == 0 && end == x.dim(0)) return x;
  Tensor y = x.rows(begin, end);
  y.set_tape_node({});
  record(y, {&x}, [x, begin](const Tensor& dy) {
    Tensor dx = gradient_sum(x);
    dispatch(dy, [&](auto zero) {
      using T = decltype(zero);
      add_to<T>(dy.count(), dy.data<T>(), dx.data<T>() + begin * row_size(x));
    });
  });
  return y;
}

Tensor stack_rows(std::span<const Tensor> parts) {
  if (parts.empty()) fail<ShapeError>("stack_rows: nothing to stack");
  if (parts.size() == 1) return parts[0];
  Shape shape = parts[0].shape();
  if (shape.rank() == 0) fail<ShapeError>("stack_rows: a scalar has no rows");
  shape[0] = 0;
  for (const Tensor& part : parts) {
    check_types("stack_rows", parts[0], {&part});
    if (part.shape().rank() != shape.rank() || row_size(part) != row_size(parts[0])) {
      fail<ShapeError>("stack_rows: {} and {}", to_string(parts[0].shape()),
                       to_string(part.shape()));
    }
    shape[0] += part.dim(0);
  }
  Tensor y = Tensor::empty(shape, parts[0].dtype());
  dispatch(y, [&](auto zero) {
    using T = decltype(zero);
    T* to = y.data<T>();
    for (const Tensor& part : parts) to = std::copy_n(part.data<T>(), part.count(), to);
  });
  std::vector<Tensor> kept(parts.begin(), parts.end());
  std::vector<const Tensor*> inputs;
  for (const Tensor& part : parts) inputs.push_back(&part);
  Tensor* outputs[] = {&y};
  record(outputs, inputs, [kept](std::span<const Tensor> gradients) {
    std::int64_t row = 0;
    for (const Tensor& part : kept) {
      accumulate_shared(part, gradients[0].rows(row, row + part.dim(0)));
      row += part.dim(0);
    }
  });
  return y;
}

Tensor join_columns(std::span<const Tensor> parts) {
  if (parts.empty()) fail<ShapeError>("join_columns: nothing to join");
  if (parts.size() == 1) return parts[0];
  std::int64_t width = 0;
  for (const Tensor& part : parts) {
    check_types("join_columns", parts[0], {&part});
    if (part.shape().rank() != 2 || part.dim(0) != parts[0].dim(0)) {
      fail<ShapeError>("join_columns: {} and {}", to_string(parts[0].shape()),
                       to_string(part.shape()));
    }
    width += part.dim(1);
  }
  const std::int64_t rows = parts[0].dim(0);
  Tensor y = Tensor::empty({rows, width}, parts[0].dtype());
  dispatch(y, [&](auto zero) {
    using T = decltype(zero);
    T* to = y.data<T>();
    over_columns(parts, rows, width,
                 [&](std::size_t i, std::int64_t part, std::int64_t whole, std::int64_t n) {
                   std::copy_n(parts[i].data<T>() + part, n, to + whole);
                 });
  });
  std::vector<Tensor> kept(parts.begin(), parts.end());
  std::vector<const Tensor*> inputs;
  for (const Tensor& part : parts) inputs.push_back(&part);
  Tensor* outputs[] = {&y};
  record(outputs, inputs, [kept, rows, width](std::span<const Tensor> gradients) {
    std::vector<Tensor> parts_of;
    parts_of.reserve(kept.size());
    for (const Tensor& part : kept) parts_of.push_back(Tensor::empty(part.shape(), part.dtype()));
    dispatch(gradients[0], [&](auto zero) {
      using T = decltype(zero);
      std::vector<T*> to;
      to.reserve(parts_of.size());
      for (Tensor& part : parts_of) to.push_back(part.data<T>());
      over_columns(kept, rows, width,
                   [&](std::size_t i, std::int64_t part, std::int64_t whole, std::int64_t n) {
                     std::copy_n(gradients[0].data<T>() + whole, n, to[i] + part);
                   });
    });
    for (std::size_t i = 0; i < kept.size(); ++i) accumulate(kept[i], std::move(parts_of[i]));
  });
  return y;
}

}  // namespace qkv

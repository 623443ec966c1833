#include "qkv/ops/sparse.h"

#include "qkv/base/dims.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

template <class T>
kernels::SparseProduct<T> product_of(const SparseRows& x, const Tensor& weight, std::int64_t heads,
                                     const Dropout& dropout) {
  return {.rows = x.rows(),
          .columns = x.columns,
          .heads = heads,
          .width = weight.dim(1) / heads,
          .offsets = x.offsets.data(),
          .column = x.column.data(),
          .value = x.value.data(),
          .weight = weight.data<T>(),
          .dropout = dropout};
}

}  // namespace

Tensor sparse_linear(const std::shared_ptr<const SparseRows>& x, const Tensor& weight,
                     std::int64_t heads, double dropout) {
  const Dims d("sparse_linear", {{"weight", weight.shape(), "C O"}});
  if (d["C"] != x->columns || heads < 1 || d["O"] % heads != 0) {
    fail<ShapeError>("sparse_linear: {} columns and {} heads do not fit weight {}", x->columns,
                     heads, to_string(weight.shape()));
  }
  const Dropout drop = draw_dropout(dropout);
  Tensor y = Tensor::empty({x->rows(), d["O"]}, weight.dtype());
  dispatch(weight, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().sparse_product(product_of<T>(*x, weight, heads, drop), y.data<T>());
  });
  record(y, {&weight}, [x, weight, heads, drop](const Tensor& dy) {
    Tensor dw = Tensor::empty(weight.shape(), weight.dtype());
    dispatch(weight, [&](auto zero) {
      using T = decltype(zero);
      kernels_for<T>().sparse_product_backward(product_of<T>(*x, weight, heads, drop), dy.data<T>(),
                                               dw.data<T>());
    });
    accumulate(weight, std::move(dw));
  });
  return y;
}

}  // namespace qkv

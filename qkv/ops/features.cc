#include "qkv/ops/features.h"

#include <algorithm>

#include "qkv/base/dims.h"
#include "qkv/kernels/features.h"
#include "qkv/kernels/gemm.h"
#include "qkv/ops/dispatch.h"

namespace qkv {

Tensor scale_features(const Tensor& x, const Tensor& w) {
  const Dims d("scale_features", {{"x", x.shape(), "T H D"}, {"w", w.shape(), "A B"}});
  check_types("scale_features", x, {&w});
  if ((d["A"] != 1 && d["A"] != d["H"]) || (d["B"] != 1 && d["B"] != d["D"])) {
    fail<ShapeError>("scale_features: w {} fits neither the heads nor the features of x {}",
                     to_string(w.shape()), to_string(x.shape()));
  }
  const auto arguments = [x, w, d](auto zero) {
    using T = decltype(zero);
    return kernels::ScaleFeatures<T>{
        x.dim(0),    x.dim(1),   x.dim(2), w.dim(0) == 1 ? 0 : w.dim(1), w.dim(1) == 1 ? 0 : 1,
        x.data<T>(), w.data<T>()};
  };
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch(x, [&](auto zero) {
    kernels_for<decltype(zero)>().scale_features(arguments(zero), y.data<decltype(zero)>());
  });
  record(y, {&x, &w}, [x, w, arguments](const Tensor& dy) {
    Tensor dx = needs_gradient(x) ? Tensor::empty(x.shape(), x.dtype()) : Tensor();
    Tensor dw = needs_gradient(w) ? Tensor::zeros(w.shape(), w.dtype()) : Tensor();
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      kernels_for<T>().scale_features_backward(arguments(zero), dy.data<T>(),
                                               dx.defined() ? dx.data<T>() : nullptr,
                                               dw.defined() ? dw.data<T>() : nullptr);
    });
    if (dx.defined()) accumulate(x, std::move(dx));
    if (dw.defined()) accumulate(w, std::move(dw));
  });
  return y;
}

Tensor select_columns(const Tensor& x, std::span<const std::int64_t> columns) {
  const Dims d("select_columns", {{"x", x.shape(), "A R"}});
  for (const std::int64_t c : columns) {
    if (c < 0 || c >= d["R"]) fail<ShapeError>("select_columns: column {} of {}", c, d["R"]);
  }
  const std::vector<std::int64_t> kept(columns.begin(), columns.end());
  Tensor y = Tensor::empty({d["A"], static_cast<std::int64_t>(kept.size())}, x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    T* to = y.data<T>();
    for (std::int64_t a = 0; a < x.dim(0); ++a) {
      for (const std::int64_t c : kept) *to++ = x.data<T>()[a * x.dim(1) + c];
    }
  });
  record(y, {&x}, [x, kept](const Tensor& dy) {
    Tensor dx = gradient_sum(x);
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      const T* from = dy.data<T>();
      for (std::int64_t a = 0; a < x.dim(0); ++a) {
        for (const std::int64_t c : kept) dx.data<T>()[a * x.dim(1) + c] += *from++;
      }
    });
  });
  return y;
}

void transpose_into(const Tensor& x, Tensor& y) {
  if (x.shape().rank() != 2 || !(y.shape() == Shape{x.dim(1), x.dim(0)})) {
    fail<ShapeError>("transpose_into: {} is not {} turned", to_string(y.shape()),
                     to_string(x.shape()));
  }
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().transpose(x.dim(0), x.dim(1), x.data<T>(), y.data<T>());
  });
}

Tensor transposed(const Tensor& x) {
  const int rank = x.shape().rank();
  if (rank != 2 && rank != 3) {
    fail<ShapeError>("transposed: x {} has neither two nor three axes", to_string(x.shape()));
  }
  const auto turned = [rank](const Tensor& from) {
    const std::int64_t rows = from.dim(rank - 2), cols = from.dim(rank - 1);
    Tensor to =
        Tensor::empty(rank == 2 ? Shape{cols, rows} : Shape{from.dim(0), cols, rows}, from.dtype());
    dispatch(from, [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t at = 0; at < from.count(); at += rows * cols) {
        kernels_for<T>().transpose(rows, cols, from.data<T>() + at, to.data<T>() + at);
      }
    });
    return to;
  };
  Tensor y = turned(x);
  record(y, {&x}, [x, turned](const Tensor& dy) { accumulate(x, turned(dy)); });
  return y;
}

namespace {

Tensor distance_side(const Tensor& x, const Tensor& reference,
                     std::shared_ptr<const std::vector<std::int64_t>> references, bool query) {
  // The key rows that distances are measured from are constants; a copy without a tape node.
  const Tensor base = reference.reshaped(reference.shape());
  const auto arguments = [x, base, references, query](auto zero) {
    using T = decltype(zero);
    return kernels::DistanceSide<T>{x.dim(0),
                                    x.dim(1),
                                    x.dim(2),
                                    x.data<T>(),
                                    base.data<T>(),
                                    references->data(),
                                    x.dim(1) / base.dim(1),
                                    query};
  };
  Tensor y = Tensor::empty({x.dim(0), x.dim(1), x.dim(2) + 2}, x.dtype());
  dispatch(x, [&](auto zero) {
    kernels_for<decltype(zero)>().distance_side(arguments(zero), y.data<decltype(zero)>());
  });
  record(y, {&x}, [x, arguments](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape(), x.dtype());
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      kernels_for<T>().distance_side_backward(arguments(zero), dy.data<T>(), dx.data<T>());
    });
    accumulate(x, std::move(dx));
  });
  return y;
}

}  // namespace

DistanceSides distance_sides(const Tensor& q, const Tensor& k,
                             std::vector<std::int64_t> q_references,
                             std::vector<std::int64_t> k_references) {
  const Dims d("distance_sides", {{"q", q.shape(), "Tq H D"}, {"k", k.shape(), "Tk Hkv D"}});
  check_types("distance_sides", q, {&k});
  const auto check = [&](const std::vector<std::int64_t>& references, const Tensor& x) {
    if (static_cast<std::int64_t>(references.size()) != x.dim(0)) {
      fail<ShapeError>("distance_sides: {} references for {} rows", references.size(), x.dim(0));
    }
    for (const std::int64_t row : references) {
      if (row >= d["Tk"]) fail<ShapeError>("distance_sides: reference {} of {}", row, d["Tk"]);
    }
  };
  check(q_references, q);
  check(k_references, k);
  using Rows = std::vector<std::int64_t>;
  return {distance_side(q, k, std::make_shared<const Rows>(std::move(q_references)), true),
          distance_side(k, k, std::make_shared<const Rows>(std::move(k_references)), false)};
}

}  // namespace qkv

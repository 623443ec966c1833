#include "qkv/ops/columns.h"

#include <cmath>
#include <memory>
#include <vector>

#include "qkv/base/dims.h"
#include "qkv/base/parallel.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

constexpr std::int64_t kPiece = 512;      // rows of a partial sum
constexpr std::int64_t kNumbers = 16384;  // of an element-wise piece
constexpr std::int64_t kColumns = 16;     // a cache line of them

/// Σ over the rows of f(row, sums), which adds a row to [width] sums: in pieces, these in order.
template <class F>
std::vector<double> over_rows(std::int64_t rows, std::int64_t width, F&& f) {
  const std::int64_t pieces = (rows + kPiece - 1) / kPiece;
  std::vector<double> partial(static_cast<std::size_t>(std::max<std::int64_t>(pieces, 1) * width));
  parallel_for(rows, kPiece, [&](std::int64_t first, std::int64_t last) {
    double* sums = partial.data() + first / kPiece * width;
    for (std::int64_t t = first; t < last; ++t) f(t, sums);
  });
  for (std::int64_t i = width; i < pieces * width; ++i) {
    partial[static_cast<std::size_t>(i % width)] += partial[static_cast<std::size_t>(i)];
  }
  partial.resize(static_cast<std::size_t>(width));
  return partial;
}

template <class F>
void over_numbers(std::int64_t count, F&& f) {
  parallel_for(count, kNumbers, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) f(i);
  });
}

/// Mean and biased variance, the second pass from the mean on.
template <class T>
void statistics(const Tensor& x, T* mean, T* variance) {
  const std::int64_t rows = x.dim(0), width = x.dim(1);
  const double share = rows > 0 ? 1.0 / static_cast<double>(rows) : 0.0;
  const T* from = x.data<T>();
  std::vector<double> sums = over_rows(rows, width, [=](std::int64_t t, double* to) {
    for (std::int64_t c = 0; c < width; ++c) to[c] += static_cast<double>(from[t * width + c]);
  });
  for (double& s : sums) s *= share;
  const double* middle = sums.data();
  const std::vector<double> squares = over_rows(rows, width, [=](std::int64_t t, double* to) {
    for (std::int64_t c = 0; c < width; ++c) {
      const double d = static_cast<double>(from[t * width + c]) - middle[c];
      to[c] += d * d;
    }
  });
  for (std::int64_t c = 0; c < width; ++c) {
    mean[c] = static_cast<T>(sums[static_cast<std::size_t>(c)]);
    variance[c] = static_cast<T>(share * squares[static_cast<std::size_t>(c)]);
  }
}

/// 1/√(variance + eps)
Tensor inverse_roots(const Tensor& variance, double eps) {
  return generated(variance.shape(), variance.dtype(),
                   [&](std::int64_t c) { return 1.0 / std::sqrt(number(variance, c) + eps); });
}

Tensor standardised(const Tensor& x, const Tensor& mean, const Tensor& scale) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t width = x.dim(1);
    const T *from = x.data<T>(), *middle = mean.data<T>(), *by = scale.data<T>();
    T* to = y.data<T>();
    parallel_for(x.dim(0), kPiece, [=](std::int64_t t, std::int64_t end) {
      for (; t < end; ++t) {
        const T* row = from + t * width;
        for (std::int64_t c = 0; c < width; ++c) to[t * width + c] = (row[c] - middle[c]) * by[c];
      }
    });
  });
  return y;
}

/// dx = scale · (g − mean g − x̂ · mean(g x̂))
Tensor standardise_backward(const Tensor& out, const Tensor& scale, const Tensor& dy) {
  const std::int64_t rows = out.dim(0), width = out.dim(1);
  Tensor dx = Tensor::empty(out.shape(), out.dtype());
  dispatch(out, [&](auto zero) {
    using T = decltype(zero);
    const T *x = out.data<T>(), *g = dy.data<T>(), *by = scale.data<T>();
    std::vector<double> sums = over_rows(rows, 2 * width, [=](std::int64_t t, double* to) {
      for (std::int64_t c = 0; c < width; ++c) {
        const auto slope = static_cast<double>(g[t * width + c]);
        to[c] += slope;
        to[width + c] += slope * static_cast<double>(x[t * width + c]);
      }
    });
    for (double& s : sums) s /= static_cast<double>(rows);
    const double* mean = sums.data();
    T* to = dx.data<T>();
    parallel_for(rows, kPiece, [=](std::int64_t t, std::int64_t end) {
      for (; t < end; ++t) {
        for (std::int64_t c = 0; c < width; ++c) {
          const std::int64_t i = t * width + c;
          to[i] = by[c] * static_cast<T>(static_cast<double>(g[i]) - mean[c] -
                                         static_cast<double>(x[i]) * mean[width + c]);
        }
      }
    });
  });
  return dx;
}

}  // namespace

Standardised standardise_columns(const Tensor& x, double eps) {
  const Dims d("standardise_columns", {{"x", x.shape(), "T C"}});
  Standardised y;
  y.mean = Tensor::empty({d["C"]}, x.dtype());
  y.variance = Tensor::empty({d["C"]}, x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    statistics(x, y.mean.data<T>(), y.variance.data<T>());
  });
  const Tensor scale = inverse_roots(y.variance, eps);
  y.out = standardised(x, y.mean, scale);
  const Tensor saved = y.out.reshaped(y.out.shape());  // a view: no circle through the tape
  record(y.out, {&x}, [x, saved, scale](const Tensor& dy) {
    accumulate(x, standardise_backward(saved, scale, dy));
  });
  return y;
}

Tensor standardise_columns(const Tensor& x, const Tensor& mean, const Tensor& variance,
                           double eps) {
  Dims("standardise_columns",
       {{"x", x.shape(), "T C"}, {"mean", mean.shape(), "C"}, {"variance", variance.shape(), "C"}});
  check_types("standardise_columns", x, {&mean, &variance});
  const Tensor scale = inverse_roots(variance, eps);
  Tensor y = standardised(x, mean, scale);
  record(y, {&x}, [x, scale](const Tensor& dy) {
    accumulate(x, standardised(dy, Tensor::zeros(scale.shape(), scale.dtype()), scale));
  });
  return y;
}

Tensor scale_columns(const Tensor& x, const Tensor& scale, const Tensor& shift,
                     std::span<const std::int32_t> rows) {
  const Dims d(
      "scale_columns",
      {{"x", x.shape(), "T C"}, {"scale", scale.shape(), "K C"}, {"shift", shift.shape(), "K C"}});
  check_types("scale_columns", x, {&scale, &shift});
  if (!rows.empty() && static_cast<std::int64_t>(rows.size()) != d["T"]) {
    fail<ShapeError>("scale_columns: {} rows of the tables for {} rows", rows.size(), d["T"]);
  }
  for (const std::int32_t row : rows) {
    if (row < 0 || row >= d["K"]) {
      fail<ShapeError>("scale_columns: row {} of {}", row, d["K"]);
    }
  }
  const std::int64_t count = d["T"], width = d["C"];
  using Rows = std::vector<std::int32_t>;
  const auto kept = std::make_shared<const Rows>(rows.begin(), rows.end());
  // Where row t finds its numbers in the tables.
  const auto at = [kept, width](std::int64_t t) {
    return kept->empty() ? 0 : (*kept)[static_cast<std::size_t>(t)] * width;
  };
  const auto apply = [at, count, width](const Tensor& from, const Tensor& by, const Tensor& plus) {
    Tensor to = Tensor::empty(from.shape(), from.dtype());
    dispatch(from, [&](auto zero) {
      using T = decltype(zero);
      const T *in = from.data<T>(), *scales = by.data<T>(), *shifts = data_or_null<T>(plus);
      T* out = to.data<T>();
      parallel_for(count, kPiece, [&](std::int64_t t, std::int64_t end) {
        for (; t < end; ++t) {
          const std::int64_t table = at(t);
          for (std::int64_t c = 0; c < width; ++c) {
            const T scaled = in[t * width + c] * scales[table + c];
            out[t * width + c] = shifts ? scaled + shifts[table + c] : scaled;
          }
        }
      });
    });
    return to;
  };
  Tensor y = apply(x, scale, shift);
  record(y, {&x, &scale, &shift}, [=](const Tensor& dy) {
    if (needs_gradient(x)) accumulate(x, apply(dy, scale, {}));
    if (!needs_gradient(scale) && !needs_gradient(shift)) return;
    const std::int64_t size = scale.count();
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      const T *in = x.data<T>(), *g = dy.data<T>();
      const auto add = [&](std::int64_t t, std::int64_t c, double* to) {
        const auto slope = static_cast<double>(g[t * width + c]);
        to[at(t) + c] += slope * static_cast<double>(in[t * width + c]);
        to[size + at(t) + c] += slope;
      };
      std::vector<double> sums(static_cast<std::size_t>(2 * size));
      if (size == width) {
        sums = over_rows(count, 2 * size, [&](std::int64_t t, double* to) {
          for (std::int64_t c = 0; c < width; ++c) add(t, c, to);
        });
      } else {  // tables are too large for partial sums: columns in parallel, rows in order
        parallel_for(width, kColumns, [&](std::int64_t first, std::int64_t last) {
          for (std::int64_t t = 0; t < count; ++t) {
            for (std::int64_t c = first; c < last; ++c) add(t, c, sums.data());
          }
        });
      }
      const auto give = [&](const Tensor& table, std::int64_t from) {
        if (!needs_gradient(table)) return;
        accumulate(table, generated(table.shape(), table.dtype(), [&](std::int64_t i) {
                     return sums[static_cast<std::size_t>(from + i)];
                   }));
      };
      give(scale, 0);
      give(shift, size);
    });
  });
  return y;
}

Tensor leaky_relu(const Tensor& x, double slope) {
  // What is multiplied by 1 or by the slope: x itself, or the gradient by the sign of x.
  const auto applied = [slope](const Tensor& sign, const Tensor& from) {
    Tensor to = Tensor::empty(from.shape(), from.dtype());
    dispatch(from, [&](auto zero) {
      using T = decltype(zero);
      const T *s = sign.data<T>(), *in = from.data<T>(), by = static_cast<T>(slope);
      T* out = to.data<T>();
      over_numbers(from.count(), [=](std::int64_t i) { out[i] = s[i] > 0 ? in[i] : by * in[i]; });
    });
    return to;
  };
  Tensor y = applied(x, x);
  record(y, {&x}, [x, applied](const Tensor& dy) { accumulate(x, applied(x, dy)); });
  return y;
}

}  // namespace qkv

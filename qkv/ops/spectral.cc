#include "qkv/ops/spectral.h"

#include <cmath>
#include <vector>

#include "qkv/base/dims.h"
#include "qkv/base/parallel.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

constexpr double kEps = 1e-12;      // of the published code, added to a length
constexpr std::int64_t kRows = 64;  // a piece
constexpr std::int64_t kColumns = 16;

using Vector = std::vector<double>;

struct Sides {
  std::int64_t rows, cols;
  explicit Sides(const Tensor& w)
      : rows(w.shape().rank() == 0 || w.dim(-1) == 0 ? 0 : w.count() / w.dim(-1)),
        cols(w.shape().rank() == 0 ? 0 : w.dim(-1)) {}
};

/// W u, a row at a time.
template <class T>
Vector times(const T* w, const Sides& sides, const Vector& u) {
  Vector v(static_cast<std::size_t>(sides.rows));
  parallel_for(sides.rows, kRows, [&](std::int64_t r, std::int64_t end) {
    for (; r < end; ++r) {
      double sum = 0;
      const T* row = w + r * sides.cols;
      for (std::size_t c = 0; c < u.size(); ++c) sum += static_cast<double>(row[c]) * u[c];
      v[static_cast<std::size_t>(r)] = sum;
    }
  });
  return v;
}

/// Wᵀ v, some columns at a time, the rows in order.
template <class T>
Vector transposed_times(const T* w, const Sides& sides, const Vector& v) {
  Vector u(static_cast<std::size_t>(sides.cols));
  parallel_for(sides.cols, kColumns, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = 0; r < sides.rows; ++r) {
      const double by = v[static_cast<std::size_t>(r)];
      for (std::int64_t c = first; c < last; ++c) {
        u[static_cast<std::size_t>(c)] += by * static_cast<double>(w[r * sides.cols + c]);
      }
    }
  });
  return u;
}

double length_of(const Vector& x) {
  double squares = 0;
  for (const double v : x) squares += v * v;
  return std::sqrt(squares);
}

void make_unit(Vector& x) {
  const double by = 1.0 / (length_of(x) + kEps);
  for (double& v : x) v *= by;
}

}  // namespace

PowerStep power_step(const Tensor& weight, const Tensor& u) {
  const Sides sides(weight);
  check_types("power_step", weight, {&u});
  if (u.shape() != Shape{sides.cols}) {
    fail<ShapeError>("power_step: u {} for a weight {}", to_string(u.shape()),
                     to_string(weight.shape()));
  }
  PowerStep step;
  dispatch(weight, [&](auto zero) {
    using T = decltype(zero);
    const T* w = weight.data<T>();
    Vector from(u.values<T>().begin(), u.values<T>().end());
    Vector v = times(w, sides, from);
    make_unit(v);
    Vector next = transposed_times(w, sides, v);
    const double length = length_of(next);
    make_unit(next);
    step.sigma = length * length / (length + kEps);  // vᵀ W u = (Wᵀ v)·u
    step.u = Tensor::of(next, {sides.cols}).to(weight.dtype());
    step.v = Tensor::of(v, {sides.rows}).to(weight.dtype());
  });
  return step;
}

Tensor spectral_normalised(const Tensor& weight, const PowerStep& step) {
  const Sides sides(weight);
  if (step.u.shape() != Shape{sides.cols} || step.v.shape() != Shape{sides.rows}) {
    fail<ShapeError>("spectral_normalised: u {} and v {} for a weight {}",
                     to_string(step.u.shape()), to_string(step.v.shape()),
                     to_string(weight.shape()));
  }
  if (!(step.sigma != 0.0)) fail("spectral_normalised: a weight of zeros has no norm");
  const double by = 1.0 / step.sigma;
  Tensor y = Tensor::empty(weight.shape(), weight.dtype());
  dispatch(weight, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().axpby(weight.count(), static_cast<T>(by), weight.data<T>(), T(0), y.data<T>());
  });
  const Tensor saved = y.reshaped(y.shape());
  record(y, {&weight}, [weight, saved, step, sides, by](const Tensor& dy) {
    Tensor dw = Tensor::empty(weight.shape(), weight.dtype());
    dispatch(weight, [&](auto zero) {
      using T = decltype(zero);
      const T *g = dy.data<T>(), *w = saved.data<T>(), *u = step.u.data<T>(), *v = step.v.data<T>();
      double both = 0;  // ⟨G, W/σ⟩
      for (std::int64_t i = 0; i < dw.count(); ++i) {
        both += static_cast<double>(g[i]) * static_cast<double>(w[i]);
      }
      T* to = dw.data<T>();
      parallel_for(sides.rows, kRows, [&](std::int64_t r, std::int64_t end) {
        for (; r < end; ++r) {
          const double row = both * static_cast<double>(v[r]);
          for (std::int64_t c = 0; c < sides.cols; ++c) {
            const std::int64_t i = r * sides.cols + c;
            to[i] =
                static_cast<T>(by * (static_cast<double>(g[i]) - row * static_cast<double>(u[c])));
          }
        }
      });
    });
    accumulate(weight, std::move(dw));
  });
  return y;
}

}  // namespace qkv

#include "qkv/ops/heads.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "qkv/base/dims.h"
#include "qkv/base/parallel.h"
#include "qkv/kernels/gemm.h"
#include "qkv/kernels/heads.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

Tensor row_scale(const char* call, kernels::RowScale scale, const Tensor& x, const Tensor& gamma,
                 double eps) {
  if (x.shape().rank() == 0) fail<ShapeError>("{}: x is a scalar", call);
  if (!(eps >= 0.0)) fail<ShapeError>("{}: eps is {}", call, eps);
  const std::int64_t cols = x.dim(-1), rows = cols == 0 ? 0 : x.count() / cols;
  if (gamma.defined()) {
    const Shape row{cols};
    Dims(call, {{"a row of x", row, "C"}, {"gamma", gamma.shape(), "C"}});
  }
  check_types(call, x, {&gamma});
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  Tensor inverse = Tensor::empty({rows}, x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    kernels::RowScaleForward<T> a{};
    a.scale = scale;
    a.rows = rows;
    a.cols = cols;
    a.x = x.data<T>();
    a.gamma = data_or_null<T>(gamma);
    a.eps = eps;
    a.out = y.data<T>();
    a.inverse = inverse.data<T>();
    kernels_for<T>().row_scale(a);
  });
  record(y, {&x, &gamma}, [x, gamma, inverse, scale, eps, rows, cols](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape(), x.dtype());
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      kernels::RowScaleBackward<T> a{};
      a.scale = scale;
      a.rows = rows;
      a.cols = cols;
      a.x = x.data<T>();
      a.gamma = data_or_null<T>(gamma);
      a.eps = eps;
      a.inverse = inverse.data<T>();
      a.dout = dy.data<T>();
      a.dx = dx.data<T>();
      Tensor dgamma;
      if (gamma.defined() && needs_gradient(gamma)) {
        dgamma = gradient_sum(gamma);
        a.dgamma = dgamma.data<T>();
      }
      kernels_for<T>().row_scale_backward(a);
    });
    if (needs_gradient(x)) accumulate(x, std::move(dx));
  });
  return y;
}

/// How project_heads falls into matrix products: one over all rows and heads when they share the
/// weight, else one a head over rows that stand apart.
struct HeadProducts {
  std::int64_t count, rows, in, out, x_stride, y_stride;

  HeadProducts(const Tensor& x, const Tensor& w) {
    const std::int64_t heads = x.dim(1);
    const bool shared = w.shape().rank() == 2;
    count = shared ? 1 : heads;
    rows = shared ? x.dim(0) * heads : x.dim(0);
    in = x.dim(2);
    out = w.dim(-1);
    x_stride = shared ? in : heads * in;
    y_stride = shared ? out : heads * out;
  }
};

void project_heads_backward(const Tensor& x, const Tensor& w, const Tensor& dy) {
  const HeadProducts p(x, w);
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    if (needs_gradient(w)) {
      GradientBuffer dw = gradient_buffer(w);
      for (std::int64_t h = 0; h < p.count; ++h) {
        kernels_for<T>().gemm_tn(p.in, p.out, p.rows, x.data<T>() + h * p.in, p.x_stride,
                                 dy.data<T>() + h * p.out, p.y_stride, T(dw.add ? 1 : 0),
                                 dw.tensor.data<T>() + h * p.in * p.out, p.out);
      }
    }
    if (needs_gradient(x)) {
      Tensor transposed = Tensor::empty({p.out, p.in}, w.dtype());
      GradientBuffer dx = gradient_buffer(x);
      for (std::int64_t h = 0; h < p.count; ++h) {
        kernels_for<T>().transpose(p.in, p.out, w.data<T>() + h * p.in * p.out,
                                   transposed.data<T>());
        kernels_for<T>().gemm_nn(p.rows, p.in, p.out, dy.data<T>() + h * p.out, p.y_stride,
                                 transposed.data<T>(), p.in, T(dx.add ? 1 : 0),
                                 dx.tensor.data<T>() + h * p.in, p.x_stride);
      }
    }
  });
}

/// cos and sin [T pairs] of every row's angles, in double until they are stored.
void angles(std::span<const std::int32_t> positions, std::int64_t pairs, const RotaryOptions& o,
            Tensor& cos, Tensor& sin) {
  const std::vector<double> frequency = rotary_frequencies(pairs, o);
  dispatch(cos, [&](auto zero) {
    using T = decltype(zero);
    T *c = cos.data<T>(), *s = sin.data<T>();
    // About 40 ns an angle: a piece is some 40 µs.
    const std::int64_t grain = std::max<std::int64_t>(1, 1024 / std::max<std::int64_t>(1, pairs));
    parallel_for(cos.dim(0), grain, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t t = first; t < last; ++t) {
        const double p = static_cast<double>(positions[static_cast<std::size_t>(t)]);
        for (std::int64_t i = 0; i < pairs; ++i) {
          const double angle = p * frequency[static_cast<std::size_t>(i)];
          c[t * pairs + i] = static_cast<T>(std::cos(angle));
          s[t * pairs + i] = static_cast<T>(std::sin(angle));
        }
      }
    });
  });
}

void check(const RotaryOptions& o) {
  if (!(o.base > 0.0)) fail<ShapeError>("rotary: base {} must be positive", o.base);
  const RotaryBands& b = o.bands;
  if (!(b.factor > 0.0 && b.original > 0.0 && b.low >= 0.0 && b.high > b.low)) {
    fail<ShapeError>(
        "rotary: bands need a positive factor and length and low < high, got {}, {}, "
        "{} and {}",
        b.factor, b.original, b.low, b.high);
  }
}

double stretched(double frequency, const RotaryBands& b) {
  if (b.factor == 1.0) return frequency;       // to the last bit
  constexpr double kTurn = 6.283185307179586;  // 2π
  const double turns = b.original * frequency / kTurn;
  const double kept = std::clamp((turns - b.low) / (b.high - b.low), 0.0, 1.0);
  return frequency * (kept + (1.0 - kept) / b.factor);
}

Tensor rotated(const Tensor& x, const Tensor& cos, const Tensor& sin, bool interleaved, bool back) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    const kernels::Rotation<T> a{.rows = x.dim(0),
                                 .heads = x.dim(1),
                                 .dim = x.dim(2),
                                 .pairs = cos.dim(1),
                                 .x = x.data<T>(),
                                 .cos = cos.data<T>(),
                                 .sin = sin.data<T>(),
                                 .interleaved = interleaved,
                                 .back = back,
                                 .out = y.data<T>()};
    kernels_for<T>().rotate(a);
  });
  return y;
}

}  // namespace

Tensor unit_rows(const Tensor& x, double eps) {
  return row_scale("unit_rows", kernels::RowScale::unit, x, {}, eps);
}

Tensor rms_norm(const Tensor& x, const Tensor& gamma, double eps) {
  return row_scale("rms_norm", kernels::RowScale::rms, x, gamma, eps);
}

Tensor project_heads(const Tensor& x, const Tensor& w) {
  if (w.shape().rank() == 2) {
    Dims("project_heads", {{"x", x.shape(), "T H D"}, {"w", w.shape(), "D E"}});
  } else {
    Dims("project_heads", {{"x", x.shape(), "T H D"}, {"w", w.shape(), "H D E"}});
  }
  check_types("project_heads", x, {&w});
  const HeadProducts p(x, w);
  Tensor y = Tensor::empty({x.dim(0), x.dim(1), p.out}, x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t h = 0; h < p.count; ++h) {
      kernels_for<T>().gemm_nn(p.rows, p.out, p.in, x.data<T>() + h * p.in, p.x_stride,
                               w.data<T>() + h * p.in * p.out, p.out, T(0), y.data<T>() + h * p.out,
                               p.y_stride);
    }
  });
  record(y, {&x, &w}, [x, w](const Tensor& dy) { project_heads_backward(x, w, dy); });
  return y;
}

Tensor clamp(const Tensor& x, double low, double high) {
  if (!(low <= high)) fail<ShapeError>("clamp: no number is in [{}, {}]", low, high);
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().clamp(x.count(), x.data<T>(), static_cast<T>(low), static_cast<T>(high),
                           y.data<T>());
  });
  record(y, {&x}, [x, low, high](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape(), x.dtype());
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      kernels_for<T>().clamp_backward(x.count(), x.data<T>(), static_cast<T>(low),
                                      static_cast<T>(high), dy.data<T>(), dx.data<T>());
    });
    accumulate(x, std::move(dx));
  });
  return y;
}

std::vector<double> rotary_frequencies(std::int64_t pairs, const RotaryOptions& options) {
  check(options);
  std::vector<double> frequencies;
  for (std::int64_t i = 0; i < pairs; ++i) {
    const double f = std::pow(options.base, -static_cast<double>(i) / static_cast<double>(pairs));
    frequencies.push_back(options.scale * stretched(f, options.bands));
  }
  return frequencies;
}

Tensor rotary(const Tensor& x, std::span<const std::int32_t> positions,
              const RotaryOptions& options) {
  const Shape places{static_cast<std::int64_t>(positions.size())};
  const Dims d("rotary", {{"x", x.shape(), "T H D"}, {"positions", places, "T"}});
  const std::int64_t dims = options.dims == 0 ? d["D"] : options.dims;
  if (dims < 0 || dims > d["D"] || dims % 2 != 0) {
    fail<ShapeError>("rotary: cannot rotate {} of {} numbers in pairs", dims, d["D"]);
  }
  Tensor cos = Tensor::empty({d["T"], dims / 2}, x.dtype());
  Tensor sin = Tensor::empty(cos.shape(), x.dtype());
  angles(positions, dims / 2, options, cos, sin);
  const bool interleaved = options.interleaved;
  Tensor y = rotated(x, cos, sin, interleaved, false);
  record(y, {&x}, [x, cos, sin, interleaved](const Tensor& dy) {
    accumulate(x, rotated(dy, cos, sin, interleaved, true));
  });
  return y;
}

}  // namespace qkv

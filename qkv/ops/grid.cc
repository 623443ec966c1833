#include "qkv/ops/grid.h"

#include <algorithm>
#include <array>

#include "qkv/base/dims.h"
#include "qkv/base/parallel.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

constexpr std::int64_t kFeatures = 6;

/// 0 in the middle: squares stay small, and differences exact.
double place(std::int64_t i, std::int64_t size) {
  const std::int64_t middle = size / 2;
  return static_cast<double>(i - middle);
}

std::int64_t pictures_in(const Tensor& x, const Grid& grid) {
  if (grid.rows <= 0 || grid.cols <= 0 || x.dim(0) % grid.count() != 0) {
    fail<ShapeError>("grid: {} rows are no pictures of {} × {}", x.dim(0), grid.rows, grid.cols);
  }
  return x.dim(0) / grid.count();
}

/// Copies the pictures from or to the middle of wider ones.
template <class T>
void copy_middle(std::int64_t pictures, const Grid& grid, std::int64_t ring, std::int64_t width,
                 const T* narrow_in, T* wide_out, const T* wide_in, T* narrow_out) {
  const Grid wide = grid.wider(ring);
  for (std::int64_t row = 0; row < pictures * grid.rows; ++row) {
    const std::int64_t picture = row / grid.rows, r = row % grid.rows;
    const std::int64_t narrow = row * grid.cols * width;
    const std::int64_t far = (picture * wide.count() + (r + ring) * wide.cols + ring) * width;
    if (wide_out) {
      std::copy_n(narrow_in + narrow, grid.cols * width, wide_out + far);
    } else {
      std::copy_n(wide_in + far, grid.cols * width, narrow_out + narrow);
    }
  }
}

using Matrix = std::array<double, 4>;  // 2 × 2, row by row

template <class T>
Matrix read(const Tensor& spread, std::int64_t head) {
  const T* a = spread.data<T>();
  if (spread.shape().rank() == 1) {
    const auto s = static_cast<double>(a[head]);
    return {s, 0, 0, s};
  }
  Matrix m{};
  for (std::size_t i = 0; i < 4; ++i) {
    m[i] = static_cast<double>(a[4 * head + static_cast<std::int64_t>(i)]);
  }
  return m;
}

/// AᵀA
Matrix square(const Matrix& a) {
  const double off = a[0] * a[1] + a[2] * a[3];
  return {a[0] * a[0] + a[2] * a[2], off, off, a[1] * a[1] + a[3] * a[3]};
}

/// What a query's gradient g [6] says of c = its pixel + Δ, and of the four numbers of S.
void add_gradient(const Matrix& s, double c0, double c1, const std::array<double, kFeatures>& g,
                  std::array<double, 2>& dc, Matrix& ds) {
  // q = (−½ cᵀSc, (Sc)₀, (Sc)₁, −½ S₀₀, −½ S₁₁, −½ (S₀₁ + S₁₀))
  const double u0 = g[1] - g[0] * c0, u1 = g[2] - g[0] * c1;
  dc[0] += s[0] * u0 + s[1] * u1;
  dc[1] += s[2] * u0 + s[3] * u1;
  ds[0] += -0.5 * (g[0] * c0 * c0 + g[3]) + g[1] * c0;
  ds[1] += -0.5 * (g[0] * c0 * c1 + g[5]) + g[1] * c1;
  ds[2] += -0.5 * (g[0] * c1 * c0 + g[5]) + g[2] * c0;
  ds[3] += -0.5 * (g[0] * c1 * c1 + g[4]) + g[2] * c1;
}

template <class T>
void forward(const Tensor& centres, const Tensor& spread, const Grid& grid, std::int64_t pictures,
             Tensor& q) {
  const std::int64_t heads = centres.dim(0);
  for (std::int64_t h = 0; h < heads; ++h) {
    const Matrix s = square(read<T>(spread, h));
    for (std::int64_t t = 0; t < grid.count(); ++t) {
      const double c0 =
          place(t / grid.cols, grid.rows) + static_cast<double>(centres.data<T>()[2 * h]);
      const double c1 =
          place(t % grid.cols, grid.cols) + static_cast<double>(centres.data<T>()[2 * h + 1]);
      const double s0 = s[0] * c0 + s[1] * c1, s1 = s[2] * c0 + s[3] * c1;
      const std::array<double, kFeatures> row = {
          -0.5 * (c0 * s0 + c1 * s1), s0, s1, -0.5 * s[0], -0.5 * s[3], -0.5 * (s[1] + s[2])};
      T* out = q.data<T>() + (t * heads + h) * kFeatures;
      for (std::size_t i = 0; i < row.size(); ++i) out[i] = static_cast<T>(row[i]);
    }
  }
  const std::int64_t size = grid.count() * heads * kFeatures;
  for (std::int64_t p = 1; p < pictures; ++p)
    std::copy_n(q.data<T>(), size, q.data<T>() + p * size);
}

/// Gradients of one head, added up in order of the rows.
template <class T>
void backward(const Tensor& centres, const Tensor& spread, const Grid& grid, const Tensor& dq,
              std::int64_t h, std::array<double, 2>& dc, Matrix& da) {
  const std::int64_t heads = centres.dim(0);
  const Matrix a = read<T>(spread, h), s = square(a);
  Matrix ds{};
  for (std::int64_t t = 0; t < dq.dim(0); ++t) {
    const std::int64_t pixel = t % grid.count();
    std::array<double, kFeatures> g{};
    const T* from = dq.data<T>() + (t * heads + h) * kFeatures;
    for (std::size_t i = 0; i < g.size(); ++i) g[i] = static_cast<double>(from[i]);
    add_gradient(
        s, place(pixel / grid.cols, grid.rows) + static_cast<double>(centres.data<T>()[2 * h]),
        place(pixel % grid.cols, grid.cols) + static_cast<double>(centres.data<T>()[2 * h + 1]), g,
        dc, ds);
  }
  const Matrix both = {2 * ds[0], ds[1] + ds[2], ds[1] + ds[2], 2 * ds[3]};
  da = {a[0] * both[0] + a[1] * both[2], a[0] * both[1] + a[1] * both[3],  // A(dS + dSᵀ)
        a[2] * both[0] + a[3] * both[2], a[2] * both[1] + a[3] * both[3]};
}

}  // namespace

Tensor pad_grid(const Tensor& x, const Grid& grid, std::int64_t ring) {
  const Dims d("pad_grid", {{"x", x.shape(), "T C"}});
  if (ring < 0) fail<ShapeError>("pad_grid: a ring of {}", ring);
  const std::int64_t pictures = pictures_in(x, grid), width = d["C"];
  Tensor y = Tensor::zeros({pictures * grid.wider(ring).count(), width}, x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    copy_middle<T>(pictures, grid, ring, width, x.data<T>(), y.data<T>(), nullptr, nullptr);
  });
  record(y, {&x}, [x, grid, ring, pictures, width](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape(), x.dtype());
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      copy_middle<T>(pictures, grid, ring, width, nullptr, nullptr, dy.data<T>(), dx.data<T>());
    });
    accumulate(x, std::move(dx));
  });
  return y;
}

Tensor quadratic_queries(const Tensor& centres, const Tensor& spread, const Grid& grid,
                         std::int64_t pictures) {
  if (spread.shape().rank() == 1) {
    Dims("quadratic_queries",
         {{"centres", centres.shape(), "H 2"}, {"spread", spread.shape(), "H"}});
  } else {
    Dims("quadratic_queries",
         {{"centres", centres.shape(), "H 2"}, {"spread", spread.shape(), "H 2 2"}});
  }
  check_types("quadratic_queries", centres, {&spread});
  Tensor q = Tensor::empty({pictures * grid.count(), centres.dim(0), kFeatures}, centres.dtype());
  if (pictures > 0) {
    dispatch(centres,
             [&](auto zero) { forward<decltype(zero)>(centres, spread, grid, pictures, q); });
  }
  record(q, {&centres, &spread}, [centres, spread, grid](const Tensor& dq) {
    Tensor dcentres = Tensor::empty(centres.shape(), centres.dtype());
    Tensor dspread = Tensor::empty(spread.shape(), spread.dtype());
    dispatch(centres, [&](auto zero) {
      using T = decltype(zero);
      const std::int64_t each = spread.count() / centres.dim(0);
      parallel_for(centres.dim(0), 1, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t h = first; h < last; ++h) {
          std::array<double, 2> dc{};
          Matrix da{};
          backward<T>(centres, spread, grid, dq, h, dc, da);
          if (each == 1) da[0] += da[3];  // one number for both axes
          for (std::int64_t i = 0; i < 2; ++i) {
            dcentres.data<T>()[2 * h + i] = static_cast<T>(dc[static_cast<std::size_t>(i)]);
          }
          for (std::int64_t i = 0; i < each; ++i) {
            dspread.data<T>()[each * h + i] = static_cast<T>(da[static_cast<std::size_t>(i)]);
          }
        }
      });
    });
    if (needs_gradient(centres)) accumulate(centres, std::move(dcentres));
    if (needs_gradient(spread)) accumulate(spread, std::move(dspread));
  });
  return q;
}

Tensor quadratic_keys(const Grid& grid, std::int64_t ring, std::int64_t pictures, DType type) {
  const Grid wide = grid.wider(ring);
  Tensor k = Tensor::empty({pictures * wide.count(), 1, kFeatures}, DType::f64);
  double* out = k.data<double>();
  for (std::int64_t j = 0; j < pictures * wide.count(); ++j) {
    const std::int64_t pixel = j % wide.count();
    const double y = place(pixel / wide.cols - ring, grid.rows);
    const double x = place(pixel % wide.cols - ring, grid.cols);
    for (const double feature : {1.0, y, x, y * y, x * x, y * x}) *out++ = feature;
  }
  return k.to(type);
}

}  // namespace qkv

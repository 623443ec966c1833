#include "qkv/eval/sample_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using Matrix = std::vector<double>;  // [D D]

void check_rows(const char* what, const FeatureRows& f, std::size_t least) {
  if (f.values.size() != f.rows * f.width || f.width == 0) {
    fail<ShapeError>("{}: {} numbers for {} rows of {}", what, f.values.size(), f.rows, f.width);
  }
  if (f.rows < least) fail("{}: {} rows, at least {} are needed", what, f.rows, least);
  for (const double v : f.values) {
    if (!std::isfinite(v)) fail<NumericError>("{}: a number is {}", what, v);
  }
}

void check_width(const char* what, const FeatureRows& a, const FeatureRows& b) {
  if (a.width != b.width) fail<ShapeError>("{}: rows of {} and {} numbers", what, a.width, b.width);
}

double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

double distance(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

/// One turn of Jacobi's method: the plane of p and q until a[p][q] is 0.
void rotate(Matrix& a, Matrix& vectors, std::size_t d, std::size_t p, std::size_t q) {
  const double theta = (a[q * d + q] - a[p * d + p]) / (2 * a[p * d + q]);
  const double t = (theta < 0 ? -1 : 1) / (std::abs(theta) + std::sqrt(theta * theta + 1));
  const double c = 1 / std::sqrt(t * t + 1), s = t * c;
  const auto turn = [c, s](double& x, double& y) {
    const double before = x;
    x = c * before - s * y;
    y = s * before + c * y;
  };
  for (std::size_t i = 0; i < d; ++i) turn(a[i * d + p], a[i * d + q]);
  for (std::size_t i = 0; i < d; ++i) turn(a[p * d + i], a[q * d + i]);
  for (std::size_t i = 0; i < d; ++i) turn(vectors[i * d + p], vectors[i * d + q]);
}

struct Eigen {
  std::vector<double> values;
  Matrix vectors;  // columns
};
/// Of a symmetric matrix, by cyclic Jacobi rotations: exact enough for some hundred columns.
Eigen eigen_of(Matrix a, std::size_t d) {
  Eigen e{.values = std::vector<double>(d), .vectors = Matrix(d * d)};
  for (std::size_t i = 0; i < d; ++i) e.vectors[i * d + i] = 1;
  double all = 0;
  for (const double v : a) all += v * v;
  constexpr int kSweeps = 60;  // convergence is quadratic: some ten are enough
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    double off = 0;
    for (std::size_t p = 0; p < d; ++p) {
      for (std::size_t q = p + 1; q < d; ++q) off += a[p * d + q] * a[p * d + q];
    }
    if (off <= 1e-28 * all) break;  // the square of what doubles carry
    for (std::size_t p = 0; p < d; ++p) {
      for (std::size_t q = p + 1; q < d; ++q) {
        if (a[p * d + q] != 0) rotate(a, e.vectors, d, p, q);
      }
    }
  }
  for (std::size_t i = 0; i < d; ++i) e.values[i] = a[i * d + i];
  return e;
}

Matrix product(const Matrix& a, const Matrix& b, std::size_t d) {
  Matrix c(d * d);
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t k = 0; k < d; ++k) {
      for (std::size_t j = 0; j < d; ++j) c[i * d + j] += a[i * d + k] * b[k * d + j];
    }
  }
  return c;
}

/// The symmetric root, negative eigenvalues as 0.
Matrix root_of(const Matrix& a, std::size_t d) {
  const Eigen e = eigen_of(a, d);
  Matrix root(d * d);
  for (std::size_t k = 0; k < d; ++k) {
    const double r = std::sqrt(std::max(0.0, e.values[k]));
    for (std::size_t i = 0; i < d; ++i) {
      for (std::size_t j = 0; j < d; ++j) {
        root[i * d + j] += r * e.vectors[i * d + k] * e.vectors[j * d + k];
      }
    }
  }
  return root;
}

double cubic_kernel(std::span<const double> x, std::span<const double> y) {
  const double s = dot(x, y) / static_cast<double>(x.size()) + 1;
  return s * s * s;
}

/// The mean of the kernel over pairs of different rows.
double mean_within(const FeatureRows& f) {
  double sum = 0;
  for (std::size_t i = 0; i < f.rows; ++i) {
    for (std::size_t j = 0; j < i; ++j) sum += cubic_kernel(f.row(i), f.row(j));
  }
  const double n = static_cast<double>(f.rows);
  return 2 * sum / (n * (n - 1));
}

}  // namespace

double class_score(const FeatureRows& p) {
  check_rows("class score", p, 1);
  std::vector<double> mean(p.width);
  for (std::size_t n = 0; n < p.rows; ++n) {
    double sum = 0;
    for (std::size_t c = 0; c < p.width; ++c) {
      const double v = p.row(n)[c];
      if (v < 0) fail("class score: row {} has the probability {}", n, v);
      sum += v;
      mean[c] += v / static_cast<double>(p.rows);
    }
    if (std::abs(sum - 1) > 1e-3) fail("class score: row {} sums to {}, not 1", n, sum);
  }
  double divergence = 0;
  for (std::size_t n = 0; n < p.rows; ++n) {
    for (std::size_t c = 0; c < p.width; ++c) {
      const double v = p.row(n)[c];
      if (v > 0) divergence += v * std::log(v / mean[c]);
    }
  }
  return std::exp(divergence / static_cast<double>(p.rows));
}

FeatureMoments moments_of(const FeatureRows& f) {
  check_rows("moments", f, 2);
  const std::size_t d = f.width;
  FeatureMoments g{.mean = std::vector<double>(d), .covariance = Matrix(d * d)};
  for (std::size_t n = 0; n < f.rows; ++n) {
    for (std::size_t i = 0; i < d; ++i) g.mean[i] += f.row(n)[i] / static_cast<double>(f.rows);
  }
  for (std::size_t n = 0; n < f.rows; ++n) {
    for (std::size_t i = 0; i < d; ++i) {
      const double from = (f.row(n)[i] - g.mean[i]) / static_cast<double>(f.rows - 1);
      for (std::size_t j = 0; j < d; ++j) {
        g.covariance[i * d + j] += from * (f.row(n)[j] - g.mean[j]);
      }
    }
  }
  return g;
}

double frechet_distance(const FeatureMoments& a, const FeatureMoments& b) {
  const std::size_t d = a.mean.size();
  if (d == 0 || b.mean.size() != d || a.covariance.size() != d * d ||
      b.covariance.size() != d * d) {
    fail<ShapeError>("fréchet distance: {} and {} means, {} and {} covariances", d, b.mean.size(),
                     a.covariance.size(), b.covariance.size());
  }
  double sum = distance(a.mean, b.mean);
  for (std::size_t i = 0; i < d; ++i) sum += a.covariance[i * d + i] + b.covariance[i * d + i];
  const Matrix root = root_of(a.covariance, d);
  const Matrix inner = product(product(root, b.covariance, d), root, d);
  for (const double v : eigen_of(inner, d).values) sum -= 2 * std::sqrt(std::max(0.0, v));
  return sum;
}

double kernel_distance(const FeatureRows& a, const FeatureRows& b) {
  check_rows("kernel distance", a, 2);
  check_rows("kernel distance", b, 2);
  check_width("kernel distance", a, b);
  double between = 0;
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < b.rows; ++j) between += cubic_kernel(a.row(i), b.row(j));
  }
  between /= static_cast<double>(a.rows) * static_cast<double>(b.rows);
  return mean_within(a) + mean_within(b) - 2 * between;
}

double coverage(const FeatureRows& real, const FeatureRows& made) {
  check_rows("coverage", real, 2);
  check_rows("coverage", made, 1);
  check_width("coverage", real, made);
  std::size_t covered = 0;
  for (std::size_t n = 0; n < real.rows; ++n) {
    double own = std::numeric_limits<double>::infinity();
    for (std::size_t m = 0; m < real.rows; ++m) {
      if (m != n) own = std::min(own, distance(real.row(n), real.row(m)));
    }
    for (std::size_t m = 0; m < made.rows; ++m) {
      if (distance(real.row(n), made.row(m)) >= own) continue;
      ++covered;
      break;
    }
  }
  return static_cast<double>(covered) / static_cast<double>(real.rows);
}

}  // namespace qkv

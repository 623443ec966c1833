#include "experiments/regression.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

/// 1 / standard deviation of each column.
std::vector<double> inverse_deviations(const Tensor& keys) {
  const std::int64_t n = keys.dim(0), d = keys.dim(1);
  std::vector<double> inverse;
  for (std::int64_t c = 0; c < d; ++c) {
    double mean = 0, squares = 0;
    for (std::int64_t r = 0; r < n; ++r) mean += number(keys, r * d + c);
    mean /= static_cast<double>(n);
    for (std::int64_t r = 0; r < n; ++r) {
      const double away = number(keys, r * d + c) - mean;
      squares += away * away;
    }
    const double deviation = std::sqrt(squares / static_cast<double>(n));
    if (!(deviation > 1e-12 * std::abs(mean))) {
      fail("kernel regression: feature {} of the keys is constant; leave it out", c + 1);
    }
    inverse.push_back(1.0 / deviation);
  }
  return inverse;
}

KernelRegression with_widths(const std::vector<double>& logarithms) {
  std::vector<double> widths;
  widths.reserve(logarithms.size());
  for (const double l : logarithms) widths.push_back(std::exp(l));
  return {.inverse_width =
              parameter(Tensor::of(widths, {static_cast<std::int64_t>(widths.size())}))};
}

/// The error and its gradient by the logarithms of 1/σ.
double error_and_slope(const KernelRegression& m, const Tensor& keys, const Tensor& values,
                       std::vector<double>& slope) {
  Tape tape;
  Tensor loss;
  {
    const Recording on(tape);
    const Tensor error = add(m(keys, keys, values, leave_one_out()), scale(values, -1.0));
    loss = scale(sum(multiply(error, error)), 1.0 / static_cast<double>(keys.dim(0)));
  }
  tape.backward(loss);
  const Tensor g = gradient_of(m.inverse_width);
  slope.clear();
  for (std::int64_t i = 0; i < g.count(); ++i) {
    slope.push_back(number(g, i) * number(m.inverse_width, i));
  }
  return loss.item();
}

/// Goes down the slope until no step helps.
void descend(std::vector<double>& at, const Tensor& keys, const Tensor& values,
             const BandwidthOptions& options, BandwidthFit& fit) {
  std::vector<double> slope, ahead(at.size());
  double length = 0.5;  // of a step in the logarithms: a factor of e^0.5 to begin with
  while (fit.steps < options.most_steps) {
    fit.error = error_and_slope(with_widths(at), keys, values, slope);
    double norm = 0;
    for (const double s : slope) norm += s * s;
    norm = std::sqrt(norm);
    if (!(norm > 0)) break;
    double error = 0;
    do {
      for (std::size_t i = 0; i < at.size(); ++i) ahead[i] = at[i] - length * slope[i] / norm;
      error = left_out_error(with_widths(ahead), keys, values);
      if (!(error < fit.error)) length /= 2;
    } while (!(error < fit.error) && length > 1e-7);
    if (!(error < fit.error)) break;
    at = ahead;
    fit.error = error;
    ++fit.steps;
    length *= 1.5;
  }
  fit.converged = fit.steps < options.most_steps;
}

}  // namespace

double left_out_error(const KernelRegression& model, const Tensor& keys, const Tensor& values) {
  const NoRecording off;
  const Tensor predicted = model(keys, keys, values, leave_one_out());
  double sum = 0;
  for (std::int64_t i = 0; i < values.count(); ++i) {
    const double away = number(predicted, i) - number(values, i);
    sum += away * away;
  }
  return sum / static_cast<double>(values.count());
}

BandwidthFit fit_bandwidths(const Tensor& keys, const Tensor& values,
                            const BandwidthOptions& options) {
  if (keys.shape().rank() != 2 || values.shape().rank() != 2 || values.dim(0) != keys.dim(0) ||
      values.dim(1) != 1 || keys.dtype() != DType::f64 || values.dtype() != DType::f64) {
    fail<ShapeError>("fit_bandwidths: keys {} and values {} must be [N D] and [N 1] in double",
                     to_string(keys.shape()), to_string(values.shape()));
  }
  if (keys.dim(0) < 3) {
    fail("kernel regression: {} rows are too few to learn a bandwidth, at least 3; give one",
         keys.dim(0));
  }
  const std::vector<double> inverse = inverse_deviations(keys);
  std::vector<double> start;
  if (options.per_feature) {
    for (const double i : inverse) start.push_back(std::log(i));
  } else {
    double mean = 0;
    for (const double i : inverse) mean += std::log(i) / static_cast<double>(inverse.size());
    start.push_back(mean);
  }
  std::vector<double> at;
  double least = std::numeric_limits<double>::infinity();
  for (int power = -4; power <= 6; ++power) {  // σ from 16 deviations to a 64th of one
    std::vector<double> candidate = start;
    for (double& l : candidate) l += power * std::log(2.0);
    const double error = left_out_error(with_widths(candidate), keys, values);
    if (error < least) {
      least = error;
      at = candidate;
    }
  }
  if (at.empty()) fail<NumericError>("kernel regression: the error is not finite");
  BandwidthFit fit;
  descend(at, keys, values, options, fit);
  fit.model = with_widths(at);
  return fit;
}

RegressionExample regression_example(std::int64_t count, std::uint64_t seed) {
  if (count < 1) fail("kernel regression: an example of {} points", count);
  Philox random(seed);
  std::vector<double> x(static_cast<std::size_t>(count)), y;
  for (double& value : x) value = random.uniform(0, 5);
  std::sort(x.begin(), x.end());
  y.reserve(x.size());
  for (const double value : x) {
    y.push_back(2 * std::sin(value) + std::pow(value, 0.8) + 0.5 * random.normal());
  }
  return {Tensor::of(x, {count, 1}), Tensor::of(y, {count, 1})};
}

}  // namespace qkv

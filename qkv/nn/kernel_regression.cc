#include "qkv/nn/kernel_regression.h"

#include <algorithm>
#include <cmath>

#include "qkv/base/dims.h"
#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

/// [T D] as one head.
Tensor one_head(const Tensor& x) { return reshape(x, {x.dim(0), 1, x.dim(1)}); }

}  // namespace

Attention KernelRegression::how(const Tensor& width, const Mask& mask) const {
  return {.score = Gaussian{.inverse_width = width}, .mask = mask, .norm = kernel};
}

Tensor KernelRegression::operator()(const Tensor& queries, const Tensor& keys, const Tensor& values,
                                    const Mask& mask) const {
  const Dims d("kernel regression", {{"queries", queries.shape(), "Tq D"},
                                     {"keys", keys.shape(), "Tk D"},
                                     {"values", values.shape(), "Tk Dv"}});
  const Tensor out =
      attend(one_head(queries), one_head(keys), one_head(values), how(inverse_width, mask));
  return reshape(out, {d["Tq"], d["Dv"]});
}

Tensor KernelRegression::variance(const Tensor& queries, const Tensor& keys, const Tensor& values,
                                  const Mask& mask) const {
  const NoRecording off;
  const Tensor mean = (*this)(queries, keys, values, mask);
  const Tensor of_squares = (*this)(queries, keys, multiply(values, values), mask);
  return combined(of_squares, mean,
                  [](auto s, auto m) { return std::max(s - m * m, decltype(s)(0)); });
}

Tensor KernelRegression::effective_sample_size(const Tensor& queries, const Tensor& keys,
                                               const Mask& mask) const {
  if (!std::holds_alternative<Softmax>(kernel)) {
    fail("kernel regression: the effective sample size is for the Gaussian kernel");
  }
  const NoRecording off;
  // a = exp(s − lse(s)), so Σ a² = exp(lse(2s) − 2 lse(s)); a √2 times narrower kernel has 2s.
  const auto lse = [&](const Tensor& width) {
    const Tensor k = one_head(keys);
    return attend_with_lse(one_head(queries), k, k, how(width, mask)).lse;
  };
  const Tensor once = lse(inverse_width), twice = lse(scale(inverse_width, std::sqrt(2.0)));
  const Tensor size = combined(once, twice, [](auto s, auto t) {
    // A query that sees nothing has lse −∞.
    return std::isinf(s) ? decltype(s)(0) : std::exp(2 * s - t);
  });
  return size.reshaped({queries.dim(0)});
}

Tensor KernelRegression::weights(const Tensor& queries, const Tensor& keys,
                                 const Mask& mask) const {
  // What it makes of unit vectors as values.
  const NoRecording off;
  const std::int64_t count = keys.dim(0);
  const Tensor unit = generated({count, count}, keys.dtype(),
                                [&](std::int64_t i) { return i % (count + 1) == 0 ? 1.0 : 0.0; });
  return (*this)(queries, keys, unit, mask);
}

Mask leave_one_out() { return ~window(1); }

}  // namespace qkv

// Bandwidths for kernel regression, learned on the keys: each is predicted from all others.
#pragma once

#include <cstdint>

#include "qkv/nn/kernel_regression.h"

namespace qkv {

struct BandwidthOptions {
  bool per_feature = false;       // one bandwidth a feature, else one for all
  std::int64_t most_steps = 200;  // of descent
};
struct BandwidthFit {
  KernelRegression model;  // in double; a bandwidth is 1 / inverse_width
  double error = 0;        // mean squared error, each key left out of its own prediction
  std::int64_t steps = 0;  // that descent took
  bool converged = false;  // no step made it better; else most_steps were over
};

/// keys [N D], values [N 1], both in double, N >= 3. Starts at the best of a range of powers of two
/// times the features' deviations, then descends in the logarithms of the bandwidths, each step as
/// long as it makes the error smaller. Throws Error for fewer keys or a feature that is constant
/// (it has no bandwidth).
BandwidthFit fit_bandwidths(const Tensor& keys, const Tensor& values,
                            const BandwidthOptions& options = {});

/// Mean squared error on the keys, each left out of its own prediction.
double left_out_error(const KernelRegression& model, const Tensor& keys, const Tensor& values);

/// The example of Dive into Deep Learning: sorted x ~ U(0, 5), y = 2 sin x + x^0.8 + N(0, 0.5).
struct RegressionExample {
  Tensor keys, values;  // [N 1] each
};
RegressionExample regression_example(std::int64_t count, std::uint64_t seed);

}  // namespace qkv

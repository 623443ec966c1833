// Gradients against central finite differences, in double.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "qkv/tensor/tensor.h"

namespace qkv {

struct GradientCheck {
  double worst = 0;   // largest |analytic − numeric| / (1 + |numeric|)
  std::string where;  // "input 1 element 7: analytic 0.31, numeric 0.30"
};

struct GradientCheckOptions {
  double step = 1e-5;
  std::uint64_t seed = 1;  // of the random output gradient and of dropout
  std::int64_t most = 64;  // elements checked in each input, spread evenly
};

/// f maps inputs (f64) to one tensor (f64). Its output is weighted with random, non-constant
/// numbers, so that no error hides behind a sum. Dropout inside f draws the same numbers in every
/// evaluation.
GradientCheck check_gradients(const std::function<Tensor(std::span<const Tensor>)>& f,
                              std::span<const Tensor> inputs,
                              const GradientCheckOptions& options = {});

}  // namespace qkv

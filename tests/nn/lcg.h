// Numbers that anybody can make again: x ← (1664525·x + 1013904223) mod 2³², value =
// gain·((x ≫ 8)/2²⁴ − ½), running on from tensor to tensor.
#pragma once

#include <cstdint>

#include "qkv/tensor/tensor.h"

namespace qkv::testing {

class Lcg {
 public:
  explicit Lcg(std::uint32_t seed) : x_(seed) {}
  double next(double gain = 1.0) {
    x_ = 1664525U * x_ + 1013904223U;
    return gain * (static_cast<double>(x_ >> 8) / 16777216.0 - 0.5);
  }
  Tensor fill(const Shape& shape, double gain, DType type) {
    Tensor x = Tensor::empty(shape, DType::f64);
    for (double& value : x.values<double>()) value = next(gain);
    return x.to(type);
  }

 private:
  std::uint32_t x_;
};

}  // namespace qkv::testing

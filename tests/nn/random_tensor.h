#pragma once

#include "qkv/base/random.h"
#include "qkv/tensor/tensor.h"

namespace qkv::testing {

inline Tensor random_tensor(const Shape& shape, std::uint64_t seed, DType type = DType::f32) {
  Philox random(seed);
  Tensor x = Tensor::empty(shape, DType::f64);
  for (double& value : x.values<double>()) value = random.normal();
  return x.to(type);
}

/// The largest difference of two tensors.
inline double distance(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(DType::f64), y = b.to(DType::f64);
  if (!(x.shape() == y.shape())) return 1e300;
  double most = 0;
  for (std::int64_t i = 0; i < x.count(); ++i) {
    const double d = x.data<double>()[i] - y.data<double>()[i];
    if (!(d < 0 ? -d <= most : d <= most)) most = d < 0 ? -d : d;
  }
  return most;
}

}  // namespace qkv::testing

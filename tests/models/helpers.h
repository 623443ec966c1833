// What the tests of models share: matrices written out, random tensors, comparisons, and the
// gradient check of a whole module.
#pragma once

#include <cmath>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "qkv/autograd/check.h"
#include "qkv/base/random.h"
#include "qkv/nn/module.h"

namespace qkv::testing {

inline Tensor matrix(std::initializer_list<std::initializer_list<double>> rows,
                     DType type = DType::f32) {
  std::vector<double> values;
  for (const auto& row : rows) values.insert(values.end(), row);
  const auto count = static_cast<std::int64_t>(rows.size());
  const auto width = static_cast<std::int64_t>(values.size()) / count;
  return Tensor::of(values, {count, width}).to(type);
}

inline Tensor random_tensor(const Shape& shape, std::uint64_t seed, DType type = DType::f32) {
  Philox random(seed);
  Tensor x = Tensor::empty(shape, DType::f64);
  for (double& value : x.values<double>()) value = random.normal();
  return x.to(type);
}

/// Norm weights and biases leave their ones and zeros, so that no wrong gradient hides.
template <class M>
void shake(M& module, std::uint64_t seed) {
  for_each_parameter(module, [&](std::string_view, Tensor& p) {
    if (p.shape().rank() > 1) return;
    const Tensor noise = random_tensor(p.shape(), seed++, p.dtype());
    for (std::int64_t i = 0; i < p.count(); ++i) {
      if (p.dtype() == DType::f64) {
        p.data<double>()[i] += 0.3 * noise.data<double>()[i];
      } else {
        p.data<float>()[i] += 0.3F * noise.data<float>()[i];
      }
    }
  });
}

inline void expect_near(const Tensor& got, const Tensor& wanted, double tolerance) {
  const Tensor a = got.to(DType::f64), b = wanted.to(DType::f64);
  ASSERT_EQ(a.count(), b.count());
  for (std::int64_t i = 0; i < a.count(); ++i) {
    ASSERT_NEAR(a.data<double>()[i], b.data<double>()[i], tolerance) << "element " << i;
  }
}

/// Equal to the last bit.
inline ::testing::AssertionResult same_bits(const Tensor& a, const Tensor& b) {
  if (a.count() != b.count() || a.dtype() != b.dtype()) {
    return ::testing::AssertionFailure() << "another size or type";
  }
  for (std::int64_t i = 0; i < a.count(); ++i) {
    const float x = a.data()[i], y = b.data()[i];
    if (std::memcmp(&x, &y, sizeof x) != 0) {
      return ::testing::AssertionFailure() << "element " << i << ": " << x << " and " << y;
    }
  }
  return ::testing::AssertionSuccess();
}

/// f(module) -> a tensor, checked against finite differences in a few elements of each parameter.
template <class M>
void check_module(const M& module, const std::function<Tensor(const M&)>& f,
                  std::int64_t most = 4) {
  std::vector<Tensor> parameters;
  std::vector<std::string> names;
  for_each_parameter(module, [&](std::string_view path, const Tensor& p) {
    parameters.push_back(p);
    names.emplace_back(path);
  });
  const auto run = [&](std::span<const Tensor> x) {
    M copy = module;
    std::size_t i = 0;
    for_each_parameter(copy, [&](std::string_view, Tensor& p) { p = x[i++]; });
    return f(copy);
  };
  const GradientCheck check = check_gradients(run, parameters, {.seed = 3, .most = most});
  ASSERT_FALSE(check.where.empty()) << "no gradient differed at all: was anything checked?";
  const std::size_t worst = std::stoul(check.where.substr(6));  // "input 3 element …"
  EXPECT_LT(check.worst, 1e-6) << names[worst] << ": " << check.where;
}

}  // namespace qkv::testing

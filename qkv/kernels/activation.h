// The functions between two linear maps, and their slopes.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace qkv::kernels {

enum class Activation : std::uint8_t {
  none,
  relu,
  gelu,       ///< x·Φ(x), Φ the normal distribution (Hendrycks & Gimpel 2016)
  gelu_tanh,  ///< its approximation by tanh: "gelu_new", "gelu_pytorch_tanh" and "gelu_fast"
  tanh,
  sigmoid,
  silu,        ///< x·σ(x), also called swish (Elfwing et al. 2017)
  quick_gelu,  ///< x·σ(1.702 x)
  elu,         ///< x above 0, e^x − 1 below (Clevert et al. 2016)
};
constexpr std::array<std::string_view, 9> spelling(Activation) {
  return {"none", "relu", "gelu", "gelu_tanh", "tanh", "sigmoid", "silu", "quick_gelu", "elu"};
}
constexpr std::array<std::string_view, 9> synonyms(Activation) {
  return {"none", "relu", "gelu", "gelu_new", "tanh", "sigmoid", "swish", "quick_gelu", "elu"};
}

namespace definition {

template <class T>
T sigmoid(T z) {
  return 1 / (1 + std::exp(-z));
}

template <class T>
T activated(Activation activation, T z) {
  const T c = T(0.7978845608028654), k = T(0.044715);  // √(2/π)
  switch (activation) {
    case Activation::none:
      return z;
    case Activation::relu:
      return z <= 0 ? T(0) : z;
    case Activation::gelu:
      return T(0.5) * z * (1 + std::erf(z * T(0.7071067811865476)));
    case Activation::gelu_tanh:
      return T(0.5) * z * (1 + std::tanh(c * (z + k * z * z * z)));
    case Activation::tanh:
      return std::tanh(z);
    case Activation::sigmoid:
      return sigmoid(z);
    case Activation::silu:
      return z * sigmoid(z);
    case Activation::quick_gelu:
      return z * sigmoid(T(1.702) * z);
    case Activation::elu:
      return z > 0 ? z : std::expm1(z);
  }
  return z;
}

/// The derivative of activated() at z.
template <class T>
T slope(Activation activation, T z) {
  const T c = T(0.7978845608028654), k = T(0.044715);
  switch (activation) {
    case Activation::none:
      return 1;
    case Activation::relu:
      return z <= 0 ? T(0) : T(1);
    case Activation::gelu:
      return T(0.5) * (1 + std::erf(z * T(0.7071067811865476))) +
             z * T(0.3989422804014327) * std::exp(-z * z / 2);
    case Activation::gelu_tanh: {
      const T t = std::tanh(c * (z + k * z * z * z));
      return T(0.5) * (1 + t) + T(0.5) * z * (1 - t * t) * c * (1 + 3 * k * z * z);
    }
    case Activation::tanh: {
      const T t = std::tanh(z);
      return 1 - t * t;
    }
    case Activation::sigmoid: {
      const T s = sigmoid(z);
      return s * (1 - s);
    }
    case Activation::silu: {
      const T s = sigmoid(z);
      return s + z * s * (1 - s);
    }
    case Activation::quick_gelu: {
      const T s = sigmoid(T(1.702) * z);
      return s + T(1.702) * z * s * (1 - s);
    }
    case Activation::elu:
      return z > 0 ? T(1) : std::exp(z);
  }
  return 1;
}

}  // namespace definition
}  // namespace qkv::kernels

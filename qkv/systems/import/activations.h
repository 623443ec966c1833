// How Hugging Face spells activations in config.json (transformers' activations.py).
#pragma once

#include <iterator>
#include <string_view>

#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"

namespace qkv {

/// For FieldReader::choice(); where one function has several names the usual one comes first.
inline constexpr std::string_view kActivationNames[] = {
    "gelu",  "relu",       "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "silu",
    "swish", "quick_gelu", "tanh",     "sigmoid",           "linear"};
inline constexpr Activation kActivationOf[] = {
    Activation::gelu,      Activation::relu,    Activation::gelu_tanh, Activation::gelu_tanh,
    Activation::gelu_tanh, Activation::silu,    Activation::silu,      Activation::quick_gelu,
    Activation::tanh,      Activation::sigmoid, Activation::none};
static_assert(std::size(kActivationNames) == std::size(kActivationOf));

inline std::string_view activation_name(Activation activation) {
  for (std::size_t i = 0; i < std::size(kActivationOf); ++i) {
    if (kActivationOf[i] == activation) return kActivationNames[i];
  }
  fail("this activation has no published name");
}

}  // namespace qkv

// The product inside a gated feed-forward block (Dauphin et al. 2017, Shazeer 2020).
#pragma once

#include <cstdint>

#include "qkv/kernels/activation.h"

namespace qkv::kernels {
namespace definition {

/// y = activation(gate) ⊙ up; y may alias either.
template <class T>
void gate(std::int64_t n, const T* gate, const T* up, Activation activation, T* y);

/// dgate = dy ⊙ up ⊙ activation'(gate), dup = dy ⊙ activation(gate). Either may be null; dgate may
/// alias gate or dy, dup may alias up or dy, where the other is null or elsewhere.
template <class T>
void gate_backward(std::int64_t n, const T* gate, const T* up, Activation activation, const T* dy,
                   T* dgate, T* dup);

}  // namespace definition

void gate(std::int64_t n, const float* gate, const float* up, Activation activation, float* y);
void gate_backward(std::int64_t n, const float* gate, const float* up, Activation activation,
                   const float* dy, float* dgate, float* dup);

}  // namespace qkv::kernels

// Element-wise operations between whole tensors of one shape.
#pragma once

#include "qkv/kernels/elementwise.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

using kernels::Activation;

Tensor add(const Tensor& a, const Tensor& b);
Tensor multiply(const Tensor& a, const Tensor& b);
Tensor scale(const Tensor& x, double factor);
/// sum += factor · x in place; not differentiable, for averages.
void add_scaled(double factor, const Tensor& x, Tensor& sum);
/// Any rank.
Tensor activate(const Tensor& x, Activation activation);
/// activation(gate) ⊙ up, in one pass and with nothing else kept: the inside of a gated
/// feed-forward block.
Tensor gated(const Tensor& gate, const Tensor& up, Activation activation);
/// Zeroes elements with this probability and scales the others, while recording; else x itself.
Tensor dropout(const Tensor& x, double probability);

}  // namespace qkv

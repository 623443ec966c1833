// y = dropout(activation(x·W + b)): one product and one pass. Weights are stored [I O], so that x·W
// is the product whose bits do not depend on the batch (docs/numerics.md).
#pragma once

#include "qkv/kernels/elementwise.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

using kernels::Activation;

/// x [T I], weight [I O], bias [O] or undefined -> [T O]. Dropout only while recording.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              Activation activation = Activation::none, double dropout = 0.0);

/// activation(x + bias), x [T O], bias [O] or undefined: what follows a product that is not one
/// of linear().
Tensor bias_activate(const Tensor& x, const Tensor& bias, Activation activation = Activation::none);

/// a [M K] · b [K N] -> [M N]
Tensor matmul(const Tensor& a, const Tensor& b);

}  // namespace qkv

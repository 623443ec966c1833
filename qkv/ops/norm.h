// Layer normalisation, alone and fused with the residual and dropout that stand before it.
#pragma once

#include "qkv/tensor/tensor.h"

namespace qkv {

struct NormOptions {
  double eps = 1e-5;
  double dropout = 0.0;  // on x, while recording
};

/// x [T C], gamma [C] or undefined (ones), beta [C] or undefined (zeros) -> [T C]
Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps = 1e-5);

/// sum = residual + dropout(x); out = layer_norm(sum). Post-norm blocks go on with `out`, pre-norm
/// blocks carry `sum` along and feed `out` to the next sub-layer. Both are differentiable.
struct ResidualNorm {
  Tensor sum;
  Tensor out;
};
ResidualNorm residual_norm(const Tensor& residual, const Tensor& x, const Tensor& gamma,
                           const Tensor& beta, const NormOptions& options = {});

}  // namespace qkv

// How far numbers are from what they should be: the losses of pictures.
#pragma once

#include "qkv/tensor/tensor.h"

namespace qkv {

/// √((y − target)² + eps), one by one: |y − target| where eps is 0, with the derivative 0 where the
/// two are equal; else Charbonnier's, smooth there. Differentiable in y alone. Any rank.
Tensor deviations(const Tensor& y, const Tensor& target, double eps);

}  // namespace qkv

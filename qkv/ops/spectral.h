// A weight divided by its largest singular value, which a step of the power method estimates
// (Miyato et al. 2018).
#pragma once

#include "qkv/tensor/tensor.h"

namespace qkv {

/// A weight of any rank is the matrix W [N O] of its last axis against all others together.
struct PowerStep {
  Tensor u;            // [O], of length one
  Tensor v;            // [N], of length one
  double sigma = 0.0;  // vᵀ W u
};
/// v = W u₀ / (‖W u₀‖ + 1e-12), u = Wᵀ v / (‖Wᵀ v‖ + 1e-12). u₀ [O] is used as it is. Not
/// differentiable; sums in double, the same for any number of threads.
PowerStep power_step(const Tensor& weight, const Tensor& u);

/// W / σ. The gradient holds u and v constant: (G − ⟨G, W/σ⟩ v uᵀ) / σ. Throws where σ is 0.
Tensor spectral_normalised(const Tensor& weight, const PowerStep& step);

}  // namespace qkv

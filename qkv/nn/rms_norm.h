// Normalisation by the root mean square (Zhang & Sennrich 2019), as Llama and T5 have it.
#pragma once

#include "qkv/nn/module.h"
#include "qkv/ops/heads.h"

namespace qkv {

/// x / √(mean x² + eps) ⊙ weight, eps inside the root; neither mean nor bias.
struct RmsNorm {
  Tensor weight;  // [C]
  double eps = 1e-6;

  static RmsNorm make(Initialiser& init, std::int64_t width, double eps) {
    RmsNorm m;
    m.weight = init.ones({width});
    m.eps = eps;
    return m;
  }
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("weight", m.weight);
  }
  /// Any rank from 1; the last axis is C.
  Tensor operator()(const Tensor& x) const { return rms_norm(x, weight, eps); }
};

}  // namespace qkv

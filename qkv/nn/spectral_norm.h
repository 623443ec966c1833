// Spectral normalisation (Miyato et al. 2018): a module's weight divided by its largest singular
// value, estimated by one step of the power method a pass from a vector u that is kept. u moves
// while a tape records, outside of KeepBuffers: not in evaluation, not in the second pass over a
// discriminator.
#pragma once

#include <cstdint>
#include <utility>

#include "qkv/nn/buffers.h"
#include "qkv/nn/module.h"
#include "qkv/ops/spectral.h"
#include "qkv/tensor/numbers.h"

namespace qkv {

struct SpectralNorm {
  Buffer u;  // [O], the last axis of the weight

  /// Normal numbers within two deviations.
  static SpectralNorm make(Initialiser& init, std::int64_t out) {
    return {{init.truncated_normal({out}, 1.0).clone()}};  // a copy is no parameter
  }
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("u", m.u);
  }
  /// weight [… O] -> weight / σ
  Tensor operator()(const Tensor& weight) const {
    const PowerStep step = power_step(weight, u.value);
    if (buffers_move()) {
      Tensor kept = u.value;
      change_each(kept, [&](std::int64_t i, double) { return number(step.u, i); });
    }
    return spectral_normalised(weight, step);
  }
};

/// A module with a `weight`, used with weight / σ: Spectral<Linear>, Spectral<Convolution>. Its
/// parameters are the module's, its buffer is "u".
template <class M>
struct Spectral {
  M module;
  SpectralNorm norm;

  static Spectral of(Initialiser& init, M module) {
    const std::int64_t out = module.weight.dim(-1);
    return {std::move(module), SpectralNorm::make(init, out)};
  }
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    M::each(m.module, visit);
    visit("u", m.norm.u);
  }
  /// The module as it stands after this step.
  M normalised() const {
    M m = module;
    m.weight = norm(module.weight);
    return m;
  }
  template <class... Arguments>
  Tensor operator()(const Arguments&... arguments) const {
    return normalised()(arguments...);
  }
};

}  // namespace qkv

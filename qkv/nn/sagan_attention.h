// Attention over the pixels of a feature map, as SAGAN has it (Zhang et al. 2019): x + γ·o, γ from
// 0 on, scores without a scale, no biases, every product spectrally normalised.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "qkv/nn/linear.h"
#include "qkv/nn/spectral_norm.h"
#include "qkv/tensor/grids.h"

namespace qkv {

/// Of the paper or of the code released with it. There the products are called f (key), g (query),
/// h (value), v (output), here φ, θ, g, o.
enum class SaganForm : std::uint8_t {
  released,  ///< keys C → C/8 and values C → C/2 max-pooled 2 × 2
  paper      ///< keys and values C → C/8 of all pixels
};
constexpr std::array<std::string_view, 2> spelling(SaganForm) { return {"released", "paper"}; }

struct SaganAttention {
  struct Config {
    std::int64_t width = 0;  // C, a multiple of 8
    SaganForm form = SaganForm::released;
    bool spectral = true;  // false: the products as they are
  };
  Config config;
  Spectral<Linear> query, key, value, output;
  Tensor gamma;  // [1]; "sigma_ratio" in the released code

  /// Xavier-uniform products.
  static SaganAttention make(Initialiser& init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("query", m.query);
    visit("key", m.key);
    visit("value", m.value);
    visit("output", m.output);
    visit("gamma", m.gamma);
  }
  /// x [T C] on `grids` -> [T C]. The released form needs pictures of at least 2 × 2 pixels.
  Tensor operator()(const Tensor& x, const Grids& grids) const;
};

}  // namespace qkv

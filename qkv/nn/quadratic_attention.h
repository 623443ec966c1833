// Attention over the pixels of a picture by relative position alone (Cordonnier, Loukas & Jaggi
// 2020, "On the relationship between self-attention and convolutional layers"): head h looks at the
// pixels around p + Δ_h with weights exp −½ (δ − Δ_h)ᵀ S_h (δ − Δ_h), normalised over the picture.
// With one head a kernel entry and a steep S it is a convolution.
#pragma once

#include <cstdint>

#include "qkv/attention/mask.h"
#include "qkv/nn/linear.h"
#include "qkv/ops/grid.h"

namespace qkv {

struct QuadraticAttention {
  struct Config {
    std::int64_t in = 0, out = 0;    // channels
    std::int64_t heads = 9;          // K² for a kernel of K × K
    bool isotropic = true;           // S = a² with one a a head; else S = AᵀA with A [2 2]
    double centre_deviation = 2.0;   // Δ ~ N(0, this²)
    double spread_deviation = 0.01;  // A ~ I + N(0, this²)
    bool bias = true;
    std::int64_t ring = 0;  // zero-valued pixels around the picture that may be looked at too
  };
  Config config;
  Tensor centres;  // Δ [H 2]: rows, columns
  Tensor spread;   // A [H] or [H 2 2]
  Linear value;    // [H·in out]: W_val·W_out of all heads below each other

  static QuadraticAttention make(Initialiser& init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("centres", m.centres);
    visit("spread", m.spread);
    visit("value", m.value);
  }

  struct Convolution {
    std::int64_t dilation = 1;
    /// The score is −α‖δ − Δ‖². From 46 (double) the other pixels' weights are lost in rounding; at
    /// 128 (float) they are exactly 0, and all numbers on the way are exact.
    double alpha = 128.0;
  };
  /// The layer that computes the convolution with kernel [K K I O] (entry (i, j) looks at the pixel
  /// i − (K−1)/2 rows below and j − (K−1)/2 columns to the right, times dilation), bias [O] or
  /// undefined, zeros around the picture.
  static QuadraticAttention of_convolution(const Tensor& kernel, const Tensor& bias,
                                           const Convolution& how);
  static QuadraticAttention of_convolution(const Tensor& kernel, const Tensor& bias) {
    return of_convolution(kernel, bias, Convolution());
  }

  /// x [pictures·grid.count() in] -> [… out]. `seen` narrows what a pixel may look at; its keys are
  /// the pixels of grid.wider(ring).
  Tensor operator()(const Tensor& x, const Grid& grid, const Mask& seen = everything()) const;
};

}  // namespace qkv

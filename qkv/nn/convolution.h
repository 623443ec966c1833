// Convolution as a module, over pictures or in time, on packed rows (ops/convolve.h).
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "qkv/nn/module.h"
#include "qkv/nn/state_dict.h"
#include "qkv/ops/convolve.h"

namespace qkv {

/// What a kernel moves over: both axes of pictures, or sequences (Grids::lines).
enum class ConvolutionAxes : std::uint8_t { picture, time };
constexpr std::array<std::string_view, 2> spelling(ConvolutionAxes) { return {"picture", "time"}; }

/// nn.Conv2d and nn.Conv1d. A 1 × 1 convolution of stride 1 is Linear on pixels.
struct Convolution {
  struct Config {
    std::int64_t in = 0, out = 0;  // channels
    std::int64_t size = 3;         // K, odd or even
    std::int64_t stride = 1;
    std::int64_t pad = 1;  // zeros at each end of each axis
    std::int64_t groups = 1;
    bool bias = true;
    ConvolutionAxes axes = ConvolutionAxes::picture;
  };
  Config config;
  Tensor weight;  // [K K in/groups out], in time [K in/groups out]
  Tensor bias;    // [out], or undefined

  /// Uniform within ±1/√(K²·in/groups), as PyTorch draws both. Throws ShapeError for sizes that
  /// make no convolution.
  static Convolution make(Initialiser& init, const Config& c) {
    if (c.in < 1 || c.out < 1 || c.size < 1 || c.stride < 1 || c.pad < 0 || c.groups < 1 ||
        c.in % c.groups != 0 || c.out % c.groups != 0) {
      fail<ShapeError>("convolution: {} to {} channels in {} groups, size {}, stride {}, margin {}",
                       c.in, c.out, c.groups, c.size, c.stride, c.pad);
    }
    const bool time = c.axes == ConvolutionAxes::time;
    const std::int64_t in = c.in / c.groups;
    const double limit = 1.0 / std::sqrt(static_cast<double>(c.size * (time ? 1 : c.size) * in));
    Convolution m;
    m.config = c;
    m.weight =
        init.uniform(time ? Shape{c.size, in, c.out} : Shape{c.size, c.size, in, c.out}, limit);
    if (c.bias) m.bias = init.uniform({c.out}, limit);
    return m;
  }
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("weight", m.weight);
    visit("bias", m.bias);
  }

  PixelWindow window() const {
    return config.axes == ConvolutionAxes::time
               ? PixelWindow::line(config.size, config.stride, config.pad)
               : PixelWindow::square(config.size, config.stride, config.pad);
  }
  /// What is left of the pictures; the same with the usual K = 2·pad + 1 and stride 1.
  Grids over(const Grids& grids) const { return grids.over(window()); }
  /// x [T in] on `grids` -> [T' out] on over(grids).
  Tensor operator()(const Tensor& x, const Grids& grids) const {
    return convolve(x, grids, weight, bias, window(), config.groups);
  }
};

/// "weight" [O I K K] or [O I K], "bias".
inline void list_state(const Convolution& m, const std::string& prefix, StateEntries& entries) {
  entries.push_back({prefix + "weight", {m.weight}, StateLayout::kernel});
  entries.push_back({prefix + "bias", {m.bias}});
}

}  // namespace qkv

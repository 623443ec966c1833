// Absolute positional encodings (Vaswani et al. 2017, §3.5 and relatives).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "qkv/tensor/tensor.h"

namespace qkv {

enum class Sinusoid : std::uint8_t {
  interleaved,  ///< sin, cos, sin, cos …: PE(p, 2i) = sin(p / 10000^{2i/C}), PE(p, 2i+1) =
                ///< cos(same)
  blocks,  ///< [sines | cosines] with frequencies 10000^{−i/(C/2−1)} (tensor2tensor, fairseq)
  legacy,  ///< interleaved, but every column i has exponent 2i/C (an early public code's slip)
};
constexpr std::array<std::string_view, 3> spelling(Sinusoid) {
  return {"interleaved", "blocks", "legacy"};
}

/// [length C]: row p encodes position first + p. Odd widths drop the last cosine. Computed in
/// double.
Tensor sinusoid(std::int64_t length, std::int64_t width, Sinusoid form = Sinusoid::interleaved,
                std::int64_t first = 0, DType type = DType::f32);

}  // namespace qkv

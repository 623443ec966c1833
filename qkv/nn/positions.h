// Absolute positional encodings (Vaswani et al. 2017, §3.5 and relatives).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "qkv/tensor/segments.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

enum class Sinusoid : std::uint8_t {
  interleaved,  ///< sin, cos, sin, cos …: PE(p, 2i) = sin(p / 10000^{2i/C}), PE(p, 2i+1) =
                ///< cos(same)
  blocks,  ///< [sines | cosines] with frequencies 10000^{−i/(C/2−1)} (tensor2tensor, fairseq)
  halves,  ///< [sines | cosines] with the frequencies of interleaved, 10000^{−2i/C} (Hugging Face's
           ///< Marian; Marian itself has blocks)
  legacy,  ///< interleaved, but every column i has exponent 2i/C (an early public code's slip)
};
constexpr std::array<std::string_view, 4> spelling(Sinusoid) {
  return {"interleaved", "blocks", "halves", "legacy"};
}

/// [length C]: row p encodes position first + p. Odd widths drop the last cosine. Computed in
/// double. Others count from where `first` says: OpenNMT and CTranslate2 blocks from 1, fairseq and
/// M2M100 blocks from pad + 1 = 2.
Tensor sinusoid(std::int64_t length, std::int64_t width, Sinusoid form = Sinusoid::interleaved,
                std::int64_t first = 0, DType type = DType::f32);

/// The place of every row in its sequence, first, first + 1, …: which rows of a learned table they
/// read. RoBERTa and XLM-R begin at pad + 1 = 2, so that their tables have two rows more.
std::vector<std::int32_t> places(const Segments& segments, std::int64_t first = 0);

}  // namespace qkv

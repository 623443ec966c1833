// The 16-bit numbers of weight files as f32, exactly: IEEE 754 binary16, and the upper half of f32.
#pragma once

#include <bit>
#include <cstdint>

namespace qkv {

inline float float_of_half(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 31U, fraction = half & 1023U;
  if (exponent == 0) {  // zero and subnormal: fraction · 2^-24, exact in f32
    const float value = static_cast<float>(fraction) * 0x1.0p-24f;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) | sign);
  }
  const std::uint32_t widened = exponent == 31 ? 255 : exponent + (127 - 15);
  return std::bit_cast<float>(sign | widened << 23 | fraction << 13);
}

inline float float_of_bfloat(std::uint16_t value) {
  return std::bit_cast<float>(std::uint32_t{value} << 16);
}

}  // namespace qkv

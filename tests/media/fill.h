// The numbers that golden values of pictures and sound are computed from: one linear congruential
// generator that runs on, x ← 1664525·x + 1013904223 mod 2³², value (x ≫ 8)/2²⁴ − ½.
#pragma once

#include <cstdint>

#include "qkv/media/picture.h"

namespace qkv {

class Lcg {
 public:
  explicit Lcg(std::uint32_t seed) : x_(seed) {}
  /// In [−½, ½).
  double next() { return draw() - 0.5; }
  /// In [0, 1).
  double draw() {
    x_ = 1664525U * x_ + 1013904223U;
    return static_cast<double>(x_ >> 8) * 0x1.0p-24;
  }

 private:
  std::uint32_t x_;
};

/// A picture of random bytes, plane by plane.
inline Picture noise_picture(std::uint32_t seed, int channels, int height, int width) {
  Lcg lcg(seed);
  Picture picture(channels, height, width);
  for (std::uint8_t& byte : picture.bytes) byte = static_cast<std::uint8_t>(256 * lcg.draw());
  return picture;
}

}  // namespace qkv

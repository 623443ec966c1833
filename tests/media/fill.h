// Pictures of made-up numbers.
#pragma once

#include <cstdint>

#include "golden/lcg.h"

#include "qkv/media/picture.h"

namespace qkv {

using testing::Lcg;

/// A picture of random bytes, plane by plane.
inline Picture noise_picture(std::uint32_t seed, int channels, int height, int width) {
  Lcg lcg(seed);
  Picture picture(channels, height, width);
  for (std::uint8_t& byte : picture.bytes) byte = static_cast<std::uint8_t>(256 * lcg.draw());
  return picture;
}

}  // namespace qkv

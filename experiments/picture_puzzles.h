// Pictures that are made up, so that it is known what their label depends on: a texture that every
// small part shows, or a relation between two places that may be far apart.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "qkv/media/picture_tables.h"

namespace qkv {

enum class PicturePuzzle : std::uint8_t {
  texture,   ///< which of four ways faint stripes run, under noise
  relation,  ///< whether the two shapes in the picture are the same
};
constexpr std::array<std::string_view, 2> spelling(PicturePuzzle) {
  return {"texture", "relation"};
}

/// Grey pictures of 16 × 16 pixels, all classes as often; picture i is a function of seed and i.
///   texture   light and dark stripes three pixels apart at a random phase, ±24 around a grey of
///             normal noise of deviation 40: lying, standing, rising or falling
///   relation  two of four shapes of 4 × 4 pixels, at random places in the left and the right half,
///             in noise of deviation 12: "same" or "other"
PictureSet make_picture_puzzle(PicturePuzzle puzzle, std::int64_t count, std::uint64_t seed);

}  // namespace qkv

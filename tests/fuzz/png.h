// Any bytes as a PNG.
#pragma once

#include <vector>

#include "fuzz/picture.h"
#include "media/fill.h"
#include "media/picture_bytes.h"

#include "qkv/media/png.h"

namespace qkv {

inline void fuzz_png(std::string_view bytes) { fuzz_picture(bytes, "\x89PNG"); }

inline std::vector<std::string> png_seeds() {
  std::string exif = exif_block(true, 6);
  return {encode_png(noise_picture(1, 1, 3, 4)), encode_png(noise_picture(2, 3, 5, 4)),
          png_bytes({.width = 4,
                     .bits = 2,
                     .kind = PNG_COLOR_TYPE_PALETTE,
                     .rows = {0x1B},
                     .more =
                         [&](png_structp png, png_infop info) {
                           const png_color colours[] = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}, {0, 0, 0}};
                           png_set_PLTE(png, info, colours, 4);
                           png_set_eXIf_1(png, info, static_cast<png_uint_32>(exif.size()),
                                          reinterpret_cast<png_bytep>(exif.data()));
                         }}),
          png_bytes({.width = 2,
                     .height = 2,
                     .bits = 16,
                     .kind = PNG_COLOR_TYPE_RGB_ALPHA,
                     .interlaced = true,
                     .rows = std::vector<std::uint8_t>(32, 99)})};
}

}  // namespace qkv

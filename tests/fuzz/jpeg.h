// Any bytes as a JPEG, its EXIF block included.
#pragma once

#include <vector>

#include "fuzz/picture.h"
#include "media/fill.h"
#include "media/picture_bytes.h"

#include "qkv/media/exif.h"

namespace qkv {

inline void fuzz_jpeg(std::string_view bytes) {
  fuzz_picture(bytes, "\xFF\xD8");
  for (const int orientation : {exif_orientation(bytes), jpeg_head(bytes).orientation}) {
    fuzz_require(orientation >= 1 && orientation <= 8, "no orientation");
  }
}

inline std::vector<std::string> jpeg_seeds() {
  const std::vector<std::uint8_t> rgb = interleaved(noise_picture(1, 3, 9, 17)),
                                  grey = noise_picture(2, 1, 16, 8).bytes;
  const std::string exif = jpeg_segment(0xE1, std::string("Exif\0\0", 6) + exif_block(false, 8));
  return {jpeg_bytes(rgb, 17, 9, TJPF_RGB, exif, TJSAMP_420),
          jpeg_bytes(grey, 8, 16, TJPF_GRAY, "", TJSAMP_GRAY),
          jpeg_bytes(rgb, 17, 9, TJPF_RGB, "", TJSAMP_444, TJFLAG_PROGRESSIVE),
          exif_block(true, 3)};
}

}  // namespace qkv

// What the targets of pictures share.
#pragma once

#include "fuzz/target.h"

#include "qkv/base/error.h"
#include "qkv/media/picture_file.h"

namespace qkv {

/// Bytes as a picture: what is accepted is of the size it says, and small. `start`, of the format,
/// is put in front when it is missing, so that every input reaches the reader that is meant.
inline void fuzz_picture(std::string_view bytes, std::string_view start) {
  const PictureReading how{.most_pixels = 1 << 16};
  std::string whole(bytes);
  if (!bytes.starts_with(start)) whole.insert(0, start);
  try {
    const Picture picture = decode_picture(whole, "fuzz", how);
    fuzz_require(picture.channels == 1 || picture.channels == 3, "other channels");
    fuzz_require(picture.pixels() >= 1 && picture.pixels() <= 1 << 16, "more than allowed");
    fuzz_require(
        picture.bytes.size() == picture.pixels() * static_cast<std::size_t>(picture.channels),
        "a size lies");
    fuzz_require(decode_picture(encode_ppm(picture), "again") == picture, "changed by writing");
  } catch (const Error&) {
  }
}

}  // namespace qkv

// What the readers of the single formats share; qkv/media/picture_file.h is the way in.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "qkv/media/picture_file.h"

namespace qkv {

/// Pixels as they are stored.
struct StoredPicture {
  Picture picture;
  int orientation = 1;       // EXIF's
  bool has_profile = false;  // for other colours than sRGB's, perhaps
};

/// Each throws DataError with `name`, and looks at the limit before it allocates.
StoredPicture decode_png(std::string_view bytes, std::string_view name, const PictureReading& how);
StoredPicture decode_jpeg(std::string_view bytes, std::string_view name, const PictureReading& how);
StoredPicture decode_ppm(std::string_view bytes, std::string_view name, const PictureReading& how);

/// [height width channels] with channels 2 (grey, alpha) or 4, over how.background or white; grey
/// stays grey over a grey background.
Picture over_background(std::span<const std::uint8_t> pixels, int channels, int height, int width,
                        std::string_view name, const PictureReading& how);

}  // namespace qkv

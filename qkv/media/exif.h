// The one tag of EXIF that changes what is seen: how the camera was held. A library would bring the
// notes of all makers along.
#pragma once

#include <string_view>

namespace qkv {

/// Tag 0x0112 of the first directory (IFD0) of a TIFF block, in either byte order: 1 … 8, and 1 for
/// everything else, damage included.
int exif_orientation(std::string_view tiff);

/// What stands in front of a JPEG's picture.
struct JpegHead {
  int orientation = 1;       // of the APP1 block "Exif"
  bool has_profile = false;  // an APP2 block "ICC_PROFILE"
};
/// Walks the segments up to the picture's data; of damage it says nothing, the decoder will.
JpegHead jpeg_head(std::string_view jpeg);

}  // namespace qkv

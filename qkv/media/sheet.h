// Many pictures of one size side by side on one.
#pragma once

#include <span>

#include "qkv/media/picture.h"

namespace qkv {

struct SheetStyle {
  int columns = 8;
  int gap = 2;   // white pixels between neighbours and around all
  int zoom = 0;  // each pixel becomes zoom × zoom; 0: as large as 48 pixels a side allow
};
/// Row by row; places that are left stay white. Throws Error for no picture, for sizes or channels
/// that differ, and where the sheet would be larger than a picture may be.
Picture picture_sheet(std::span<const Picture> pictures, const SheetStyle& style = {});

}  // namespace qkv

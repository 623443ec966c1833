// A picture's channels as numbers, and the Y of super-resolution.
#pragma once

#include "qkv/media/picture.h"
#include "qkv/media/resize.h"

namespace qkv {

/// Channel c, 0 … 255.
Plane plane_of(const Picture& picture, int channel);

/// MATLAB's Y of YCbCr (ITU-R BT.601), 16 + (65.481 R + 128.553 G + 24.966 B)/255, not rounded:
/// 16 … 235. Grey counts as equal R, G and B. JPEG's Y is another.
Plane luma_of(const Picture& picture);

/// To the nearest of 0 … 255 each, half up: numbers as a file would hold them.
void round_to_bytes(Plane& plane);

}  // namespace qkv

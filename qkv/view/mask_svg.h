// A mask as a picture, with the tiles that the kernels cut it into: skipped, full and partial ones
// in three shades, the visible pairs inside.
#pragma once

#include <cstdint>
#include <string>

#include "qkv/attention/mask.h"

namespace qkv {

struct MaskSvgOptions {
  std::string title;             // any text
  std::int64_t query_tile = 64;  // see Explanation
  std::int64_t key_tile = 64;
  int pixels = 320;  // the longer side
};

/// Rows down, keys across. Pairs are drawn while there are few enough rectangles of them; tiles
/// always.
std::string svg_mask(const AttendPlan& plan, const MaskSvgOptions& options);

}  // namespace qkv

// What both ways to run a SwinIR are made of: a batch of whole pictures (swin_ir.cc) and one
// picture in strips of rows (swin_ir_strips.cc).
#pragma once

#include <cstdint>

#include "qkv/models/swin_ir.h"

namespace qkv {

constexpr double kSwinIrBetween = 0.2, kSwinIrTail = 0.01;  // slopes of LeakyReLU

/// Pixels in windows order in and out; while recording, both branches are left out by picture.
Tensor swin_layer(const SwinLayer& m, const Tensor& x, const Windows& windows);

/// x · factor + offset of its channel (the published mean of RGB; others have none).
Tensor swin_ir_moved(const Tensor& x, double factor, double offset);

/// An axis of a picture, filled up to whole windows.
struct SwinIrAxis {
  std::int64_t n, padded;
  bool edge_twice;
  /// Throws ShapeError for an axis without a pixel.
  SwinIrAxis(std::int64_t size, std::int64_t window, SwinIrPadding padding);
  /// The pixel of the picture that stands at place i.
  std::int64_t pixel(std::int64_t i) const;
};

}  // namespace qkv

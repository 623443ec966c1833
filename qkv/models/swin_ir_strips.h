// A SwinIR over one picture of any size in bounded memory, to the bits of the whole picture.
//
// The picture's rows run through the layers from top to bottom. Each layer keeps the few rows that
// it still needs (of a window that is not whole yet, of a 3 × 3 neighbourhood) and hands on what
// nothing below can change any more; a skip keeps its rows until the other branch has them. So
// there are no tiles: no seam, no halo, nothing computed twice. Memory grows with the picture's
// width and the number of layers, not with its height.
#pragma once

#include <cstdint>
#include <functional>

#include "qkv/models/swin_ir.h"

namespace qkv {

struct SwinIrStrips {
  /// Rows [first, first + count) of the picture, [count · cols channels] in [0, 1]. They are asked
  /// for more than once, and at the bottom (where it is mirrored) again from below.
  std::function<Tensor(std::int64_t first, std::int64_t count)> rows;
  /// Takes rows [first, …) of the result, [… · cols · scale channels], in order, not clamped.
  std::function<void(std::int64_t first, const Tensor& y)> take;
};

/// What model(x, {picture}, padding) gives, in strips. `at_once` rows of the picture are fed to the
/// network together, rounded up to whole windows; 0: as many as make some 16,000 pixels. Their
/// number changes no bit. Not differentiable; throws ShapeError for a picture without a pixel.
void run_in_strips(const SwinIr& model, const Grid& picture, const SwinIrStrips& strips,
                   SwinIrPadding padding = SwinIrPadding::reflect, std::int64_t at_once = 0);

/// The same of a picture in memory: x [rows·cols channels] -> [rows·cols·scale² channels].
Tensor restore_pixels(const SwinIr& model, const Tensor& x, const Grid& picture,
                      SwinIrPadding padding = SwinIrPadding::reflect, std::int64_t at_once = 0);

}  // namespace qkv

// Bicubic resizing as MATLAB's imresize does it, which is what papers on super-resolution mean by
// "bicubic": the cubic kernel with a = −½, widened when the picture shrinks, borders mirrored with
// the edge pixel repeated. OpenCV's and PyTorch's are others (a = −¾, or cut at the border).
#pragma once

#include <span>
#include <vector>

#include "qkv/media/picture.h"

namespace qkv {

/// One channel in numbers.
struct Plane {
  int height = 0, width = 0;
  std::vector<double> values;  // [height width]

  Plane() = default;
  Plane(int height_, int width_)
      : height(height_),
        width(width_),
        values(static_cast<std::size_t>(height_) * static_cast<std::size_t>(width_)) {}
};

/// What one place of the output is made of: the sum of weights[i] · input[places[i]].
struct Taps {
  std::vector<int> places;
  std::vector<double> weights;  // they sum to 1
};
/// The taps of the `out` places that `in` become at `scale`: place i looks at u = (i + ½)/scale − ½
/// with the kernel k(x) = 1.5|x|³ − 2.5|x|² + 1 up to 1, −.5|x|³ + 2.5|x|² − 4|x| + 2 up to 2, of
/// scale·(u − j) where scale < 1.
std::vector<Taps> bicubic_taps(int in, int out, double scale);

/// ⌈scale · size⌉; a product that only rounding keeps from a whole number is that number. Throws
/// Error unless 1 to kLongestSide come out.
int scaled_size(int size, double scale);

/// By a scale, the same in both directions. Bytes are rounded (half up) and clamped after each
/// direction, vertical first; numbers never.
Picture resize_bicubic(const Picture& picture, double scale);
Plane resize_bicubic(const Plane& plane, double scale);

/// To a size: each direction has the scale that its sizes give, and the smaller goes first.
Picture resize_bicubic(const Picture& picture, int height, int width);
Plane resize_bicubic(const Plane& plane, int height, int width);

/// The largest top left part whose sides are multiples of `scale`: what shrinks to whole pixels.
/// Throws Error when none is left.
Picture cropped_to_multiple(const Picture& picture, int scale);

}  // namespace qkv

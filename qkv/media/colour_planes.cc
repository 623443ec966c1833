#include "qkv/media/colour_planes.h"

#include <algorithm>
#include <cmath>

namespace qkv {

Plane plane_of(const Picture& picture, int channel) {
  Plane plane(picture.height, picture.width);
  std::ranges::copy(picture.plane(channel), plane.values.begin());
  return plane;
}

Plane luma_of(const Picture& picture) {
  Plane y(picture.height, picture.width);
  const auto red = picture.plane(0), green = picture.plane(picture.channels == 3 ? 1 : 0),
             blue = picture.plane(picture.channels == 3 ? 2 : 0);
  for (std::size_t i = 0; i < y.values.size(); ++i) {
    y.values[i] = 16 + (65.481 * red[i] + 128.553 * green[i] + 24.966 * blue[i]) / 255;
  }
  return y;
}

void round_to_bytes(Plane& plane) {
  for (double& v : plane.values) v = std::floor(std::clamp(v, 0.0, 255.0) + 0.5);
}

}  // namespace qkv

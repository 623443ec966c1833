#include "qkv/media/resize.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"

namespace qkv {
namespace {

double cubic(double x) {
  const double a = std::abs(x);
  if (a <= 1) return (1.5 * a - 2.5) * a * a + 1;
  if (a <= 2) return ((-0.5 * a + 2.5) * a - 4) * a + 2;
  return 0;
}

/// … 1 0 | 0 1 2 … n−1 | n−1 n−2 …
int mirrored(std::int64_t place, int n) {
  const std::int64_t period = 2 * std::int64_t{n};
  const std::int64_t at = (place % period + period) % period;
  return static_cast<int>(at < n ? at : period - 1 - at);
}

/// [height width] numbers of either kind.
template <class T>
struct Grid {
  int height = 0, width = 0;
  std::vector<T> values;
};

void store(double sum, double& to) { to = sum; }
void store(double sum, std::uint8_t& to) {
  to = static_cast<std::uint8_t>(std::floor(std::clamp(sum, 0.0, 255.0) + 0.5));
}

constexpr std::int64_t kRows = 16;  // rows a piece of a parallel loop

template <class T>
Grid<T> down(const Grid<T>& in, const std::vector<Taps>& taps) {
  const auto width = static_cast<std::size_t>(in.width);
  Grid<T> out{static_cast<int>(taps.size()), in.width, std::vector<T>(taps.size() * width)};
  parallel_for(out.height, kRows, [&](std::int64_t first, std::int64_t last) {
    std::vector<double> sums(width);
    for (std::int64_t y = first; y < last; ++y) {
      const Taps& row = taps[static_cast<std::size_t>(y)];
      std::ranges::fill(sums, 0.0);
      for (std::size_t t = 0; t < row.places.size(); ++t) {
        const T* from = in.values.data() + static_cast<std::size_t>(row.places[t]) * width;
        const double weight = row.weights[t];
        for (std::size_t x = 0; x < width; ++x) sums[x] += weight * static_cast<double>(from[x]);
      }
      T* to = out.values.data() + static_cast<std::size_t>(y) * width;
      for (std::size_t x = 0; x < width; ++x) store(sums[x], to[x]);
    }
  });
  return out;
}

template <class T>
Grid<T> across(const Grid<T>& in, const std::vector<Taps>& taps) {
  Grid<T> out{in.height, static_cast<int>(taps.size()),
              std::vector<T>(static_cast<std::size_t>(in.height) * taps.size())};
  parallel_for(in.height, kRows, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t y = first; y < last; ++y) {
      const T* from =
          in.values.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(in.width);
      T* to = out.values.data() + static_cast<std::size_t>(y) * taps.size();
      for (std::size_t x = 0; x < taps.size(); ++x) {
        double sum = 0;
        for (std::size_t t = 0; t < taps[x].places.size(); ++t) {
          sum += taps[x].weights[t] * static_cast<double>(from[taps[x].places[t]]);
        }
        store(sum, to[x]);
      }
    }
  });
  return out;
}

/// How both directions change.
struct Change {
  int height, width;
  double vertical, horizontal;
};

template <class T>
Grid<T> resized(const Grid<T>& in, const Change& change) {
  const auto rows = [&](const Grid<T>& x) {
    return down(x, bicubic_taps(x.height, change.height, change.vertical));
  };
  const auto columns = [&](const Grid<T>& x) {
    return across(x, bicubic_taps(x.width, change.width, change.horizontal));
  };
  return change.vertical <= change.horizontal ? columns(rows(in)) : rows(columns(in));
}

Picture resized(const Picture& picture, const Change& change) {
  Picture out(picture.channels, change.height, change.width);
  for (int c = 0; c < picture.channels; ++c) {
    const auto plane = picture.plane(c);
    const Grid<std::uint8_t> grid{picture.height, picture.width, {plane.begin(), plane.end()}};
    std::ranges::copy(resized(grid, change).values, out.plane(c).begin());
  }
  return out;
}

Plane resized(const Plane& plane, const Change& change) {
  Plane out(change.height, change.width);
  out.values = resized(Grid<double>{plane.height, plane.width, plane.values}, change).values;
  return out;
}

template <class Image>
Image by_scale(const Image& image, double scale) {
  return resized(image,
                 {scaled_size(image.height, scale), scaled_size(image.width, scale), scale, scale});
}

template <class Image>
Image to_size(const Image& image, int height, int width) {
  if (height < 1 || width < 1) fail("resize: to {} × {} pixels", width, height);
  return resized(image, {height, width, static_cast<double>(height) / image.height,
                         static_cast<double>(width) / image.width});
}

}  // namespace

std::vector<Taps> bicubic_taps(int in, int out, double scale) {
  const double stretch = std::min(scale, 1.0), reach = 2 / stretch;
  std::vector<Taps> all(static_cast<std::size_t>(out));
  for (int i = 0; i < out; ++i) {
    Taps& taps = all[static_cast<std::size_t>(i)];
    const double u = (i + 0.5) / scale - 0.5;
    const auto first = static_cast<std::int64_t>(std::ceil(u - reach));
    const auto last = static_cast<std::int64_t>(std::floor(u + reach));
    for (std::int64_t j = first; j <= last; ++j) {
      const double weight = cubic(stretch * (u - static_cast<double>(j)));
      if (weight == 0) continue;
      taps.places.push_back(mirrored(j, in));
      taps.weights.push_back(weight);
    }
    const double sum = std::accumulate(taps.weights.begin(), taps.weights.end(), 0.0);
    for (double& weight : taps.weights) weight /= sum;
  }
  return all;
}

int scaled_size(int size, double scale) {
  const double exact = size * scale, whole = std::round(exact);
  constexpr double kRounding = 1e-9;  // of the size: ⅓ has no exact double
  const double result = std::abs(exact - whole) <= kRounding * whole ? whole : std::ceil(exact);
  if (!(result >= 1 && result <= static_cast<double>(kLongestSide))) {
    fail("resize: {} pixels by {} are {}", size, scale, result);
  }
  return static_cast<int>(result);
}

Picture resize_bicubic(const Picture& picture, double scale) { return by_scale(picture, scale); }
Plane resize_bicubic(const Plane& plane, double scale) { return by_scale(plane, scale); }
Picture resize_bicubic(const Picture& picture, int height, int width) {
  return to_size(picture, height, width);
}
Plane resize_bicubic(const Plane& plane, int height, int width) {
  return to_size(plane, height, width);
}

Picture cropped_to_multiple(const Picture& picture, int scale) {
  if (scale < 1) fail("crop: to a multiple of {}", scale);
  const int height = picture.height - picture.height % scale,
            width = picture.width - picture.width % scale;
  if (height < 1 || width < 1) {
    fail("a picture of {} × {} pixels is too small for scale {}", picture.width, picture.height,
         scale);
  }
  return cropped(picture, 0, 0, height, width);
}

}  // namespace qkv

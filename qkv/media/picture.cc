#include "qkv/media/picture.h"

#include <algorithm>

#include "qkv/base/error.h"

namespace qkv {

Picture::Picture(int channels_, int height_, int width_)
    : channels(channels_), height(height_), width(width_) {
  if (channels != 1 && channels != 3) fail("picture: {} channels; 1 or 3", channels);
  if (height < 1 || width < 1 || height > kLongestSide || width > kLongestSide ||
      std::int64_t{height} * width > kMostPixels) {
    fail("picture: {} × {} pixels", width, height);
  }
  bytes.resize(static_cast<std::size_t>(channels) * pixels());
}

void check_picture_size(std::string_view name, std::int64_t height, std::int64_t width,
                        std::int64_t most) {
  if (height < 1 || width < 1) throw DataError(name, 0, "the picture has no pixels");
  if (height > kLongestSide || width > kLongestSide || height * width > most) {
    throw DataError(name, 0,
                    fmt::format("claims {} × {} pixels; at most {} a side and {} in all are read",
                                width, height, kLongestSide, most));
  }
}

Picture from_interleaved(std::span<const std::uint8_t> pixels, int channels, int height,
                         int width) {
  Picture picture(channels, height, width);
  if (pixels.size() != picture.bytes.size()) fail("picture: {} bytes given", pixels.size());
  const auto step = static_cast<std::size_t>(channels);
  for (int c = 0; c < channels; ++c) {
    std::size_t from = static_cast<std::size_t>(c);
    for (std::uint8_t& byte : picture.plane(c)) {
      byte = pixels[from];
      from += step;
    }
  }
  return picture;
}

std::vector<std::uint8_t> interleaved(const Picture& picture) {
  std::vector<std::uint8_t> pixels(picture.bytes.size());
  const auto step = static_cast<std::size_t>(picture.channels);
  for (int c = 0; c < picture.channels; ++c) {
    std::size_t to = static_cast<std::size_t>(c);
    for (const std::uint8_t byte : picture.plane(c)) {
      pixels[to] = byte;
      to += step;
    }
  }
  return pixels;
}

Picture rgb_of(const Picture& picture) {
  if (picture.channels == 3) return picture;
  Picture rgb(3, picture.height, picture.width);
  for (int c = 0; c < 3; ++c) std::ranges::copy(picture.bytes, rgb.plane(c).begin());
  return rgb;
}

Picture grey_of(const Picture& picture) {
  if (picture.channels == 1) return picture;
  Picture grey(1, picture.height, picture.width);
  const auto red = picture.plane(0), green = picture.plane(1), blue = picture.plane(2);
  for (std::size_t i = 0; i < grey.bytes.size(); ++i) {
    const int sum = 299 * red[i] + 587 * green[i] + 114 * blue[i];
    grey.bytes[i] = static_cast<std::uint8_t>((sum + 500) / 1000);
  }
  return grey;
}

Picture cropped(const Picture& picture, int top, int left, int height, int width) {
  if (top < 0 || left < 0 || height > picture.height - top || width > picture.width - left) {
    fail("picture: {} × {} pixels at ({}, {}) of {} × {}", width, height, left, top, picture.width,
         picture.height);
  }
  Picture part(picture.channels, height, width);
  for (int c = 0; c < part.channels; ++c) {
    for (int y = 0; y < height; ++y) {
      const auto row = picture.plane(c).subspan(
          static_cast<std::size_t>(top + y) * static_cast<std::size_t>(picture.width) +
              static_cast<std::size_t>(left),
          static_cast<std::size_t>(width));
      std::ranges::copy(row, part.plane(c).begin() + std::ptrdiff_t{y} * width);
    }
  }
  return part;
}

Picture turned(const Picture& picture, int orientation) {
  if (orientation < 2 || orientation > 8) return picture;
  const bool swap = orientation >= 5;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  Picture out(picture.channels, swap ? picture.width : picture.height,
              swap ? picture.height : picture.width);
  for (int c = 0; c < out.channels; ++c) {
    for (int y = 0; y < out.height; ++y) {
      for (int x = 0; x < out.width; ++x) {
        const int from_y = swap ? x : y, from_x = swap ? y : x;
        out.at(c, y, x) = picture.at(c, flip_y ? picture.height - 1 - from_y : from_y,
                                     flip_x ? picture.width - 1 - from_x : from_x);
      }
    }
  }
  return out;
}

}  // namespace qkv

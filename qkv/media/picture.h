// A picture as every reader of this room gives it: bytes, grey or RGB, planes one after another.
// The values are those of the file; colour profiles and gamma count nowhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace qkv {

/// Pixels that a side, and a picture, may have; a file that claims more is refused before anything
/// is allocated.
inline constexpr std::int64_t kLongestSide = std::int64_t{1} << 16;
inline constexpr std::int64_t kMostPixels = std::int64_t{1} << 28;

struct Rgb {
  std::uint8_t red = 0, green = 0, blue = 0;
  friend bool operator==(const Rgb&, const Rgb&) = default;
};

struct Picture {
  int channels = 0;  // 1 (grey) or 3 (red, green, blue)
  int height = 0, width = 0;
  std::vector<std::uint8_t> bytes;  // [channels height width]

  Picture() = default;
  /// Black. Throws Error for other channels, an empty side or sizes beyond the limits.
  Picture(int channels, int height, int width);

  std::size_t pixels() const {
    return static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  }
  std::span<const std::uint8_t> plane(int channel) const {
    return {bytes.data() + static_cast<std::size_t>(channel) * pixels(), pixels()};
  }
  std::span<std::uint8_t> plane(int channel) {
    return {bytes.data() + static_cast<std::size_t>(channel) * pixels(), pixels()};
  }
  std::uint8_t& at(int channel, int y, int x) { return bytes[index(channel, y, x)]; }
  std::uint8_t at(int channel, int y, int x) const { return bytes[index(channel, y, x)]; }
  friend bool operator==(const Picture&, const Picture&) = default;

 private:
  std::size_t index(int channel, int y, int x) const {
    return static_cast<std::size_t>(channel) * pixels() +
           static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
           static_cast<std::size_t>(x);
  }
};

/// Throws DataError, naming the file, for an empty side, a side above kLongestSide or more pixels
/// than `most`.
void check_picture_size(std::string_view name, std::int64_t height, std::int64_t width,
                        std::int64_t most = kMostPixels);

/// From and to pixels one after another: [height width channels].
Picture from_interleaved(std::span<const std::uint8_t> pixels, int channels, int height, int width);
std::vector<std::uint8_t> interleaved(const Picture& picture);

/// Three channels: grey is replicated.
Picture rgb_of(const Picture& picture);
/// One channel: JPEG's Y of red, green and blue, .299 R + .587 G + .114 B, rounded.
Picture grey_of(const Picture& picture);

/// The part of height × width pixels below and right of (top, left), which must lie inside.
Picture cropped(const Picture& picture, int top, int left, int height, int width);

/// As EXIF's orientation 1 … 8 says that the stored pixels are to be shown; other numbers are 1.
Picture turned(const Picture& picture, int orientation);

}  // namespace qkv

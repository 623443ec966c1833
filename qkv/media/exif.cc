#include "qkv/media/exif.h"

#include <cstddef>
#include <cstdint>

namespace qkv {
namespace {

using namespace std::string_view_literals;

/// Numbers of a TIFF block; 0 beyond its end.
class Tiff {
 public:
  Tiff(std::string_view bytes, bool little) : bytes_(bytes), little_(little) {}

  std::uint32_t number(std::uint64_t at, std::size_t size) const {
    if (at + size > bytes_.size()) return 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t place = static_cast<std::size_t>(at) + (little_ ? size - 1 - i : i);
      value = value << 8 | static_cast<unsigned char>(bytes_[place]);
    }
    return value;
  }

 private:
  std::string_view bytes_;
  bool little_;
};

}  // namespace

int exif_orientation(std::string_view bytes) {
  const bool little = bytes.starts_with("II*\0"sv);
  if (!little && !bytes.starts_with("MM\0*"sv)) return 1;
  const Tiff tiff(bytes, little);
  constexpr std::uint32_t kOrientation = 0x0112, kShort = 3;
  constexpr std::uint64_t kEntry = 12;  // tag, type, count, value
  const std::uint64_t directory = tiff.number(4, 4);
  const std::uint32_t entries = tiff.number(directory, 2);
  for (std::uint64_t i = 0; i < entries; ++i) {
    const std::uint64_t entry = directory + 2 + i * kEntry;
    if (tiff.number(entry, 2) != kOrientation) continue;
    if (tiff.number(entry + 2, 2) != kShort || tiff.number(entry + 4, 4) != 1) return 1;
    const auto value = static_cast<int>(tiff.number(entry + 8, 2));
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

JpegHead jpeg_head(std::string_view jpeg) {
  JpegHead head;
  constexpr unsigned char kMark = 0xFF, kApp1 = 0xE1, kApp2 = 0xE2, kScan = 0xDA, kEnd = 0xD9;
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(jpeg[at]); };
  bool found = false;
  for (std::size_t at = 2; at + 4 <= jpeg.size() && byte(at) == kMark;) {
    const unsigned char marker = byte(at + 1);
    if (marker == kMark) {  // filling
      ++at;
      continue;
    }
    if (marker == kScan || marker == kEnd) break;
    const std::size_t length = static_cast<std::size_t>(byte(at + 2)) << 8 | byte(at + 3);
    if (length < 2) break;
    std::string_view body = jpeg.substr(at + 4).substr(0, length - 2);
    if (marker == kApp1 && !found && body.starts_with("Exif\0\0"sv)) {
      found = true;
      head.orientation = exif_orientation(body.substr(6));
    }
    if (marker == kApp2 && body.starts_with("ICC_PROFILE\0"sv)) head.has_profile = true;
    at += 2 + length;
  }
  return head;
}

}  // namespace qkv

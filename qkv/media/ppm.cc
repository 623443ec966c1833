// Netpbm's binary portable maps: what tests and pipes need, without loss and without a library.
#include <algorithm>
#include <cctype>

#include "qkv/base/error.h"
#include "qkv/base/notice.h"
#include "qkv/media/picture_formats.h"

namespace qkv {
namespace {

/// The numbers of the header: white space and comments ("#" to the line's end) in front of each.
class Header {
 public:
  Header(std::string_view bytes, std::string_view name) : bytes_(bytes), name_(name) {}

  std::int64_t number(const char* what) {
    skip();
    constexpr std::int64_t kMost = 1'000'000'000;
    std::int64_t value = 0;
    const std::size_t begin = at_;
    while (at_ < bytes_.size() && std::isdigit(static_cast<unsigned char>(bytes_[at_])) != 0) {
      value = std::min(kMost, value * 10 + (bytes_[at_] - '0'));
      ++at_;
    }
    if (at_ == begin) {
      throw DataError(name_, 0, fmt::format("the header of the portable map has no {}", what));
    }
    return value;
  }
  /// The pixels, behind one character of white space.
  std::string_view rest() {
    if (at_ >= bytes_.size() || !space(bytes_[at_])) {
      throw DataError(name_, 0, "the header of the portable map does not end in white space");
    }
    return bytes_.substr(at_ + 1);
  }

 private:
  static bool space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
  void skip() {
    while (at_ < bytes_.size() && (space(bytes_[at_]) || bytes_[at_] == '#')) {
      at_ = bytes_[at_] == '#' ? std::min(bytes_.find('\n', at_), bytes_.size()) : at_ + 1;
    }
  }

  std::string_view bytes_, name_;
  std::size_t at_ = 2;
};

}  // namespace

StoredPicture decode_ppm(std::string_view bytes, std::string_view name, const PictureReading& how) {
  Header header(bytes, name);
  const int channels = bytes[1] == '5' ? 1 : 3;
  const std::int64_t width = header.number("width"), height = header.number("height"),
                     most = header.number("largest value");
  check_picture_size(name, height, width, how.most_pixels);
  if (most < 1 || most > 65535) {
    throw DataError(name, 0, fmt::format("its largest value is {}; 1 to 65535", most));
  }
  const std::string_view data = header.rest();
  const std::size_t each = most > 255 ? 2 : 1;
  const std::size_t values = static_cast<std::size_t>(width * height * channels);
  if (data.size() < values * each) {
    throw DataError(name, 0,
                    fmt::format("{} × {} pixels are {} bytes, {} are there; it is cut short", width,
                                height, values * each, data.size()));
  }
  if (data.size() > values * each) {
    notice(fmt::format("{}: {} bytes behind its picture are passed over", name,
                       data.size() - values * each));
  }
  std::vector<std::uint8_t> pixels(values);
  for (std::size_t i = 0; i < values; ++i) {
    std::int64_t value = static_cast<unsigned char>(data[i * each]);
    if (each == 2) value = value << 8 | static_cast<unsigned char>(data[2 * i + 1]);
    if (value > most) {
      throw DataError(name, 0, fmt::format("has the value {}, its largest is {}", value, most));
    }
    pixels[i] = static_cast<std::uint8_t>((value * 255 * 2 + most) / (2 * most));
  }
  return {from_interleaved(pixels, channels, static_cast<int>(height), static_cast<int>(width))};
}

std::string encode_ppm(const Picture& picture) {
  std::string bytes = fmt::format("P{}\n{} {}\n255\n", picture.channels == 1 ? 5 : 6, picture.width,
                                  picture.height);
  const std::vector<std::uint8_t> pixels = interleaved(picture);
  return bytes.append(reinterpret_cast<const char*>(pixels.data()), pixels.size());
}

}  // namespace qkv

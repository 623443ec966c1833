#include "qkv/media/picture_file.h"

#include <algorithm>
#include <atomic>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/notice.h"
#include "qkv/media/picture_formats.h"
#include "qkv/media/png.h"

namespace qkv {
namespace {

using namespace std::string_view_literals;

/// What a file is that is none of ours, for the message.
std::string_view other_kind(std::string_view bytes) {
  struct Kind {
    std::string_view start, name;
  };
  static constexpr Kind kKinds[] = {{"GIF8"sv, "a GIF"},
                                    {"BM"sv, "a BMP"},
                                    {"II*\0"sv, "a TIFF"},
                                    {"MM\0*"sv, "a TIFF"},
                                    {"P1"sv, "a bit map (P1)"},
                                    {"P2"sv, "a portable map in plain text (P2)"},
                                    {"P3"sv, "a portable map in plain text (P3)"},
                                    {"P4"sv, "a bit map (P4)"},
                                    {"P7"sv, "a portable map with any channels (P7)"}};
  for (const Kind& kind : kKinds) {
    if (bytes.starts_with(kind.start)) return kind.name;
  }
  if (bytes.starts_with("RIFF") &&
      bytes.substr(std::min<std::size_t>(8, bytes.size())).starts_with("WEBP")) {
    return "a WebP";
  }
  return "no picture that is known here";
}

StoredPicture decode(std::string_view bytes, std::string_view name, const PictureReading& how) {
  if (bytes.empty()) throw DataError(name, 0, "is empty, expected a picture");
  if (bytes.starts_with("\x89PNG")) return decode_png(bytes, name, how);
  if (bytes.starts_with("\xFF\xD8")) return decode_jpeg(bytes, name, how);
  if (bytes.starts_with("P5") || bytes.starts_with("P6")) return decode_ppm(bytes, name, how);
  throw DataError(name, 0,
                  fmt::format("is {}; PNG, JPEG, PGM (P5) and PPM (P6) are read: convert it, e.g. "
                              "with ImageMagick",
                              other_kind(bytes)));
}

}  // namespace

Picture over_background(std::span<const std::uint8_t> pixels, int channels, int height, int width,
                        std::string_view name, const PictureReading& how) {
  const int colours = channels - 1;
  const Rgb behind = how.background.value_or(Rgb{255, 255, 255});
  const bool grey = colours == 1 && behind.red == behind.green && behind.red == behind.blue;
  Picture out(grey ? 1 : 3, height, width);
  const std::uint8_t back[] = {behind.red, behind.green, behind.blue};
  bool seen = false;
  for (int c = 0; c < out.channels; ++c) {
    const auto step = static_cast<std::size_t>(channels);
    const std::uint8_t* from = pixels.data();
    const int colour = std::min(c, colours - 1);
    for (std::uint8_t& byte : out.plane(c)) {
      const int alpha = from[colours];
      seen = seen || alpha != 255;
      byte =
          static_cast<std::uint8_t>((from[colour] * alpha + back[c] * (255 - alpha) + 127) / 255);
      from += step;
    }
  }
  static std::atomic<bool> said = false;
  if (seen && !how.background && !said.exchange(true)) {
    notice(fmt::format("{}: has transparent places, which are shown over white (said once)", name));
  }
  return out;
}

Picture read_picture(const std::filesystem::path& path, const PictureReading& how) {
  return decode_picture(read_file(path), path.string(), how);
}

Picture decode_picture(std::string_view bytes, std::string_view name, const PictureReading& how) {
  if (how.channels != 0 && how.channels != 1 && how.channels != 3) {
    fail("picture: {} channels; 1 or 3", how.channels);
  }
  StoredPicture stored = decode(bytes, name, how);
  static std::atomic<bool> said = false;
  if (stored.has_profile && !said.exchange(true)) {
    notice(fmt::format("{}: its colour profile is passed over (said once)", name));
  }
  Picture picture = how.turn && stored.orientation != 1 ? turned(stored.picture, stored.orientation)
                                                        : std::move(stored.picture);
  if (how.channels == 0 || how.channels == picture.channels) return picture;
  return how.channels == 3 ? rgb_of(picture) : grey_of(picture);
}

void check_picture_name(const std::filesystem::path& path, int channels) {
  const std::string ending = path.extension().string(), own = channels == 1 ? ".pgm" : ".ppm";
  if (ending == ".png" || ending == ".pnm" || ending == own) return;
  fail<UsageError>("{}: a picture is written as .png, .pnm or {}", path.string(),
                   channels == 1 ? ".pgm (it is grey)" : ".ppm");
}

void save_picture(const Picture& picture, const std::filesystem::path& path) {
  check_picture_name(path, picture.channels);
  write_file(path, path.extension() == ".png" ? encode_png(picture) : encode_ppm(picture));
}

}  // namespace qkv

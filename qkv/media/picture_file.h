// Pictures from files and into them. What a file is, its bytes say and not its name: PNG of every
// kind, JPEG, and the portable maps P5 (PGM) and P6 (PPM).
//
// Read as: palettes become RGB; 16 bits become 8 by rounding v·255/65535; a grey file has one
// channel; transparency is shown over a background; EXIF's orientation is followed; colour profiles
// and gamma are passed over. JPEG pixels differ by 1 to 3 between decoders; these are
// libjpeg-turbo's.
//
// What somebody should know goes to notice(): a JPEG that is cut short, and once in a process that
// a file has transparency (when no background was given) or a colour profile.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "qkv/media/picture.h"

namespace qkv {

struct PictureReading {
  int channels = 0;                    // 1 or 3; 0: as the file has them
  std::optional<Rgb> background = {};  // behind transparent places; default: white
  bool turn = true;                    // as EXIF's orientation says
  std::int64_t most_pixels = kMostPixels;
};

/// Throws FileError when the file cannot be read, DataError (naming it) when it is no picture of
/// these kinds, is damaged or too large, or is a CMYK JPEG. A PNG or portable map that is cut short
/// is an error; a JPEG is shown as far as it goes.
Picture read_picture(const std::filesystem::path& path, const PictureReading& how = {});
/// The same from a file's bytes; `name` is what messages call it.
Picture decode_picture(std::string_view bytes, std::string_view name,
                       const PictureReading& how = {});

/// By the name's ending: .png (8 bits), .ppm (RGB), .pgm (grey) or .pnm (either). Throws UsageError
/// for another ending, and FileError as write_file() does.
void save_picture(const Picture& picture, const std::filesystem::path& path);
/// Throws UsageError where save_picture() would, for a picture that is yet to be made.
void check_picture_name(const std::filesystem::path& path, int channels);
std::string encode_ppm(const Picture& picture);
/// As JPEG of a quality from 1 to 100, colours at half the resolution as cameras and OpenCV write
/// them. For training what undoes its losses; throws Error for another quality.
std::string encode_jpeg(const Picture& picture, int quality);

}  // namespace qkv

// PNG by libpng's rows: the simplified interface would take a 16-bit file without gAMA for linear
// light, and would apply gAMA; here bytes are as they are.
#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstring>

#include <png.h>

#include "qkv/base/error.h"
#include "qkv/media/exif.h"
#include "qkv/media/picture_formats.h"

namespace qkv {
namespace {

/// All that lives while libpng reads. It leaves its functions by longjmp, so the steps below own
/// nothing that would have to be destroyed.
struct Reading {
  explicit Reading(std::string_view bytes_) : bytes(bytes_) {}
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading() { png_destroy_read_struct(&png, &info, nullptr); }

  png_structp png = nullptr;
  png_infop info = nullptr;
  std::string_view bytes;
  std::array<char, 160> message = {};
  png_uint_32 width = 0, height = 0;
  std::size_t stored_row = 0;  // bytes a row has in the file, without its filter
  int channels = 0, passes = 1;
  std::vector<std::uint8_t> pixels;  // [height width channels]
};

void keep_message(png_structp png, png_const_charp text) {
  auto* reading = static_cast<Reading*>(png_get_error_ptr(png));
  std::strncpy(reading->message.data(), text, reading->message.size() - 1);
  png_longjmp(png, 1);
}
void ignore_warning(png_structp /*png*/, png_const_charp /*text*/) {}

void next_bytes(png_structp png, png_bytep to, std::size_t count) {
  auto* reading = static_cast<Reading*>(png_get_io_ptr(png));
  if (reading->bytes.size() < count) png_error(png, "the file is cut short; copy it again");
  std::memcpy(to, reading->bytes.data(), count);
  reading->bytes.remove_prefix(count);
}

/// False when libpng gave up; `message` says why.
bool attempt(Reading& r, void (*step)(Reading&)) {
  if (setjmp(png_jmpbuf(r.png)) != 0) return false;
  step(r);
  return true;
}

void read_head(Reading& r) {
  png_set_user_limits(r.png, static_cast<png_uint_32>(kLongestSide),
                      static_cast<png_uint_32>(kLongestSide));
  png_read_info(r.png, r.info);
  r.width = png_get_image_width(r.png, r.info);
  r.height = png_get_image_height(r.png, r.info);
  r.stored_row = png_get_rowbytes(r.png, r.info);
  png_set_expand(r.png);    // palettes, few bits and a transparent colour
  png_set_scale_16(r.png);  // rounds; png_set_strip_16 would cut
  r.passes = png_set_interlace_handling(r.png);
  png_read_update_info(r.png, r.info);
  r.channels = png_get_channels(r.png, r.info);
}

void read_rows(Reading& r) {
  const std::size_t row = png_get_rowbytes(r.png, r.info);
  for (int pass = 0; pass < r.passes; ++pass) {
    for (png_uint_32 y = 0; y < r.height; ++y) {
      png_read_row(r.png, r.pixels.data() + std::size_t{y} * row, nullptr);
    }
  }
  png_read_end(r.png, r.info);
}

std::string_view exif_of(Reading& r) {
  png_uint_32 size = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(r.png, r.info, &size, &exif) == 0 || exif == nullptr) return {};
  return {reinterpret_cast<const char*>(exif), size};
}

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i)
    number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

/// Before libpng is asked: its own message would not say how large the picture is.
void check_claim(std::string_view bytes, std::string_view name, const PictureReading& how) {
  constexpr std::size_t kWidth = 16, kHeight = 20;  // behind signature, length and "IHDR"
  if (bytes.size() < kHeight + 4) throw DataError(name, 0, "the PNG is cut short; copy it again");
  check_picture_size(name, big_endian(bytes, kHeight), big_endian(bytes, kWidth), how.most_pixels);
}

/// Deflate packs 1032 bytes into one at best.
void check_content(const Reading& r, std::size_t size, std::string_view name) {
  constexpr std::uint64_t kBest = 1032;
  if ((std::uint64_t{r.stored_row} + 1) * r.height <= kBest * size) return;
  throw DataError(name, 0,
                  fmt::format("claims {} × {} pixels, more than its {} bytes can hold; it is "
                              "damaged or cut short",
                              r.width, r.height, size));
}

}  // namespace

StoredPicture decode_png(std::string_view bytes, std::string_view name, const PictureReading& how) {
  check_claim(bytes, name, how);
  Reading r(bytes);
  r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, keep_message, ignore_warning);
  if (r.png != nullptr) r.info = png_create_info_struct(r.png);
  if (r.info == nullptr) fail("{}: libpng has no memory", name);
  png_set_read_fn(r.png, &r, next_bytes);
  const auto must = [&](void (*step)(Reading&)) {
    if (!attempt(r, step)) throw DataError(name, 0, fmt::format("PNG: {}", r.message.data()));
  };
  must(read_head);
  check_content(r, bytes.size(), name);
  r.pixels.resize(std::size_t{r.width} * r.height * static_cast<std::size_t>(r.channels));
  must(read_rows);
  const int height = static_cast<int>(r.height), width = static_cast<int>(r.width);
  StoredPicture stored;
  stored.picture = r.channels % 2 == 0
                       ? over_background(r.pixels, r.channels, height, width, name, how)
                       : from_interleaved(r.pixels, r.channels, height, width);
  stored.orientation = exif_orientation(exif_of(r));
  stored.has_profile = png_get_valid(r.png, r.info, PNG_INFO_iCCP) != 0;
  return stored;
}

}  // namespace qkv

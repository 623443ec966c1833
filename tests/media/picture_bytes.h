// Picture files that our own writers do not make, by the libraries themselves.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <png.h>
#include <turbojpeg.h>

#include "qkv/media/picture.h"

namespace qkv {

struct PngRecipe {
  int width = 1, height = 1, bits = 8, kind = PNG_COLOR_TYPE_RGB;
  bool interlaced = false;
  std::vector<std::uint8_t> rows;  // as libpng takes them, one after another
  std::function<void(png_structp, png_infop)> more = [](png_structp, png_infop) {};
};

inline std::string png_bytes(PngRecipe recipe) {
  std::string bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &bytes,
      [](png_structp to, png_bytep data, std::size_t size) {
        static_cast<std::string*>(png_get_io_ptr(to))
            ->append(reinterpret_cast<const char*>(data), size);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(recipe.width),
               static_cast<png_uint_32>(recipe.height), recipe.bits, recipe.kind,
               recipe.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  recipe.more(png, info);
  png_write_info(png, info);
  std::vector<png_bytep> rows;
  const std::size_t row = recipe.rows.size() / static_cast<std::size_t>(recipe.height);
  for (int y = 0; y < recipe.height; ++y) {
    rows.push_back(recipe.rows.data() + static_cast<std::size_t>(y) * row);
  }
  png_write_image(png, rows.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

/// A TIFF block with one entry, the orientation.
inline std::string exif_block(bool little, int orientation) {
  const auto number = [little](std::uint32_t value, int size) {
    std::string bytes;
    for (int i = 0; i < size; ++i) {
      bytes += static_cast<char>(value >> 8 * (little ? i : size - 1 - i) & 0xFF);
    }
    return bytes;
  };
  return (little ? "II" : "MM") + number(42, 2) + number(8, 4) + number(1, 2) + number(0x0112, 2) +
         number(3, 2) + number(1, 4) + number(static_cast<std::uint32_t>(orientation), 2) +
         number(0, 2) + number(0, 4);
}

/// A segment FF `marker` of a JPEG.
inline std::string jpeg_segment(unsigned char marker, const std::string& body) {
  const std::size_t length = body.size() + 2;
  return std::string{'\xFF', static_cast<char>(marker), static_cast<char>(length >> 8),
                     static_cast<char>(length & 0xFF)} +
         body;
}

/// A JPEG of interleaved pixels; `segments` stand behind its first marker.
inline std::string jpeg_bytes(const std::vector<std::uint8_t>& pixels, int width, int height,
                              int format = TJPF_RGB, const std::string& segments = "",
                              int sampling = TJSAMP_444, int flags = 0) {
  tjhandle handle = tjInitCompress();
  unsigned char* data = nullptr;
  unsigned long size = 0;  // NOLINT: turbojpeg's type
  const int status = tjCompress2(handle, pixels.data(), width, 0, height, format, &data, &size,
                                 sampling, 95, flags);
  std::string bytes = status == 0 ? std::string(reinterpret_cast<char*>(data), size) : "";
  tjFree(data);
  tjDestroy(handle);
  return bytes.empty() ? bytes : bytes.insert(2, segments);
}

}  // namespace qkv

#include "qkv/view/canvas.h"

#include <algorithm>

#include <png.h>
#include <zlib.h>

#include "qkv/base/error.h"
#include "qkv/view/font.h"

namespace qkv {
namespace {

void append_number(std::string& bytes, std::uint32_t number) {
  for (int shift : {24, 16, 8, 0}) bytes += static_cast<char>(number >> shift & 0xFF);
}

// An iTXt chunk: keyword, not compressed, no language, no translated keyword, UTF-8.
std::string text_chunk(const std::string& keyword, const std::string& text) {
  std::string body = "iTXt" + keyword;
  body.append(5, '\0');
  body += text;
  std::string chunk;
  append_number(chunk, static_cast<std::uint32_t>(body.size() - 4));
  chunk += body;
  append_number(chunk,
                static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()),
                                                 static_cast<uInt>(body.size()))));
  return chunk;
}

}  // namespace

Canvas::Canvas(int width, int height, Colour background) : width_(width), height_(height) {
  // 64 million pixels are 192 MB; a heat map needs a hundredth.
  if (width < 1 || height < 1 || static_cast<std::int64_t>(width) * height > 64'000'000) {
    fail("picture: {} × {} pixels", width, height);
  }
  pixels_.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
  fill(0, 0, width, height, background);
}

void Canvas::fill(int x, int y, int width, int height, Colour colour) {
  const int right = std::min(x + width, width_), bottom = std::min(y + height, height_);
  for (int py = std::max(y, 0); py < bottom; ++py) {
    for (int px = std::max(x, 0); px < right; ++px) {
      const std::size_t at = (static_cast<std::size_t>(py) * static_cast<std::size_t>(width_) +
                              static_cast<std::size_t>(px)) *
                             3;
      pixels_[at] = colour.red;
      pixels_[at + 1] = colour.green;
      pixels_[at + 2] = colour.blue;
    }
  }
}

void Canvas::text(int x, int y, std::string_view text, Colour colour, int scale, Turn turn) {
  const auto glyphs = glyphs_of(text);
  if (!glyphs) return;
  int along = 0;
  for (const Glyph& glyph : *glyphs) {
    for (std::size_t gy = 0; gy < kGlyphRows; ++gy) {
      for (std::size_t gx = 0; gx < kGlyphWidth; ++gx) {
        if (!glyph.at(gx, gy)) continue;
        const int a = along + static_cast<int>(gx) * scale;
        const int down = (static_cast<int>(gy) - static_cast<int>(kGlyphAbove)) * scale;
        if (turn == Turn::none) {
          fill(x + a, y + down, scale, scale, colour);
        } else {
          fill(x + down, y - a - scale, scale, scale, colour);
        }
      }
    }
    along += static_cast<int>(kGlyphAdvance) * scale;
  }
}

std::string Canvas::png(std::span<const std::pair<std::string, std::string>> texts) const {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width_);
  image.height = static_cast<png_uint_32>(height_);
  image.format = PNG_FORMAT_RGB;
  std::string bytes(PNG_IMAGE_PNG_SIZE_MAX(image), '\0');
  png_alloc_size_t size = bytes.size();
  if (!png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels_.data(), 0, nullptr)) {
    fail("picture: {}", image.message);
  }
  bytes.resize(size);
  std::string chunks;
  for (const auto& [keyword, text] : texts) chunks += text_chunk(keyword, text);
  constexpr std::size_t kAfterHeader = 8 + 25;  // signature and IHDR, which must come first
  return bytes.insert(kAfterHeader, chunks);
}

int text_pixels(std::string_view text, int scale) {
  const auto glyphs = glyphs_of(text);
  if (!glyphs) return -1;
  return static_cast<int>(glyphs->size() * kGlyphAdvance) * scale;
}

}  // namespace qkv

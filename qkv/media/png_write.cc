#include <png.h>
#include <zlib.h>

#include "qkv/base/error.h"
#include "qkv/media/png.h"

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

std::string encode_png(std::span<const std::uint8_t> pixels, int channels, int height, int width,
                       std::span<const PngText> texts) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  std::string bytes(PNG_IMAGE_PNG_SIZE_MAX(image), '\0');
  png_alloc_size_t size = bytes.size();
  if (!png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels.data(), 0, nullptr)) {
    fail("picture: {}", image.message);
  }
  bytes.resize(size);
  std::string chunks;
  for (const auto& [keyword, text] : texts) chunks += text_chunk(keyword, text);
  constexpr std::size_t kAfterHeader = 8 + 25;  // signature and IHDR, which must come first
  return bytes.insert(kAfterHeader, chunks);
}

std::string encode_png(const Picture& picture) {
  return encode_png(interleaved(picture), picture.channels, picture.height, picture.width);
}

}  // namespace qkv

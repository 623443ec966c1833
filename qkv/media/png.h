// Writing PNG, 8 bits a channel, grey or RGB: the one writer of the house.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "qkv/media/picture.h"

namespace qkv {

/// A text chunk: (keyword, UTF-8 text).
using PngText = std::pair<std::string, std::string>;

/// The bytes of the file; pixels are [height width channels]. Throws Error when libpng fails.
std::string encode_png(std::span<const std::uint8_t> pixels, int channels, int height, int width,
                       std::span<const PngText> texts = {});
std::string encode_png(const Picture& picture);

}  // namespace qkv

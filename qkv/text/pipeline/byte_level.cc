#include "qkv/text/pipeline/byte_level.h"

#include <array>
#include <cstdint>

#include "qkv/text/pipeline/unicode.h"

namespace qkv::pipeline {
namespace {

constexpr std::size_t kCharacters = 0x144;  // U+0100 and 68 more

struct Table {
  std::array<std::string, 256> characters;
  std::array<std::int16_t, kCharacters> bytes;

  Table() {
    bytes.fill(-1);
    char32_t next = 0x100;
    for (unsigned b = 0; b < 256; ++b) {
      const bool printable = (b > 0x20 && b < 0x7F) || (b > 0xA0 && b != 0xAD);
      const char32_t c = printable ? static_cast<char32_t>(b) : next++;
      append(characters[b], c);
      bytes[c] = static_cast<std::int16_t>(b);
    }
  }
};

const Table& table() {
  static const Table made;
  return made;
}

}  // namespace

std::string_view character_of_byte(unsigned char byte) { return table().characters[byte]; }

bool append_bytes_of(std::string_view characters, std::string& bytes) {
  const std::size_t before = bytes.size();
  bool all = true;
  for_each_point(characters, [&](const CodePoint& c) {
    const int byte = c.value < kCharacters ? table().bytes[c.value] : -1;
    all = all && byte >= 0;
    if (all) bytes += static_cast<char>(byte);
  });
  if (!all) bytes.resize(before);
  return all;
}

}  // namespace qkv::pipeline

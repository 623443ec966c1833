// SentencePiece models that no trainer makes.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

namespace qkv {

/// Cuts text into these letters and adds no space before it; all else is unknown.
inline std::string letters_model(const std::vector<std::string>& letters) {
  const auto varint = [](std::uint64_t n) {
    std::string bytes;
    for (; n >= 0x80; n >>= 7) bytes += static_cast<char>(0x80 | (n & 0x7F));
    return bytes + static_cast<char>(n);
  };
  const auto number = [&](std::uint64_t field, std::uint64_t n) {
    return varint(field << 3) + varint(n);
  };
  const auto bytes = [&](std::uint64_t field, const std::string& b) {
    return varint(field << 3 | 2) + varint(b.size()) + b;
  };
  const auto piece = [&](const std::string& text, float score, std::uint64_t type) {
    const auto bits = std::bit_cast<std::uint32_t>(score);
    std::string fixed;
    for (int i = 0; i < 4; ++i) fixed += static_cast<char>(bits >> (8 * i) & 0xFF);
    return bytes(1, bytes(1, text) + varint(2 << 3 | 5) + fixed + number(3, type));
  };
  constexpr std::uint64_t kNormal = 1, kUnknown = 2, kControl = 3, kCharacters = 4;
  std::string model =
      piece("<unk>", 0, kUnknown) + piece("<s>", 0, kControl) + piece("</s>", 0, kControl);
  float score = 0;
  for (const std::string& letter : letters) model += piece(letter, --score, kNormal);
  model += bytes(2, number(3, kCharacters) + number(4, letters.size() + 3));
  return model + bytes(3, bytes(1, "identity") + number(3, 0) + number(4, 1) + number(5, 1));
}

}  // namespace qkv

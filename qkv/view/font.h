// A bitmap font of our own for pictures made without a font library: ASCII and the Latin letters of
// western and central Europe, 5 pixels wide and 7 high, with room for marks above and below.
#pragma once

#include <bitset>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace qkv {

inline constexpr std::size_t kGlyphWidth = 5;
inline constexpr std::size_t kGlyphHeight = 7;                             // of a capital
inline constexpr std::size_t kGlyphAbove = 2;                              // lines above it
inline constexpr std::size_t kGlyphRows = kGlyphAbove + kGlyphHeight + 1;  // and one below
inline constexpr std::size_t kGlyphAdvance = kGlyphWidth + 1;

struct Glyph {
  std::bitset<kGlyphWidth * kGlyphRows> bits;

  bool at(std::size_t x, std::size_t y) const { return bits[y * kGlyphWidth + x]; }
  void set(std::size_t x, std::size_t y, bool on) { bits[y * kGlyphWidth + x] = on; }
};

/// One glyph a character, or nothing when the font lacks one of them.
std::optional<std::vector<Glyph>> glyphs_of(std::string_view text);

}  // namespace qkv

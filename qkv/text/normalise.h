// Text as tokenisers see it: valid UTF-8, optionally in Unicode normal form NFKC and lower case,
// cut into code points or characters. All functions are pure and take any bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

struct Normalisation {
  bool nfkc = false;   // full-width forms, ligatures, circled digits … become their plain forms
  bool lower = false;  // Unicode simple lower case, after NFKC

  bool operator==(const Normalisation&) const = default;
};

/// Offset of the first byte that is not part of valid UTF-8 (overlong forms, surrogates and values
/// above U+10FFFF are invalid); nothing when all bytes are fine.
std::optional<std::size_t> first_bad_byte(std::string_view text);

/// Each bad byte becomes U+FFFD.
std::string repair_utf8(std::string_view text);

/// Repaired, then NFKC, then lower case, as asked for. The result is always valid UTF-8.
std::string normalise(std::string_view text, Normalisation how);

/// A code point and the bytes it stands for. A bad byte reads as U+FFFD of one byte.
struct CodePoint {
  char32_t value;
  std::string_view bytes;
};
/// The first code point of a text that is not empty.
CodePoint first_code_point(std::string_view text);
std::vector<CodePoint> code_points(std::string_view text);

/// What a reader takes for one character: extended grapheme clusters (UAX 29), so that an accent,
/// a skin tone or a flag is never torn apart. Views into `text`; joined they give it back.
std::vector<std::string_view> characters(std::string_view text);

}  // namespace qkv

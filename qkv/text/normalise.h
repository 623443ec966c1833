// Text as tokenisers see it: valid UTF-8, optionally in Unicode normal form NFKC and lower case,
// cut into code points or characters. All functions are pure and take any bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "qkv/base/utf8.h"

namespace qkv {

struct Normalisation {
  bool nfkc = false;   // full-width forms, ligatures, circled digits … become their plain forms
  bool lower = false;  // Unicode simple lower case, after NFKC

  bool operator==(const Normalisation&) const = default;
};

/// Each bad byte becomes U+FFFD.
std::string repair_utf8(std::string_view text);

/// Repaired, then NFKC, then lower case, as asked for. The result is always valid UTF-8.
std::string normalise(std::string_view text, Normalisation how);

/// Unicode's normal form NFD: letters before their marks.
std::string decompose(std::string_view text);

/// What a reader takes for one character: extended grapheme clusters (UAX 29), so that an accent,
/// a skin tone or a flag is never torn apart. Views into `text`; joined they give it back.
std::vector<std::string_view> characters(std::string_view text);

}  // namespace qkv

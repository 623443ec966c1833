// Classes of characters as the tokenisers of other programs know them, which are not quite those of
// our own (split.h).
#pragma once

#include <string>
#include <string_view>

#include "qkv/base/utf8.h"

namespace qkv::pipeline {

/// U+2581, a space to SentencePiece.
inline constexpr std::string_view kVisibleSpace = "\xE2\x96\x81";

bool is_letter(char32_t c);                // \p{L}
bool is_number(char32_t c);                // \p{N}
bool is_digit(char32_t c);                 // \d: \p{Nd}
bool is_word(char32_t c);                  // \w: letters, marks, digits, connectors, joiners
bool is_mark(char32_t c);                  // \p{M} of Unicode 9
bool is_nonspacing(char32_t c);            // \p{Mn} of Unicode 8, as BERT's tokenisers know it
bool is_punctuation_or_ascii(char32_t c);  // \p{P} of Unicode 8, all signs of ASCII
/// What BERT drops: U+FFFD and categories Cc, Cf and Co but tab and line ends.
bool is_dropped(char32_t c);
/// The blocks of ideographs that BERT cuts one by one.
bool is_ideograph(char32_t c);

bool is_ascii(std::string_view text);
void append(std::string& text, char32_t c);
/// Unicode's full lower case, without the rule for a sigma at the end of a word.
void append_lower(std::string& text, char32_t c);
/// f(c) for each code point. The text must be valid UTF-8.
template <class F>
void for_each_point(std::string_view text, F&& f) {
  while (!text.empty()) {
    const CodePoint c = static_cast<unsigned char>(text[0]) < 0x80
                            ? CodePoint{static_cast<char32_t>(text[0]), text.substr(0, 1)}
                            : first_code_point(text);
    f(c);
    text.remove_prefix(c.bytes.size());
  }
}

/// Bytes that may not be UTF-8 as text: each longest beginning of a character that is not whole
/// becomes one U+FFFD, and so does each byte that begins none.
std::string lossy(std::string_view bytes);

}  // namespace qkv::pipeline

// How text from outside appears in messages: 'short and printable'.
#pragma once

#include <string>
#include <string_view>

namespace qkv {

/// At most `most` bytes of UTF-8 text between `mark`s, control characters as '?'.
inline std::string in_quotes(std::string_view text, char mark = '\'', std::size_t most = 80) {
  const bool cut = text.size() > most;
  if (cut) {
    std::size_t end = most;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    text = text.substr(0, end);
  }
  std::string out(1, mark);
  for (const char c : text) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  if (cut) out += "…";
  return out += mark;
}

}  // namespace qkv

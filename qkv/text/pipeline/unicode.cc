#include "qkv/text/pipeline/unicode.h"

#include <algorithm>

#include <utf8proc.h>

#include "qkv/text/pipeline/later_characters.h"

namespace qkv::pipeline {
namespace {

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool between(utf8proc_category_t k, utf8proc_category_t first, utf8proc_category_t last) {
  return k >= first && k <= last;
}

bool is_ascii_letter(char32_t c) { return (c | 0x20) >= U'a' && (c | 0x20) <= U'z'; }
bool is_ascii_digit(char32_t c) { return c >= U'0' && c <= U'9'; }

/// Letters in circles and squares: symbols that count as alphabetic.
bool is_enclosed_letter(char32_t c) {
  return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
         (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

}  // namespace

bool is_letter(char32_t c) {
  if (c < 0x80) return is_ascii_letter(c);
  return between(category(c), UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO);
}

bool is_number(char32_t c) {
  if (c < 0x80) return is_ascii_digit(c);
  return between(category(c), UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO);
}

bool is_digit(char32_t c) {
  if (c < 0x80) return is_ascii_digit(c);
  return category(c) == UTF8PROC_CATEGORY_ND;
}

bool is_mark(char32_t c) {
  return c >= 0x300 && between(category(c), UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_ME);
}

bool is_nonspacing(char32_t c) {
  if (c < 0x300) return false;
  return (category(c) == UTF8PROC_CATEGORY_MN && !is_later_nonspacing(c)) || c == 0x1734;
}

bool is_word(char32_t c) {
  if (c < 0x80) return is_ascii_letter(c) || is_ascii_digit(c) || c == U'_';
  const utf8proc_category_t k = category(c);
  return between(k, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_NL) || k == UTF8PROC_CATEGORY_PC ||
         c == 0x200C || c == 0x200D || is_enclosed_letter(c);
}

bool is_punctuation_or_ascii(char32_t c) {
  if (c < 0x80) return c > 0x20 && c < 0x7F && !is_ascii_letter(c) && !is_ascii_digit(c);
  return (between(category(c), UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PO) &&
          !is_later_punctuation(c)) ||
         c == 0x166D || c == 0x111C9;  // were punctuation in Unicode 8
}

bool is_dropped(char32_t c) {
  if (c < 0x7F) return c < 0x20 && c != U'\t' && c != U'\n' && c != U'\r';
  if (c == 0xFFFD) return true;
  const utf8proc_category_t k = category(c);
  return (k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_CO) &&
         !is_later_format(c);
}

bool is_ideograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

void append(std::string& text, char32_t c) {
  utf8proc_uint8_t buffer[4];
  const utf8proc_ssize_t n = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), buffer);
  text.append(reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(n));
}

void append_lower(std::string& text, char32_t c) {
  if (c == 0x130) {  // the one letter whose lower case is two characters
    text += "i\xCC\x87";
  } else {
    append(text, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  }
}

std::string lossy(std::string_view bytes) {
  // How many bytes a lead byte asks for and what its first continuation may be.
  const auto need = [](unsigned char lead) {
    return lead >= 0xF0 && lead <= 0xF4   ? 4U
           : lead >= 0xE0 && lead <= 0xEF ? 3U
           : lead >= 0xC2 && lead <= 0xDF ? 2U
           : lead < 0x80                  ? 1U
                                          : 0U;
  };
  std::string text;
  text.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    const auto lead = static_cast<unsigned char>(bytes[at]);
    const std::size_t length = need(lead);
    std::size_t good = length > 0 ? 1 : 0;
    while (good > 0 && good < length && at + good < bytes.size()) {
      const auto next = static_cast<unsigned char>(bytes[at + good]);
      const int least = good > 1 ? 0x80 : lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
      const int most = good > 1 ? 0xBF : lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
      if (next < least || next > most) break;
      ++good;
    }
    if (length > 0 && good == length) {
      text.append(bytes.substr(at, length));
    } else {
      text += "\xEF\xBF\xBD";
    }
    at += std::max<std::size_t>(good, 1);
  }
  return text;
}

}  // namespace qkv::pipeline

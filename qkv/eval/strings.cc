#include "qkv/eval/strings.h"

#include <utf8proc.h>

#include "qkv/text/normalise.h"

namespace qkv {
namespace {

utf8proc_int32_t number(char32_t c) { return static_cast<utf8proc_int32_t>(c); }

// Unicode's Cased and Case_Ignorable, as far as the rule for the final sigma needs them.
bool is_cased(char32_t c) {
  const utf8proc_category_t k = utf8proc_category(number(c));
  return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT;
}
bool is_case_ignorable(char32_t c) {
  const utf8proc_category_t k = utf8proc_category(number(c));
  return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_ME || k == UTF8PROC_CATEGORY_CF ||
         k == UTF8PROC_CATEGORY_LM || k == UTF8PROC_CATEGORY_SK ||
         std::u32string_view(U"'.:\u00B7\u2018\u2019\u2024\u2027").find(c) !=
             std::u32string_view::npos;
}

// Does a capital sigma at `i` end a word: a cased letter before it, none after it?
bool is_final_sigma(const std::vector<CodePoint>& points, std::size_t i) {
  std::size_t before = i;
  while (before > 0 && is_case_ignorable(points[before - 1].value)) --before;
  if (before == 0 || !is_cased(points[before - 1].value)) return false;
  std::size_t after = i + 1;
  while (after < points.size() && is_case_ignorable(points[after].value)) ++after;
  return after == points.size() || !is_cased(points[after].value);
}

void append(std::string& text, char32_t c) {
  utf8proc_uint8_t buffer[4];
  const utf8proc_ssize_t n = utf8proc_encode_char(number(c), buffer);
  for (utf8proc_ssize_t i = 0; i < n; ++i) text += static_cast<char>(buffer[i]);
}

}  // namespace

bool is_white(char32_t c) {
  if (c <= 0x20) return c == 0x20 || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

std::vector<std::string_view> split_white(std::string_view text) {
  std::vector<std::string_view> words;
  std::size_t begin = 0, at = 0;
  while (at < text.size()) {
    const CodePoint c = first_code_point(text.substr(at));
    if (is_white(c.value)) {
      if (at > begin) words.push_back(text.substr(begin, at - begin));
      begin = at + c.bytes.size();
    }
    at += c.bytes.size();
  }
  if (at > begin) words.push_back(text.substr(begin));
  return words;
}

std::string_view trim_right(std::string_view text) {
  std::size_t end = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = first_code_point(text.substr(at));
    at += c.bytes.size();
    if (!is_white(c.value)) end = at;
  }
  return text.substr(0, end);
}

std::string_view trim(std::string_view text) {
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    if (!is_white(c.value)) break;
    text.remove_prefix(c.bytes.size());
  }
  return trim_right(text);
}

std::string lower_case(std::string_view text) {
  const std::vector<CodePoint> points = code_points(text);
  std::string lower;
  lower.reserve(text.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    const char32_t c = points[i].value;
    if (c == U'\u0130') {
      lower += "i\u0307";
    } else if (c == U'\u03A3') {
      append(lower, is_final_sigma(points, i) ? U'\u03C2' : U'\u03C3');
    } else {
      append(lower, static_cast<char32_t>(utf8proc_tolower(number(c))));
    }
  }
  return lower;
}

}  // namespace qkv

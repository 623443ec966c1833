#include "qkv/base/utf8.h"

#include <algorithm>

#include <utf8proc.h>

namespace qkv {
namespace {

constexpr std::string_view kBlanks = " \t";

// Bytes of the first code point, negative when they are not valid.
utf8proc_ssize_t read(std::string_view text, utf8proc_int32_t& value) {
  return utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                          static_cast<utf8proc_ssize_t>(text.size()), &value);
}

std::string_view trim_blanks(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

}  // namespace

std::optional<std::size_t> first_bad_byte(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    utf8proc_int32_t value = 0;
    const utf8proc_ssize_t n = read(text.substr(at), value);
    if (n <= 0) return at;
    at += static_cast<std::size_t>(n);
  }
  return std::nullopt;
}

CodePoint first_code_point(std::string_view text) {
  utf8proc_int32_t value = 0;
  const utf8proc_ssize_t n = read(text, value);
  if (n <= 0) return {U'\uFFFD', text.substr(0, 1)};
  return {static_cast<char32_t>(value), text.substr(0, static_cast<std::size_t>(n))};
}

std::vector<CodePoint> code_points(std::string_view text) {
  std::vector<CodePoint> points;
  points.reserve(text.size());
  while (!text.empty()) {
    points.push_back(first_code_point(text));
    text.remove_prefix(points.back().bytes.size());
  }
  return points;
}

bool is_space(char32_t c) {
  if (c <= 0x20) return c == 0x20 || (c >= 0x09 && c <= 0x0D);
  if (c < 0x80) return false;
  const utf8proc_category_t k = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return c == 0x85 || k == UTF8PROC_CATEGORY_ZS || k == UTF8PROC_CATEGORY_ZL ||
         k == UTF8PROC_CATEGORY_ZP;
}

bool is_blank(std::string_view text) { return trim_spaces(text).empty(); }

std::string_view trim_spaces(std::string_view text) {
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    if (!is_space(c.value)) break;
    text.remove_prefix(c.bytes.size());
  }
  while (!text.empty()) {
    // Back to where the last code point may begin: at most three bytes that only continue one.
    std::size_t begin = text.size() - 1;
    while (begin > 0 && text.size() - begin < 4 &&
           (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) {
      --begin;
    }
    const CodePoint c = first_code_point(text.substr(begin));
    if (begin + c.bytes.size() != text.size() || !is_space(c.value)) break;
    text.remove_suffix(c.bytes.size());
  }
  return text;
}

std::vector<std::string_view> split_blanks(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = text.find_first_not_of(kBlanks); begin != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(kBlanks, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kBlanks, end);
  }
  return parts;
}

std::vector<std::string_view> split_columns(std::string_view line) {
  line = trim_blanks(line);
  if (line.find('\t') == std::string_view::npos) return split_blanks(line);
  std::vector<std::string_view> fields;
  for (std::size_t begin = 0;;) {
    const std::size_t end = line.find('\t', begin);
    fields.push_back(trim_blanks(line.substr(begin, end - begin)));
    if (end == std::string_view::npos) return fields;
    begin = end + 1;
  }
}

}  // namespace qkv

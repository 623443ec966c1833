#include "qkv/text/normalise.h"

#include <cstdlib>
#include <memory>

#include <utf8proc.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

const utf8proc_uint8_t* bytes_of_text(std::string_view text) {
  return reinterpret_cast<const utf8proc_uint8_t*>(text.data());
}

// Bytes of the first code point, negative when they are not valid.
utf8proc_ssize_t read(std::string_view text, utf8proc_int32_t& value) {
  return utf8proc_iterate(bytes_of_text(text), static_cast<utf8proc_ssize_t>(text.size()), &value);
}

void append(std::string& text, utf8proc_int32_t value) {
  utf8proc_uint8_t buffer[4];
  const utf8proc_ssize_t n = utf8proc_encode_char(value, buffer);
  text.append(reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(n));
}

std::string to_nfkc(std::string_view text) {
  utf8proc_uint8_t* mapped = nullptr;
  const auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
  const utf8proc_ssize_t n = utf8proc_map(
      bytes_of_text(text), static_cast<utf8proc_ssize_t>(text.size()), &mapped, options);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (n < 0) fail("normalise: {}", utf8proc_errmsg(n));
  return std::string(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(n));
}

std::string to_lower(std::string_view text) {
  std::string lower;
  lower.reserve(text.size());
  for (const CodePoint& c : code_points(text)) {
    append(lower, utf8proc_tolower(static_cast<utf8proc_int32_t>(c.value)));
  }
  return lower;
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

std::string repair_utf8(std::string_view text) {
  std::string repaired;
  repaired.reserve(text.size());
  while (const std::optional<std::size_t> bad = first_bad_byte(text)) {
    repaired.append(text.substr(0, *bad)).append(kReplacement);
    text.remove_prefix(*bad + 1);
  }
  return repaired.append(text);
}

std::string normalise(std::string_view text, Normalisation how) {
  std::string result = repair_utf8(text);
  if (how.nfkc) result = to_nfkc(result);
  if (how.lower) result = to_lower(result);
  return result;
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

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> clusters;
  utf8proc_int32_t state = 0;
  utf8proc_int32_t before = -1;
  for (const CodePoint& c : code_points(text)) {
    const auto value = static_cast<utf8proc_int32_t>(c.value);
    if (before < 0 || utf8proc_grapheme_break_stateful(before, value, &state)) {
      clusters.push_back(c.bytes);
    } else {
      std::string_view& last = clusters.back();
      last = std::string_view(last.data(), last.size() + c.bytes.size());
    }
    before = value;
  }
  return clusters;
}

}  // namespace qkv

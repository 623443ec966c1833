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

#include "qkv/text/normalise.h"

#include <algorithm>

#include <utf8proc.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

void append(std::string& text, utf8proc_int32_t value) {
  utf8proc_uint8_t buffer[4];
  const utf8proc_ssize_t n = utf8proc_encode_char(value, buffer);
  text.append(reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(n));
}

/// Decomposed, with marks in canonical order. utf8proc has this in one call, but exchanges
/// neighbours until a run of marks is in order: ten thousand marks take it seconds.
std::vector<utf8proc_int32_t> decomposed(std::string_view text, utf8proc_option_t options) {
  constexpr std::size_t kMost = 32;  // Unicode's longest decomposition has 18
  std::vector<utf8proc_int32_t> values;
  values.reserve(text.size());
  int last_class = 0;
  for (const CodePoint& c : code_points(text)) {
    const std::size_t before = values.size();
    values.resize(before + kMost);
    const utf8proc_ssize_t n =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c.value), values.data() + before,
                                static_cast<utf8proc_ssize_t>(kMost), options, &last_class);
    if (n < 0) fail("normalise: {}", utf8proc_errmsg(n));
    values.resize(before + static_cast<std::size_t>(n));
  }
  const auto order = [](utf8proc_int32_t value) {
    return utf8proc_get_property(value)->combining_class;
  };
  for (auto begin = values.begin(); begin != values.end();) {
    if (order(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto end =
        std::find_if(begin, values.end(), [&order](utf8proc_int32_t v) { return order(v) == 0; });
    std::stable_sort(begin, end, [&order](utf8proc_int32_t a, utf8proc_int32_t b) {
      return order(a) < order(b);
    });
    begin = end;
  }
  return values;
}

std::string encoded(const std::vector<utf8proc_int32_t>& values) {
  std::string text;
  text.reserve(values.size());
  for (const utf8proc_int32_t value : values) append(text, value);
  return text;
}

std::string to_nfkc(std::string_view text) {
  const auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
  std::vector<utf8proc_int32_t> values = decomposed(text, options);
  const utf8proc_ssize_t n = utf8proc_normalize_utf32(
      values.data(), static_cast<utf8proc_ssize_t>(values.size()), options);
  if (n < 0) fail("normalise: {}", utf8proc_errmsg(n));
  values.resize(static_cast<std::size_t>(n));
  return encoded(values);
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

std::string decompose(std::string_view text) {
  return encoded(
      decomposed(text, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE)));
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

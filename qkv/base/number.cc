#include "qkv/base/number.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <system_error>

namespace qkv {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Whether a number that does not fit, in the form from_chars takes, is too small: from_chars does
/// not tell which end it left. So large or so small, the place of the first digit decides.
bool is_tiny(std::string_view text) {
  const std::size_t mark = text.find_first_of("eE");
  std::int64_t exponent = 0;
  if (mark != std::string_view::npos) {
    std::string_view digits = text.substr(mark + 1);
    const bool negative = digits.starts_with('-');
    if (negative || digits.starts_with('+')) digits.remove_prefix(1);
    constexpr std::int64_t kEnough = std::int64_t{1} << 40;  // beyond any length of text
    for (const char c : digits) exponent = std::min(kEnough, 10 * exponent + (c - '0'));
    if (negative) exponent = -exponent;
  }
  const std::string_view digits = text.substr(0, mark);
  const std::size_t point = std::min(digits.find('.'), digits.size());
  const std::size_t first = digits.find_first_of("123456789");
  if (first == std::string_view::npos) return true;
  const auto place = static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first);
  return exponent + place < 0;
}

template <class Number>
std::optional<Number> parse(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  // from_chars takes a sign of its own, and words such as inf.
  if (text.empty() || (!is_digit(text[0]) && text[0] != '.')) return std::nullopt;
  Number value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (stop != end || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    if (!is_tiny(text)) return std::nullopt;
    value = 0;
  }
  if (!std::isfinite(value)) return std::nullopt;
  return negative ? -value : value;
}

}  // namespace

std::optional<double> parse_double(std::string_view text) { return parse<double>(text); }
std::optional<float> parse_float(std::string_view text) { return parse<float>(text); }

}  // namespace qkv

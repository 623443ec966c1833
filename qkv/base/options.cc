#include "qkv/base/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

template <class T>
std::optional<T> parsed(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

[[noreturn]] void wrong(std::string_view shown, std::string_view text, std::string_view expected) {
  throw UsageError(fmt::format("{}: '{}' is not {}", shown, text, expected));
}

std::string expected_number(const char* kind, const Bounds& range) {
  const std::string bounds = to_string(range);
  return bounds.empty() ? kind : fmt::format("{} {}", kind, bounds);
}

/// "feed-forward" and "feed_forward" are one word.
bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return (x == '-' ? '_' : x) == (y == '-' ? '_' : y); });
}

}  // namespace

std::string to_string(const Bounds& r) {
  const bool below = r.most >= std::numeric_limits<double>::max();
  const bool above = r.least <= std::numeric_limits<double>::lowest();
  if (below && above)
    return r.most < std::numeric_limits<double>::infinity() ? "that is finite" : "";
  if (below) return fmt::format("{} {}", r.open_least ? "above" : "of at least", r.least);
  if (above) return fmt::format("{} {}", r.open_most ? "below" : "of at most", r.most);
  return fmt::format("in {}{}, {}{}", r.open_least ? '(' : '[', r.least, r.most,
                     r.open_most ? ')' : ']');
}

namespace detail {

std::int64_t integer_of(std::string_view text, const Bounds& range, std::string_view shown) {
  const auto value = parsed<std::int64_t>(text);
  if (!value || !range.contains(static_cast<double>(*value))) {
    wrong(shown, text, expected_number("a whole number", range));
  }
  return *value;
}

std::uint64_t natural_of(std::string_view text, const Bounds& range, std::string_view shown) {
  const auto value = parsed<std::uint64_t>(text);
  if (!value || !range.contains(static_cast<double>(*value))) {
    Bounds natural = range;
    natural.least = std::max(natural.least, 0.0);
    wrong(shown, text, expected_number("a whole number", natural));
  }
  return *value;
}

double number_of(std::string_view text, const Bounds& range, std::string_view shown) {
  const auto value = parsed<double>(text);
  if (!value || std::isnan(*value) || !range.contains(*value)) {
    wrong(shown, text, expected_number("a number", range));
  }
  return *value;
}

bool boolean_of(std::string_view text, std::string_view shown) {
  for (const std::string_view word : {"yes", "true", "on"}) {
    if (text == word) return true;
  }
  for (const std::string_view word : {"no", "false", "off"}) {
    if (text == word) return false;
  }
  wrong(shown, text, "yes or no");
}

std::size_t choice_of(std::string_view text, std::span<const std::string_view> words,
                      std::span<const std::string_view> synonyms, std::string_view shown) {
  for (const auto& list : {words, synonyms}) {
    const auto found = std::find_if(list.begin(), list.end(),
                                    [&](std::string_view word) { return same_word(word, text); });
    if (found != list.end()) return static_cast<std::size_t>(found - list.begin());
  }
  wrong(shown, text, fmt::format("one of {}", fmt::join(words, ", ")));
}

const std::string& only(std::span<const std::string> values, std::string_view shown) {
  if (values.size() != 1) {
    throw UsageError(fmt::format("{}: takes one value, not {}", shown, values.size()));
  }
  return values.front();
}

std::vector<std::string> list_of(std::span<const std::string> values, const Bounds& length,
                                 std::string_view shown) {
  if (!length.contains(static_cast<double>(values.size()))) {
    throw UsageError(fmt::format("{}: {} values, expected a number of them {}", shown,
                                 values.size(), to_string(length)));
  }
  return {values.begin(), values.end()};
}

std::string text_of(double value) { return fmt::format("{}", value); }

std::string text_of(std::span<const std::string> list) {
  return fmt::format("{}", fmt::join(list, " "));
}

std::vector<std::string> split_list(std::span<const std::string> values) {
  std::vector<std::string> words;
  for (const std::string& value : values) {
    for (std::size_t begin = 0; begin <= value.size();) {
      const std::size_t end = std::min(value.find(',', begin), value.size());
      words.push_back(value.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return words;
}

std::string flag_of(const About& about) {
  if (*about.flag != '\0') return about.flag;
  std::string flag = about.name;
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

}  // namespace detail
}  // namespace qkv

#include "qkv/io/json.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/quote.h"

namespace qkv {
namespace {

/// "a positive integer", "an integer from 1 to 8".
std::string words_for(const IntegerRange& allowed) {
  const IntegerRange all;
  if (allowed.least == 1 && allowed.most == all.most) return "a positive integer";
  if (allowed.most == all.most && allowed.least == all.least) return "an integer";
  if (allowed.most == all.most) return fmt::format("an integer of at least {}", allowed.least);
  if (allowed.least == all.least) return fmt::format("an integer of at most {}", allowed.most);
  return fmt::format("an integer from {} to {}", allowed.least, allowed.most);
}

/// Nothing for what is none in the range. Positive integers may exceed int64; 3.0 is not taken
/// for 3.
std::optional<std::int64_t> integer_of(const Json& value, const IntegerRange& allowed) {
  const bool fits =
      value.is_number_integer() &&
      (!value.is_number_unsigned() || std::in_range<std::int64_t>(value.get<std::uint64_t>()));
  if (!fits) return {};
  const auto integer = value.get<std::int64_t>();
  if (integer < allowed.least || integer > allowed.most) return {};
  return integer;
}

std::string words_for(const NumberRange& allowed) {
  if (std::isinf(allowed.least) && std::isinf(allowed.most)) return "a number";
  if (std::isinf(allowed.most)) return fmt::format("a number of at least {}", allowed.least);
  if (std::isinf(allowed.least)) return fmt::format("a number of at most {}", allowed.most);
  return fmt::format("a number from {} to {}", allowed.least, allowed.most);
}

/// A value as messages show it: short whatever it holds.
std::string words_for(const Json& value) {
  if (value.is_string()) return in_quotes(value.get_ref<const std::string&>(), '"');
  if (value.is_array()) return fmt::format("an array of {}", value.size());
  if (value.is_object()) return "an object";
  return value.dump();
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t change = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({change, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

Json read_json(const std::filesystem::path& path) {
  return parse_json(read_file(path), path.string());
}

void write_json(const std::filesystem::path& path, const Json& json) {
  std::string text;
  try {
    text = json.dump(2) + "\n";
  } catch (const Json::exception&) {
    fail("{}: cannot write text that is not UTF-8", path.string());
  }
  write_file(path, text);
}

std::string nearest_name(std::string_view name, std::span<const std::string> candidates) {
  const std::string* best = nullptr;
  std::size_t least = std::max<std::size_t>(name.size() / 3, 1) + 1;
  for (const std::string& candidate : candidates) {
    // The distance is at least the difference of the lengths; this also keeps hostile names cheap.
    if (candidate.size() > 2 * name.size() + 2 || name.size() > 2 * candidate.size() + 2) continue;
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < least) {
      least = distance;
      best = &candidate;
    }
  }
  return best ? *best : std::string();
}

FieldReader::FieldReader(const Json& json, std::string file, std::string prefix)
    : json_(json), file_(std::move(file)), prefix_(std::move(prefix)) {
  if (json_.is_object()) return;
  const std::string what =
      prefix_.empty() ? "" : fmt::format("field '{}': ", prefix_.substr(0, prefix_.size() - 1));
  throw DataError(file_, 0, fmt::format("{}expected an object, got {}", what, words_for(json_)));
}

const Json* FieldReader::find(std::string_view name, bool required) {
  if (std::ranges::find(asked_, name) == asked_.end()) asked_.emplace_back(name);
  const auto found = json_.find(name);
  if (found != json_.end()) return &*found;
  if (required) throw DataError(file_, 0, fmt::format("field '{}{}' is missing", prefix_, name));
  return nullptr;
}

void FieldReader::wrong(std::string_view name, std::string_view expected) const {
  const auto found = json_.find(name);
  throw DataError(file_, 0,
                  fmt::format("field '{}{}': expected {}, got {}", prefix_, name, expected,
                              found == json_.end() ? "nothing" : words_for(*found)));
}

std::int64_t FieldReader::integer(std::string_view name, IntegerRange allowed,
                                  std::optional<std::int64_t> fallback) {
  const Json* value = find(name, !fallback);
  if (!value) return *fallback;
  const std::optional<std::int64_t> integer = integer_of(*value, allowed);
  if (!integer) wrong(name, words_for(allowed));
  return *integer;
}

std::vector<std::int64_t> FieldReader::integers(std::string_view name, IntegerRange allowed) {
  const Json* value = find(name, true);
  if (!value->is_array()) wrong(name, "a list of numbers");
  std::vector<std::int64_t> list;
  for (const Json& entry : *value) {
    const std::optional<std::int64_t> integer = integer_of(entry, allowed);
    if (!integer) wrong(name, "a list, each of it " + words_for(allowed));
    list.push_back(*integer);
  }
  return list;
}

double FieldReader::number(std::string_view name, NumberRange allowed,
                           std::optional<double> fallback) {
  const Json* value = find(name, !fallback);
  if (!value) return *fallback;
  if (!value->is_number()) wrong(name, words_for(allowed));
  const auto number = value->get<double>();
  if (!(number >= allowed.least && number <= allowed.most)) wrong(name, words_for(allowed));
  return number;
}

bool FieldReader::boolean(std::string_view name, std::optional<bool> fallback) {
  const Json* value = find(name, !fallback);
  if (!value) return *fallback;
  if (!value->is_boolean()) wrong(name, "true or false");
  return value->get<bool>();
}

std::string FieldReader::text(std::string_view name, std::optional<std::string> fallback) {
  const Json* value = find(name, !fallback);
  if (!value) return *std::move(fallback);
  if (!value->is_string()) wrong(name, "text");
  return value->get<std::string>();
}

std::size_t FieldReader::choice(std::string_view name, std::span<const std::string_view> words,
                                std::optional<std::size_t> fallback) {
  const Json* value = find(name, !fallback);
  if (!value) return *fallback;
  std::string all;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (value->is_string() && value->get_ref<const std::string&>() == words[i]) return i;
    if (i > 0) all += i + 1 < words.size() ? ", " : " or ";
    all += fmt::format("\"{}\"", words[i]);
  }
  wrong(name, all);
}

FieldReader FieldReader::object(std::string_view name) {
  return {*find(name, true), file_, fmt::format("{}{}.", prefix_, name)};
}

bool FieldReader::has(std::string_view name) { return find(name, false) != nullptr; }

void FieldReader::finish() const {
  for (const auto& [name, value] : json_.items()) {
    if (std::ranges::find(asked_, name) != asked_.end()) continue;
    const std::string near = nearest_name(name, asked_);
    throw DataError(
        file_, 0,
        fmt::format("unknown field {}{}", in_quotes(prefix_ + name),
                    near.empty() ? "" : fmt::format("; did you mean '{}{}'?", prefix_, near)));
  }
}

}  // namespace qkv

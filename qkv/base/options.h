// One list of options a struct, from which everything that people set follows: the command line,
// settings files, config.json, `qkv info`, a server's fields.
//
//   struct Recipe {
//     double rate = 1e-3;
//     Kind kind = Kind::fast;
//     template <class Self, class Visit>
//     static void each(Self& r, Visit&& visit) {
//       visit({"rate", "Peak learning rate", positive()}, r.rate);
//       visit({"kind", "How it is done"}, r.kind);
//     }
//   };
//
// An enumeration is spelled once, beside its type: `constexpr auto spelling(Kind)` gives the words
// in the order of the values, found by argument-dependent look-up; `synonyms(Kind)` may give other
// words that are understood but never written.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "qkv/base/exceptions.h"

namespace qkv {

/// The numbers that an option may have. Ends count as inside unless they are open; NaN never is.
struct Bounds {
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  bool open_least = false, open_most = false;

  bool contains(double value) const {
    return (open_least ? value > least : value >= least) &&
           (open_most ? value < most : value <= most);
  }
};
/// "at least 1", "above 0", "in [0, 1)"; empty when anything goes.
std::string to_string(const Bounds& bounds);

constexpr Bounds at_least(double least) { return {.least = least}; }
/// Above 0 and finite.
constexpr Bounds positive() {
  return {.least = 0, .most = std::numeric_limits<double>::max(), .open_least = true};
}
/// 0 or above, and finite.
constexpr Bounds non_negative() { return {.least = 0, .most = std::numeric_limits<double>::max()}; }
constexpr Bounds between(double least, double most) { return {.least = least, .most = most}; }
/// A probability that leaves something: [0, 1).
constexpr Bounds share() { return {.least = 0, .most = 1, .open_most = true}; }
/// A width, a number of layers or heads: no model has a side of more than 2^20.
constexpr Bounds side_bounds() { return {.least = 1, .most = 1 << 20}; }
/// Any finite number.
constexpr Bounds finite() {
  return {.least = std::numeric_limits<double>::lowest(),
          .most = std::numeric_limits<double>::max()};
}

/// What is said of a field.
struct About {
  const char* name = "";  // as files spell it: "warm_up"
  const char* help = "";  // empty: not to be set by people, the data or a preset decides
  Bounds bounds = {};     // of numbers; of each number of a list; of the length of a list of texts
  const char* flag = "";  // the word on the command line, "warm-up"; empty: from the name. Fields
                          // that share a flag are set together
  bool required = false;
  bool repeat = false;  // of a list: one value after each flag, the flag again for more
  bool free = false;    // may differ when a training run is resumed; see changeable()
};
/// Says that a resumed run may change the option.
constexpr About changeable(About about) {
  about.free = true;
  return about;
}

/// An enumeration's words, in the order of its values.
template <class E>
std::span<const std::string_view> names_of() {
  static constexpr auto words = spelling(E{});
  return words;
}
template <class E>
requires std::is_enum_v<E> std::string_view name_of(E value) {
  return names_of<E>()[static_cast<std::size_t>(value)];
}

/// A field of some options with its type erased. It refers to the options it was taken from.
struct OptionField {
  enum class Kind : std::uint8_t { flag, integer, number, text, choice, list };
  About about;
  Kind kind = Kind::text;
  std::string flag;                            // "warm-up"
  std::vector<std::string_view> choices = {};  // of an enumeration, or of each word of a list
  double most_values = std::numeric_limits<double>::infinity();  // of a list
  /// Sets the field; throws UsageError. `shown` is what the message calls it: "--warm-up".
  std::function<void(std::span<const std::string> values, std::string_view shown)> set;
  /// The value as set() would read it; empty for what is not set.
  std::function<std::string()> get;
};

namespace detail {

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
/// A list of numbers or words of an enumeration; they may stand between commas.
template <class T>
struct IsList : std::false_type {};
template <class T>
struct IsList<std::vector<T>> : std::bool_constant<!std::is_same_v<T, std::string>> {};

std::int64_t integer_of(std::string_view text, const Bounds& range, std::string_view shown);
std::uint64_t natural_of(std::string_view text, const Bounds& range, std::string_view shown);
double number_of(std::string_view text, const Bounds& range, std::string_view shown);
bool boolean_of(std::string_view text, std::string_view shown);
std::size_t choice_of(std::string_view text, std::span<const std::string_view> words,
                      std::span<const std::string_view> synonyms, std::string_view shown);
std::vector<std::string> list_of(std::span<const std::string> values, const Bounds& length,
                                 std::string_view shown);
/// The one value; a list where one is wanted is an error.
const std::string& only(std::span<const std::string> values, std::string_view shown);
/// The shortest text that reads back as the same number.
std::string text_of(double value);
std::string text_of(std::span<const std::string> list);
/// The words of all values, which commas part; no word is empty unless a value is.
std::vector<std::string> split_list(std::span<const std::string> values);
std::string flag_of(const About& about);

template <class E>
std::span<const std::string_view> synonyms_of() {
  if constexpr (requires { synonyms(E{}); }) {
    static constexpr auto words = synonyms(E{});
    return words;
  } else {
    return {};
  }
}

template <class T>
constexpr OptionField::Kind kind_of_field() {
  using Kind = OptionField::Kind;
  if constexpr (IsOptional<T>::value) return kind_of_field<typename T::value_type>();
  if constexpr (std::is_same_v<T, bool>) return Kind::flag;
  if constexpr (std::is_enum_v<T>) return Kind::choice;
  if constexpr (std::is_integral_v<T>) return Kind::integer;
  if constexpr (std::is_floating_point_v<T>) return Kind::number;
  if constexpr (std::is_same_v<T, std::vector<std::string>> || IsList<T>::value) return Kind::list;
  return Kind::text;
}

/// The words that a field takes, or each element of a list; empty for other types.
template <class T>
std::span<const std::string_view> choices_of() {
  if constexpr (std::is_enum_v<T>) {
    return names_of<T>();
  } else if constexpr (IsOptional<T>::value || IsList<T>::value) {
    return choices_of<typename T::value_type>();
  } else {
    return {};
  }
}

template <class T>
T value_of(std::span<const std::string> values, const Bounds& range, std::string_view shown) {
  if constexpr (IsOptional<T>::value) {
    return value_of<typename T::value_type>(values, range, shown);
  } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
    return list_of(values, range, shown);
  } else if constexpr (IsList<T>::value) {
    if (values.empty()) throw UsageError(std::string(shown) + ": takes at least one value");
    T list;
    for (const std::string& word : split_list(values)) {
      list.push_back(value_of<typename T::value_type>(std::span(&word, 1), range, shown));
    }
    return list;
  } else {
    const std::string& text = only(values, shown);
    if constexpr (std::is_same_v<T, bool>) {
      return boolean_of(text, shown);
    } else if constexpr (std::is_enum_v<T>) {
      return static_cast<T>(choice_of(text, names_of<T>(), synonyms_of<T>(), shown));
    } else if constexpr (std::is_integral_v<T> && std::is_unsigned_v<T>) {
      return static_cast<T>(natural_of(text, range, shown));
    } else if constexpr (std::is_integral_v<T>) {
      Bounds fits = range;  // numbers that the field's type cannot hold are out of range too
      if constexpr (sizeof(T) < sizeof(std::int64_t)) {
        fits.least = std::max(fits.least, static_cast<double>(std::numeric_limits<T>::min()));
        fits.most = std::min(fits.most, static_cast<double>(std::numeric_limits<T>::max()));
      }
      return static_cast<T>(integer_of(text, fits, shown));
    } else if constexpr (std::is_floating_point_v<T>) {
      return static_cast<T>(number_of(text, range, shown));
    } else {
      return T(text);
    }
  }
}

template <class T>
std::string text_of_field(const T& value) {
  if constexpr (IsOptional<T>::value) {
    return value ? text_of_field(*value) : std::string();
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "yes" : "no";
  } else if constexpr (std::is_enum_v<T>) {
    return std::string(name_of(value));
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    return text_of(static_cast<double>(value));
  } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
    return text_of(std::span<const std::string>(value));
  } else if constexpr (IsList<T>::value) {
    std::string text;
    for (const auto& element : value) {
      text += (text.empty() ? "" : ",") + text_of_field(element);
    }
    return text;
  } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
    return value.string();
  } else {
    return std::string(value);
  }
}

}  // namespace detail

/// The list of `options`, which must outlive it, in the order of `each`.
template <class Options>
std::vector<OptionField> fields_of(Options& options) {
  std::vector<OptionField> fields;
  Options::each(options, [&](const About& about, auto& field) {
    using T = std::remove_cvref_t<decltype(field)>;
    OptionField f{
        .about = about, .kind = detail::kind_of_field<T>(), .flag = detail::flag_of(about)};
    const auto words = detail::choices_of<T>();
    f.choices.assign(words.begin(), words.end());
    if constexpr (std::is_same_v<T, std::vector<std::string>>) f.most_values = about.bounds.most;
    f.set = [&field, bounds = about.bounds](std::span<const std::string> values,
                                            std::string_view shown) {
      field = detail::value_of<T>(values, bounds, shown);
    };
    f.get = [&field] { return detail::text_of_field(field); };
    fields.push_back(std::move(f));
  });
  return fields;
}

/// Whether each number of some options lies in its range; throws UsageError with the field's name
/// otherwise. For options that were filled by code instead of set from text.
template <class Options>
void check_ranges(const Options& options) {
  Options::each(options, [](const About& about, const auto& field) {
    using T = std::remove_cvref_t<decltype(field)>;
    if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
      if (about.bounds.contains(static_cast<double>(field))) return;
      throw UsageError(std::string(about.name) + ": " + detail::text_of_field(field) + " is not " +
                       to_string(about.bounds));
    }
  });
}

}  // namespace qkv

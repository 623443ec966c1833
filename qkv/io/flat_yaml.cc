#include "qkv/io/flat_yaml.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/utf8.h"

namespace qkv {
namespace {

/// UTF-8 of a code point that YAML can escape.
std::string utf8_of(std::uint32_t c) {
  const auto tail = [&](int shift) { return static_cast<char>(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), tail(0)};
  if (c < 0x10000) return {static_cast<char>(0xE0 | c >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xF0 | c >> 18), tail(12), tail(6), tail(0)};
}

/// One line, or what is left of it.
class Line {
 public:
  Line(std::string_view text, std::string_view name, std::int64_t number)
      : rest_(text), name_(name), number_(number) {}

  [[noreturn]] void refuse(std::string_view reason) const {
    throw DataError(name_, number_, reason);
  }
  void blanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t'))
      rest_.remove_prefix(1);
  }
  /// Nothing more but blanks and a comment; a comment has a blank before it, or begins the line.
  bool done() {
    blanks();
    return rest_.empty() || rest_.front() == '#';
  }
  bool take(std::string_view sign) {
    if (!rest_.starts_with(sign)) return false;
    rest_.remove_prefix(sign.size());
    return true;
  }
  bool ends() const { return rest_.empty() || rest_.front() == ' '; }

  std::string name() {
    std::string text;
    if (quoted()) {
      text = in_quotes();
    } else {
      const std::size_t end = colon();
      text = std::string(trimmed(rest_.substr(0, end)));
      rest_.remove_prefix(end);
      check_plain(text);
    }
    blanks();
    if (!take(":") || !ends()) refuse("is no name with a value");
    return text;
  }
  /// Up to the end of the line, or inside a list up to what ends it there.
  Json scalar(bool inside = false) {
    if (quoted()) return in_quotes();
    std::size_t end = rest_.size();
    for (std::size_t i = 0; i < rest_.size(); ++i) {
      const bool comment = rest_[i] == '#' && i > 0 && rest_[i - 1] == ' ';
      if (comment || (inside && (rest_[i] == ',' || rest_[i] == ']'))) {
        end = i;
        break;
      }
    }
    const std::string text(trimmed(rest_.substr(0, end)));
    rest_.remove_prefix(end);
    check_plain(text);
    return typed(text);
  }
  Json list() {
    Json list = Json::array();
    blanks();
    while (!take("]")) {
      list.push_back(scalar(true));
      blanks();
      if (take(",")) {
        blanks();
      } else if (!rest_.starts_with(']')) {
        refuse("is a list without an end on its line");
      }
    }
    return list;
  }

 private:
  static std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
  }
  bool quoted() const { return rest_.starts_with('"') || rest_.starts_with('\''); }
  /// Where a plain name ends: at the first colon with a blank or nothing behind it.
  std::size_t colon() const {
    for (std::size_t i = 0; i < rest_.size(); ++i) {
      if (rest_[i] == ':' && (i + 1 == rest_.size() || rest_[i + 1] == ' ')) return i;
    }
    refuse("is no name with a value");
  }
  void check_plain(std::string_view text) const {
    constexpr std::string_view kSigns = "&*!|>%@`{}[],";
    if (!text.empty() && kSigns.find(text.front()) != kSigns.npos) {
      refuse("is YAML of a kind that this program does not read; put it in quotes");
    }
  }
  static Json typed(const std::string& text) {
    if (text.empty() || text == "~" || text == "null") return nullptr;
    if (text == "true") return true;
    if (text == "false") return false;
    const char* end = text.data() + text.size();
    std::int64_t whole = 0;
    if (const auto r = std::from_chars(text.data(), end, whole);
        r.ptr == end && r.ec == std::errc()) {
      return whole < 0 ? Json(whole) : Json(static_cast<std::uint64_t>(whole));
    }
    double number = 0;
    const bool digits = text.find_first_not_of("+-.0123456789eE") == text.npos;
    if (const auto r = std::from_chars(text.data(), end, number);
        digits && r.ptr == end && r.ec == std::errc()) {
      return number;
    }
    return text;
  }
  std::string in_quotes() {
    const char mark = rest_.front();
    rest_.remove_prefix(1);
    std::string text;
    while (!rest_.empty()) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == mark && mark == '\'' && take("'")) {
        text += '\'';
      } else if (c == mark) {
        return text;
      } else if (c == '\\' && mark == '"') {
        text += escaped();
      } else {
        text += c;
      }
    }
    refuse("has a quote without its end");
  }
  std::string escaped() {
    constexpr std::string_view kShort = "0abtnvfre\"\\/ ";
    constexpr std::string_view kMeans{"\0\a\b\t\n\v\f\r\x1B\"\\/ ", 13};
    if (rest_.empty()) refuse("has a quote without its end");
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (const std::size_t i = kShort.find(c); i != kShort.npos) return {kMeans[i]};
    if (c == 'N') return utf8_of(0x85);
    if (c == '_') return utf8_of(0xA0);
    if (c == 'L') return utf8_of(0x2028);
    if (c == 'P') return utf8_of(0x2029);
    const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    std::uint32_t point = 0;
    if (digits == 0 || rest_.size() < digits) refuse("has an escape that is none");
    const auto r = std::from_chars(rest_.data(), rest_.data() + digits, point, 16);
    const bool surrogate = point >= 0xD800 && point < 0xE000;
    if (r.ptr != rest_.data() + digits || point > 0x10FFFF || surrogate) {
      refuse("has an escape that is none");
    }
    rest_.remove_prefix(digits);
    return utf8_of(point);
  }

  std::string_view rest_, name_;
  std::int64_t number_;
};

/// Reads lines into an object.
class Reader {
 public:
  explicit Reader(std::string_view name) : name_(name) {}

  void add(std::string_view text, std::int64_t number) {
    Line line(text, name_, number);
    if (text == "---" || text == "..." || line.done()) return;
    Line item = line;
    if (item.take("-") && item.ends()) return add_item(item);
    const bool indented = text.front() == ' ' || text.front() == '\t';
    if (indented && open_ && object_[*open_].is_null() && line.take("[")) {
      object_[*open_] = line.list();
      return finish(line);
    }
    if (indented) line.refuse("is nested, which this program does not read");
    const std::string name = line.name();
    if (object_.contains(name)) line.refuse("has a name that is there before");
    open_.reset();
    if (line.done()) {
      open_ = name;  // a list may follow
      object_[name] = nullptr;
      return;
    }
    object_[name] = line.take("[") ? line.list() : line.scalar();
    finish(line);
  }
  Json take() { return std::move(object_); }

 private:
  void add_item(Line& line) {
    Json* list = open_ ? &object_[*open_] : nullptr;
    if (list != nullptr && list->is_null()) *list = Json::array();
    if (list == nullptr || !list->is_array()) line.refuse("is an item of no list");
    line.blanks();
    list->push_back(line.scalar());
    finish(line);
  }
  static void finish(Line& line) {
    if (!line.done()) line.refuse("goes on behind its value");
  }

  std::string_view name_;
  Json object_ = Json::object();
  std::optional<std::string> open_;  // the name whose value may stand on the next lines
};

}  // namespace

Json parse_flat_yaml(std::string_view text, std::string_view name) {
  if (const auto bad = first_bad_byte(text)) {
    throw DataError(name, 0, fmt::format("is no UTF-8 text (byte {})", *bad + 1));
  }
  Reader reader(name);
  std::int64_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    reader.add(line, ++number);
    at = end + 1;
  }
  return reader.take();
}

}  // namespace qkv

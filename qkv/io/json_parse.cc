// JSON text to values, with what nlohmann's own parser does not ask: no field twice, no bottomless
// nesting.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "qkv/base/error.h"
#include "qkv/io/json.h"
#include "qkv/io/quote.h"

namespace qkv {
namespace {

// Far above any configuration, far below what recursion (dump, comparison) can take.
constexpr std::size_t kMaxDepth = 64;

/// What nlohmann says, without its prefix and without the (possibly huge, possibly binary) text it
/// read last.
std::string reason_of(std::string_view what) {
  constexpr std::string_view kBefore = "column ";
  if (const auto at = what.find(kBefore); at != what.npos) {
    const auto colon = what.find(": ", at);
    if (colon != what.npos) what.remove_prefix(colon + 2);
  }
  const auto expected = what.rfind("; expected ");
  std::string reason(what.substr(0, what.find("; last read")));
  if (expected != what.npos && expected >= reason.size()) reason += what.substr(expected);
  if (reason.size() > 160) reason.resize(160);
  for (char& c : reason) {
    if (c < 0x20 || c == 0x7f) c = '?';  // bytes of UTF-8 are negative, so these go too
  }
  return reason;
}

[[noreturn]] void syntax_error(std::string_view text, std::string_view name, std::int64_t line,
                               const Json::parse_error& error) {
  const std::size_t at = std::min(text.size(), error.byte > 0 ? error.byte - 1 : 0);
  const std::string_view before = text.substr(0, at);
  if (line == 0) line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto start = before.rfind('\n');  // npos + 1 is 0
  throw DataError(fmt::format("{}:{}", name, line), static_cast<std::int64_t>(at - (start + 1)) + 1,
                  reason_of(error.what()));
}

/// Puts a value together from the parser's events (nlohmann's json_sax).
class Builder {
 public:
  Builder(std::string_view name, std::int64_t line) : name_(name), line_(line) {}
  Json take() { return std::move(root_); }

  // The interface that Json::sax_parse asks for.
  bool null() { return value(nullptr); }
  bool boolean(bool b) { return value(b); }
  bool number_integer(Json::number_integer_t number) { return value(number); }
  bool number_unsigned(Json::number_unsigned_t number) { return value(number); }
  bool number_float(Json::number_float_t number, const std::string& /*as written*/) {
    return value(number);
  }
  bool string(std::string& text) { return value(std::move(text)); }
  bool binary(Json::binary_t& /*bytes*/) { return false; }  // no JSON text has any
  bool start_object(std::size_t /*entries*/) { return open(Json::object()); }
  bool start_array(std::size_t /*entries*/) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& key) {
    const auto [field, fresh] =
        open_.back()->get_ref<Json::object_t&>().try_emplace(std::move(key));
    if (!fresh) {
      throw DataError(name_, line_,
                      fmt::format("field {} is given twice", in_quotes(field->first)));
    }
    field_ = &field->second;
    return true;
  }
  template <class Exception>
  bool parse_error(std::size_t /*byte*/, const std::string& /*last token*/,
                   const Exception& error) {
    throw error;
  }

 private:
  template <class Value>
  bool value(Value&& value) {
    place() = std::forward<Value>(value);
    return true;
  }
  bool open(Json empty) {
    if (open_.size() >= kMaxDepth) {
      throw DataError(name_, line_, fmt::format("more than {} levels of nesting", kMaxDepth));
    }
    Json& opened = place();
    opened = std::move(empty);
    open_.push_back(&opened);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  /// Where the next value goes.
  Json& place() {
    if (open_.empty()) return root_;
    if (open_.back()->is_object()) return *field_;
    return open_.back()->get_ref<Json::array_t&>().emplace_back();
  }

  std::string_view name_;
  std::int64_t line_;
  Json root_;
  // Objects and arrays around this place. Their addresses hold: while one is open, nothing is added
  // beside it.
  std::vector<Json*> open_;
  Json* field_ = nullptr;  // of the object that was read last
};

}  // namespace

Json parse_json(std::string_view text, std::string_view name, std::int64_t line) {
  if (text.find_first_not_of(" \t\r\n") == text.npos) {
    throw DataError(name, line, "is empty, expected JSON");
  }
  Builder builder(name, line);
  try {
    Json::sax_parse(text.begin(), text.end(), &builder);
    return builder.take();
  } catch (const Json::parse_error& error) {
    syntax_error(text, name, line, error);
  } catch (const Json::exception& error) {  // a number such as 1e999
    throw DataError(name, line, reason_of(error.what()));
  }
}

}  // namespace qkv

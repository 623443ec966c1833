#include "app/config_file.h"

#include <algorithm>

#define TOML_EXCEPTIONS 1
#include <fmt/format.h>
#include <toml++/toml.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"

namespace qkv::app {
namespace {

/// A message of one line.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

std::string value_of(const std::string& path, std::string_view key, const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* integer = node.as_integer()) return std::to_string(integer->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  throw DataError(
      path, static_cast<std::int64_t>(node.source().begin.line),
      fmt::format("'{}' must be a string, a number, true or false, or a list of strings "
                  "and numbers",
                  key));
}

}  // namespace

std::vector<ConfigEntry> read_config_file(const std::string& path) {
  toml::table table;
  try {
    table = toml::parse(read_file(path), path);
  } catch (const toml::parse_error& e) {
    throw DataError(path, static_cast<std::int64_t>(e.source().begin.line),
                    one_line(std::string(e.description())));
  }
  std::vector<ConfigEntry> entries;
  for (const auto& [key, node] : table) {
    ConfigEntry e{.key = std::string(key.str()), .values = {}};
    e.line = static_cast<std::int64_t>(node.source().begin.line);
    if (const auto* flag = node.as_boolean()) {
      e.is_boolean = true;
      e.values = {flag->get() ? "yes" : "no"};
    } else if (const auto* array = node.as_array()) {
      e.is_list = true;
      for (const toml::node& element : *array) {
        e.values.push_back(value_of(path, e.key, element));
      }
    } else {
      e.values = {value_of(path, e.key, node)};
    }
    entries.push_back(std::move(e));
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const ConfigEntry& a, const ConfigEntry& b) { return a.line < b.line; });
  return entries;
}

}  // namespace qkv::app

#include "app/config_file.h"

#include <algorithm>
#include <sstream>

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"

namespace qkv::app {
namespace {

void add_value(std::vector<std::string>& options, const std::string& path, std::string_view key,
               const toml::node& node) {
  const auto line = static_cast<std::int64_t>(node.source().begin.line);
  if (const auto* text = node.as_string()) {
    options.push_back(text->get());
  } else if (const auto* integer = node.as_integer()) {
    options.push_back(std::to_string(integer->get()));
  } else if (const auto* number = node.as_floating_point()) {
    options.push_back(fmt::format("{}", number->get()));
  } else if (const auto* array = node.as_array()) {
    for (const toml::node& element : *array) add_value(options, path, key, element);
  } else {
    throw DataError(path, line,
                    fmt::format("'{}' must be a string, a number, true or a list of them", key));
  }
}

std::vector<std::string> options_of(const std::string& path) {
  toml::table table;
  try {
    table = toml::parse(read_file(path), path);
  } catch (const toml::parse_error& e) {
    throw DataError(path, static_cast<std::int64_t>(e.source().begin.line), e.description());
  }
  std::vector<std::string> options;
  for (const auto& [key, node] : table) {
    const std::string name = "--" + std::string(key.str());
    if (const auto* flag = node.as_boolean()) {
      if (flag->get()) options.push_back(name);
      continue;
    }
    options.push_back(name);
    add_value(options, path, key.str(), node);
  }
  return options;
}

}  // namespace

std::vector<std::string> with_config_file(std::vector<std::string> arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string path;
    std::size_t used = 1;
    if (arguments[i] == "--config" && i + 1 < arguments.size()) {
      path = arguments[i + 1];
      used = 2;
    } else if (arguments[i].starts_with("--config=")) {
      path = arguments[i].substr(9);
    } else {
      continue;
    }
    const auto at = arguments.begin() + static_cast<std::ptrdiff_t>(i);
    arguments.erase(at, at + static_cast<std::ptrdiff_t>(used));
    const std::vector<std::string> options = options_of(path);
    const auto first = std::find_if(arguments.begin(), arguments.end(),
                                    [](const std::string& a) { return a.starts_with("-"); });
    arguments.insert(first, options.begin(), options.end());
    return with_config_file(std::move(arguments));
  }
  return arguments;
}

}  // namespace qkv::app

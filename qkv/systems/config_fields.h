// A model's Config as an object of its configuration file: every field that Config::each visits,
// enumerations by name. For the files that save and load models.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "qkv/base/error.h"
#include "qkv/base/options.h"
#include "qkv/io/json.h"

namespace qkv {

template <class Config>
Json config_json(const Config& config) {
  Json json = Json::object();
  Config::each(config, [&](const About& about, const auto& field) {
    using Field = std::remove_cvref_t<decltype(field)>;
    if constexpr (std::is_enum_v<Field>) {
      json[about.name] = name_of(field);
    } else {
      json[about.name] = field;
    }
  });
  return json;
}

/// Reads a field of any of the types that options and configurations have; whole numbers from
/// `least` on. The bound keeps products of sizes far from overflow; no model has a side of 2^30.
template <class Field>
void read_field(FieldReader& reader, const char* name, Field& field, std::int64_t least = 0) {
  constexpr std::int64_t kMost = std::int64_t{1} << 30;
  if constexpr (std::is_enum_v<Field>) {
    field = static_cast<Field>(reader.choice(name, names_of<Field>()));
  } else if constexpr (std::is_same_v<Field, bool>) {
    field = reader.boolean(name);
  } else if constexpr (std::is_same_v<Field, double>) {
    field = reader.number(name);
  } else if constexpr (std::is_same_v<Field, std::string>) {
    field = reader.text(name);
  } else if constexpr (std::is_same_v<Field, std::vector<std::int64_t>>) {
    field = reader.integers(name, {.least = least, .most = kMost});
  } else {
    field = static_cast<Field>(reader.integer(name, {.least = least, .most = kMost}));
  }
}

/// Every field must be there and no other; then Config::check(). A field that Config::added_later
/// names may be missing: files from before have the default.
template <class Config>
Config config_from(FieldReader reader, const std::string& path) {
  Config config;
  Config::each(config, [&](const About& about, auto& field) {
    const char* name = about.name;
    if constexpr (requires { Config::added_later(name); }) {
      if (Config::added_later(name) && !reader.has(name)) return;
    }
    read_field(reader, name, field);
  });
  reader.finish();
  try {
    config.check();
  } catch (const Error& e) {
    throw DataError(path, 0, e.what());
  }
  return config;
}

}  // namespace qkv

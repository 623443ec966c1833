// Settings files: TOML with lines `option = value`, true or false for a flag, an array for an
// option that takes several values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace qkv::app {

struct ConfigEntry {
  std::string key;
  std::vector<std::string> values;
  bool is_list = false, is_boolean = false;
  std::int64_t line = 0;
};

/// In the order of the file. Throws DataError with file and line.
std::vector<ConfigEntry> read_config_file(const std::string& path);

}  // namespace qkv::app

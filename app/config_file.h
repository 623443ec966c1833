// --config FILE.toml: every long option can stand in a file as `name = value` (true for a flag, an
// array for an option with several values). The command line wins.
#pragma once

#include <string>
#include <vector>

namespace qkv::app {

/// Replaces "--config FILE" by the options of the file, placed before those of the command line.
/// Throws DataError with file and line.
std::vector<std::string> with_config_file(std::vector<std::string> arguments);

}  // namespace qkv::app

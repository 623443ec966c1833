// Any bytes as a settings file.
#pragma once

#include <string>
#include <vector>

#include "app/config_file.h"
#include "fuzz/scratch.h"
#include "fuzz/target.h"

#include "qkv/base/error.h"

namespace qkv {

inline void fuzz_settings(std::string_view bytes) {
  static ScratchFile file;
  try {
    for (const app::ConfigEntry& entry : app::read_config_file(file.write(bytes))) {
      fuzz_require(!entry.key.empty() || entry.line > 0, "an entry from nowhere");
      fuzz_require(entry.is_list || entry.values.size() == 1, "a value that is lost");
    }
  } catch (const Error&) {
  }
}

inline std::vector<std::string> settings_seeds() {
  return {"", "steps = 100\nrate = 5e-3\noverwrite = true\n",
          "train = ['a.tok', \"b.tok\"]\n# a comment\nseed = 0x1f\ntie_output = false\n"};
}

}  // namespace qkv

// Any bytes as a list of labels and paths.
#pragma once

#include <vector>

#include "fuzz/target.h"

#include "qkv/base/error.h"
#include "qkv/media/listing.h"

namespace qkv {

inline void fuzz_list(std::string_view bytes) {
  try {
    const Listing listing = parse_list(bytes, "fuzz", "folder");
    fuzz_require(!listing.items.empty() && !listing.classes.empty(), "nothing");
    const auto classes = static_cast<int>(listing.classes.size());
    std::vector<bool> used(listing.classes.size());
    for (const Listed& item : listing.items) {
      fuzz_require(item.label >= 0 && item.label < classes, "no such class");
      used[static_cast<std::size_t>(item.label)] = true;
    }
    for (const bool one : used) fuzz_require(one, "a class of nothing");
  } catch (const Error&) {
  }
}

inline std::vector<std::string> list_seeds() {
  return {"cat\ta.png\ndog\tb/c.png\r\n",
          "\xEF\xBB\xBF"
          "10\ta\n9\tb\n10\tc",
          "\xE5\x90\x8D\t\xE5.png\n"};
}

}  // namespace qkv

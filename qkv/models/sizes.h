// Networks by the name of their size.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "qkv/base/error.h"

namespace qkv {

/// The one of these (structs with a `name`) that has the name; throws Error with all names.
template <class Size, std::size_t N>
const Size& size_named(const Size (&sizes)[N], std::string_view what, std::string_view name) {
  std::string known;
  for (const Size& size : sizes) {
    if (size.name == name) return size;
    known.append(known.empty() ? "" : ", ").append(size.name);
  }
  fail("{} '{}' is not one of {}", what, name, known);
}

}  // namespace qkv

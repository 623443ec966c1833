// YAML as Marian writes it: a mapping of names to scalars or to lists of scalars, one entry a line,
// where texts are plain, in single quotes or in double ones with escapes. What else YAML has
// (nesting, anchors, tags, texts over several lines) is refused with its line.
#pragma once

#include <string_view>

#include "qkv/io/json.h"

namespace qkv {

/// An object of numbers, truth values, texts, null and lists of them; names are texts, whatever
/// they look like. Throws DataError "name:line: reason".
Json parse_flat_yaml(std::string_view text, std::string_view name);

}  // namespace qkv

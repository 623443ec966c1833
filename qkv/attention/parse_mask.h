// Masks from text, for command lines and files: what to_string(Mask) prints, read back.
//
//   expression = term { "|" term }          term = factor { "&" factor }
//   factor     = "~" factor | "(" expression ")" | name "(" arguments ")"
//   arguments  = numbers, lists [1, 2], flags 110/011, top_left, packed, as the mask takes them
//
// window(256) and documents([0, 0, 1]) may be short, as in C++. Long data (… in all, graph(65
// rows, 190 edges)) and masks of one's own cannot be read back.
#pragma once

#include <string_view>

#include "qkv/attention/mask.h"

namespace qkv {

/// Throws Error: "mask: character 12: expected ')', not 'x'".
Mask parse_mask(std::string_view text);

}  // namespace qkv

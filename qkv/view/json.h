// Attention maps for programs: one JSON object, written and read back.
//
//   {"format": "qkv-attention", "version": 1, "title": "…", "source_text": "…", "translation": "…",
//    "source": ["the", …], "target": ["…"], "target_in": ["<s>", …],
//    "maps": [{"kind": "encoder" | "decoder" | "cross", "layer": 0, "head": 0 (-1: mean of heads),
//              "weights": [[one number a key], one list a query]}]}
#pragma once

#include <string>
#include <string_view>

#include "qkv/view/attention_maps.h"

namespace qkv {

/// Weights are rounded to `digits` (1 … 9) places. Bytes that are not UTF-8 become U+FFFD.
std::string attention_json(const AttentionMaps& maps, int digits = 6);

/// Reads what attention_json wrote; `path` names the text in errors. Throws DataError when it is
/// not such an object, or when its maps do not pass check(). Unknown members are ignored.
AttentionMaps parse_attention_json(std::string_view text, std::string_view path = "attention.json");

}  // namespace qkv

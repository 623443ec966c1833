// Where a parameter stands in its network, read from its path (nn/module.h): the first number in it
// is that of a layer, and what stands before the number names the stack of layers.
//
//   bert.encoder.layer.3.attention.self.query.weight   layer 3 of "bert.encoder.layer"
//   blocks.0.norm_1.weight                             layer 0 of "blocks"
//   norm_f.weight                                      in no layer
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace qkv {

struct LayerPath {
  std::string_view stack;
  std::int64_t layer = 0;
};
/// Nothing for a path without a number. The result refers to `path`.
std::optional<LayerPath> layer_path(std::string_view path);

/// Whether a path has this part between its dots, at any place.
bool has_part(std::string_view path, std::string_view part);

}  // namespace qkv

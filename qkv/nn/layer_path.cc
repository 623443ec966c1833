#include "qkv/nn/layer_path.h"

#include <algorithm>
#include <charconv>

namespace qkv {
namespace {

/// The part of a path that begins at `begin`.
std::string_view part_at(std::string_view path, std::size_t begin) {
  return path.substr(begin, path.find('.', begin) - begin);
}

}  // namespace

std::optional<LayerPath> layer_path(std::string_view path) {
  for (std::size_t begin = 0; begin < path.size();) {
    const std::string_view part = part_at(path, begin);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error == std::errc() && end == part.data() + part.size()) {
      return LayerPath{path.substr(0, begin == 0 ? 0 : begin - 1), number};
    }
    begin += part.size() + 1;
  }
  return {};
}

bool has_part(std::string_view path, std::string_view part) {
  for (std::size_t begin = 0; begin < path.size();) {
    const std::string_view here = part_at(path, begin);
    if (here == part) return true;
    begin += here.size() + 1;
  }
  return false;
}

}  // namespace qkv

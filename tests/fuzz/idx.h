// Any bytes as pictures and labels in IDX.
#pragma once

#include <algorithm>
#include <vector>

#include "fuzz/target.h"

#include "qkv/base/error.h"
#include "qkv/media/gunzip.h"
#include "qkv/media/picture_tables.h"

namespace qkv {

inline void fuzz_idx(std::string_view bytes) {
  try {
    const IdxArray array = parse_idx(gunzip(std::string(bytes), "fuzz", 1 << 20), "fuzz");
    std::int64_t count = 1;
    const bool empty = std::ranges::count(array.sizes, 0) > 0;  // other sizes may be any
    for (const std::int64_t size : array.sizes) count *= empty ? 0 : size;
    fuzz_require(count == static_cast<std::int64_t>(array.bytes.size()), "a size lies");
    const IdxArray labels{
        {array.sizes[0]},
        std::vector<std::uint8_t>(
            static_cast<std::size_t>(std::min<std::int64_t>(array.sizes[0], 1000)), 1)};
    if (labels.bytes.size() != static_cast<std::size_t>(array.sizes[0])) return;
    const PictureSet set = idx_pictures(array, "fuzz", labels, "labels");
    fuzz_require(set.pictures.size() == labels.bytes.size(), "pictures are missing");
  } catch (const Error&) {
  }
}

inline std::vector<std::string> idx_seeds() {
  using namespace std::string_literals;
  return {"\0\0\x08\3\0\0\0\2\0\0\0\1\0\0\0\3\1\2\3\4\5\6"s, "\0\0\x08\1\0\0\0\2\7\2"s,
          "\x1f\x8b\x08\0\0\0\0\0\0\3\x63\x60\xe0\x60\x04\x00\0\0\0\0\0\0\0\0"s};
}

}  // namespace qkv

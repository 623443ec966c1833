// Masks as text, a row a line: what a reader can check.
#pragma once

#include <string>

#include "qkv/attention/mask.h"

namespace qkv::testing {

inline std::string picture(const Mask& mask, std::int64_t queries, std::int64_t keys) {
  const auto dense = materialise(mask, queries, keys);
  std::string text;
  for (std::int64_t i = 0; i < queries; ++i) {
    for (std::int64_t j = 0; j < keys; ++j) {
      text += dense[static_cast<std::size_t>(i * keys + j)] ? '#' : '.';
    }
    text += '\n';
  }
  return text;
}

}  // namespace qkv::testing

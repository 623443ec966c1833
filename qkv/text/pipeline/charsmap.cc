#include "qkv/text/pipeline/charsmap.h"

#include <algorithm>

#include "qkv/base/error.h"

namespace qkv::pipeline {
namespace {

// A unit of the double array (darts-clone): a label of eight bits, an offset to the children, and
// whether a value stands under the first of them.
std::uint32_t label_of(std::uint32_t unit) { return unit & ((1U << 31) | 0xFFU); }
std::uint32_t offset_of(std::uint32_t unit) { return (unit >> 10) << ((unit & (1U << 9)) >> 6); }
bool has_value(std::uint32_t unit) { return ((unit >> 8) & 1U) != 0; }
std::uint32_t value_of(std::uint32_t unit) { return unit & ((1U << 31) - 1); }

std::uint32_t read_u32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return value;
}

}  // namespace

Charsmap::Charsmap(std::string_view bytes) {
  if (bytes.size() < 8) fail("the table of characters is cut off");
  const std::uint32_t size = read_u32(bytes);
  bytes.remove_prefix(4);
  if (size == 0 || size % 4 != 0 || size > bytes.size()) fail("the table of characters is damaged");
  for (std::size_t at = 0; at < size; at += 4) units_.push_back(read_u32(bytes.substr(at)));
  texts_ = bytes.substr(size);
  for (unsigned c = 0; c < 128; ++c) {
    const char text = static_cast<char>(c);
    changes_[c] = replacement({&text, 1}).has_value();
  }
}

std::optional<std::string_view> Charsmap::replacement(std::string_view text) const {
  std::size_t at = offset_of(units_[0]);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) return std::nullopt;
    at ^= byte;
    if (at >= units_.size() || label_of(units_[at]) != byte) return std::nullopt;
    const std::uint32_t unit = units_[at];
    at ^= offset_of(unit);
    if (!has_value(unit)) continue;
    if (at >= units_.size()) return std::nullopt;
    const std::size_t begin = value_of(units_[at]);
    if (begin >= texts_.size()) return std::string_view();
    const std::size_t end = std::min(texts_.find('\0', begin), texts_.size());
    return std::string_view(texts_).substr(begin, end - begin);
  }
  return std::nullopt;
}

bool Charsmap::keeps_ascii(std::string_view text) const {
  return std::none_of(text.begin(), text.end(), [this](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || byte == '\r' || changes_[byte];
  });
}

}  // namespace qkv::pipeline

// The header of a safetensors file, checked; used by safetensors.cc only.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/base/shape.h"

namespace qkv {

/// The element types of the format with whole bytes. Only the floating-point ones become tensors;
/// files of others (token numbers, masks) can still be opened.
struct StoredType {
  std::string_view name;
  std::size_t bytes;
};

struct StoredTensor {
  std::string name;
  const StoredType* type = nullptr;
  Shape shape;
  std::size_t begin = 0;  // of its numbers, from the start of the file
  std::size_t end = 0;
};

struct SafetensorsHeader {
  std::vector<StoredTensor> tensors;  // in the order of the file: no gap, no overlap
  std::map<std::string, std::string> metadata;
  std::size_t data_begin = 0;
};

/// The keys of the checksums in the metadata, each of eight hexadecimal digits.
constexpr const char* kNumbersChecksum = "qkv.crc32";
constexpr const char* kHeaderChecksum = "qkv.header.crc32";
/// Where the digits of the header's own checksum stand in its text; npos when there are none.
std::size_t header_digits(std::string_view header);
/// The checksum of a header with those digits as zeros.
std::string header_checksum(std::string header);

/// The header of the file that is `bytes`; afterwards every [begin, end) lies inside it and holds
/// just the numbers of its shape. Throws DataError; memory stays in proportion to the file.
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> bytes,
                                           const std::string& file);

}  // namespace qkv

// Arrays as NumPy would write them, and others.
#pragma once

#include <cstring>
#include <string>
#include <vector>

namespace qkv {

/// Format 1; `type` with its quotes.
inline std::string npy_header(const std::string& type, const std::string& shape,
                              const std::string& columns_first = "False") {
  std::string header =
      "{'descr': " + type + ", 'fortran_order': " + columns_first + ", 'shape': " + shape + ", }";
  while ((header.size() + 11) % 64 != 0) header += ' ';
  header += '\n';
  const char length[] = {static_cast<char>(header.size() & 0xFF),
                         static_cast<char>(header.size() >> 8)};
  return std::string("\x93NUMPY\x01\x00", 8) + std::string(length, 2) + header;
}

inline std::string npy_bytes(const std::string& shape, const std::vector<float>& numbers) {
  std::string bytes(4 * numbers.size(), '\0');
  std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return npy_header("'<f4'", shape) + bytes;
}

}  // namespace qkv

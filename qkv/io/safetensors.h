// Safetensors, the weight files of Hugging Face: named tensors, mapped rather than read.
//
//   u64 (little-endian)  n, the length of the header
//   n bytes              JSON {"__metadata__": {text: text}, "name": {"dtype": "F32",
//                        "shape": [2, 3], "data_offsets": [begin, end]}, …}, padded with spaces
//   the rest             the numbers, little-endian, row-major, end to end without gaps
// Offsets count from the end of the header. Source: the format's description and the checks of its
// Rust implementation, https://github.com/huggingface/safetensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/tensor/tensor.h"

namespace qkv {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

struct SafetensorsOptions {
  /// Writes the checksum of the numbers into the metadata ("qkv.crc32"; one more pass over them)
  /// and that of the header, its own digits as zeros ("qkv.header.crc32").
  bool checksum = true;
};

/// Writes f32 and f64 tensors in the given order (f64 first, so that all are aligned), straight
/// from their memory, through a temporary file: on any error the old file is untouched. The numbers
/// begin at a multiple of 64 bytes; equal input gives equal bytes. Throws Error for a name that is
/// empty, given twice or not printable UTF-8, FileError when writing fails.
void save_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                      const std::map<std::string, std::string>& metadata = {},
                      SafetensorsOptions options = {});
/// The same bytes, handed to `append` piece by piece.
void write_safetensors(const std::function<void(std::string_view)>& append,
                       std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata = {},
                       SafetensorsOptions options = {});

/// A file open for reading. The constructor checks the whole structure, not the numbers: see
/// verify() and check_finite(). Errors are DataError with the file, the tensor and the byte.
/// Copies share the map; const functions may be called from many threads. The file must not be
/// changed in place while it is open (save_safetensors replaces it, which is safe).
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  /// A file that is in memory already; `owner` keeps the bytes alive, `name` is for messages.
  SafetensorsFile(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                  std::string name);

  /// In the order of their numbers in the file.
  const std::vector<std::string>& names() const;
  const std::map<std::string, std::string>& metadata() const;
  bool contains(std::string_view name) const;
  /// These throw DataError when there is no such tensor. The type is as the file spells it: "BF16".
  const Shape& shape(std::string_view name) const;
  std::string_view dtype(std::string_view name) const;

  /// F32, F16 and BF16 come as f32, F64 as f64; DataError for other types. An aligned F32 tensor is
  /// the file's own memory: READ-ONLY (writing to it crashes), alive as long as the tensor. All
  /// others are copies.
  Tensor tensor(std::string_view name) const;
  /// Always in memory of its own, free to be changed.
  Tensor tensor_copy(std::string_view name) const;
  /// As tensor(), but F64 is narrowed to the nearest f32; DataError for a number beyond its range.
  Tensor float_tensor(std::string_view name) const;

  /// Whether a tensor of I64 or I32 holds 0, step, 2·step … along its last axis.
  bool counts_up(std::string_view name, std::int64_t step) const;

  /// Checks the numbers against the checksum; false when the file has none. Throws DataError.
  bool verify() const;
  /// The same for the header: names, shapes, metadata.
  bool verify_header() const;
  /// CRC-32 of the whole file, without reading the numbers again after verify() has passed.
  std::uint32_t checksum() const;
  /// The size of the file, and of all its numbers.
  std::uint64_t bytes() const;
  std::uint64_t number_bytes() const;
  /// For messages.
  const std::string& path() const;
  /// Throws DataError naming the first tensor and index with NaN or infinity. Skips integers.
  void check_finite() const;

 private:
  struct Contents;
  std::shared_ptr<const Contents> contents_;
};

}  // namespace qkv

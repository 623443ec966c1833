// Arrays as NumPy keeps them, .npy (its format 1 to 3), the members of an .npz:
//   "\x93NUMPY", u8 major and minor version, u16 (u32 from version 2 on) length of the header
//   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
//   the numbers
// Little-endian f4, f2, i1 and u1 in C order are read. Source: NumPy's documentation of the format.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/tensor/tensor.h"

namespace qkv {

/// Views into the bytes that it was read from.
struct NpyArray {
  std::string type;  // "f4", "f2", "i1", "u1"
  std::vector<std::int64_t> shape;
  std::string_view numbers;

  /// `path` is for the DataError of what is damaged, or of another kind.
  static NpyArray parse(std::string_view bytes, const std::string& path);
  /// f4 or f2 as f32, of one or two sides; all numbers are finite. Throws DataError.
  Tensor tensor(const std::string& path) const;
};

}  // namespace qkv

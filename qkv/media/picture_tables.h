// Many small pictures in one file: IDX (MNIST's) and CIFAR's binary form.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/media/picture.h"

namespace qkv {

/// Labelled pictures.
struct PictureSet {
  std::vector<Picture> pictures;
  std::vector<int> labels;           // of each, an index into the classes
  std::vector<std::string> classes;  // their names
  std::int64_t skipped = 0;          // files that were broken
};

/// Bytes with up to eight sizes.
struct IdxArray {
  std::vector<std::int64_t> sizes;
  std::vector<std::uint8_t> bytes;
};
/// 0, 0, the type (8: bytes; others are refused by name), the number of sizes, each in four bytes,
/// big end first, then the bytes and nothing behind them. Throws DataError; sizes are looked at
/// before anything is allocated.
IdxArray parse_idx(std::string_view bytes, std::string_view name);

/// Grey pictures [n height width] and their labels [n]; the classes are named "0", "1" … up to the
/// largest. Throws DataError when the two do not fit.
PictureSet idx_pictures(const IdxArray& images, std::string_view images_name,
                        const IdxArray& labels, std::string_view labels_name);

/// Records of a label and 32 × 32 bytes each of red, green and blue. `classes` are the names of the
/// labels 0, 1 …; without them they are numbers, of which CIFAR-10 has ten. Throws DataError for a
/// cut record or a label that is none.
PictureSet parse_cifar(std::string_view bytes, std::string_view name,
                       std::vector<std::string> classes = {});

}  // namespace qkv

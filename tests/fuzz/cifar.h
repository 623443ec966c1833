// Any bytes as records of CIFAR.
#pragma once

#include <vector>

#include "fuzz/target.h"

#include "qkv/base/error.h"
#include "qkv/media/picture_tables.h"

namespace qkv {

inline void fuzz_cifar(std::string_view bytes) {
  std::string whole(bytes);  // filled to a whole record, so that labels are looked at
  for (const bool fill : {false, true}) {
    if (fill) whole.resize((whole.size() + 3073) / 3073 * 3073);
    try {
      const PictureSet set = parse_cifar(whole, "fuzz");
      fuzz_require(set.pictures.size() * 3073 == whole.size(), "records are missing");
      for (const int label : set.labels) fuzz_require(label >= 0 && label < 10, "no label");
    } catch (const Error&) {
    }
  }
}

inline std::vector<std::string> cifar_seeds() {
  return {std::string(3073, '\5'), std::string(2 * 3073, '\0'), std::string(10, '\t')};
}

}  // namespace qkv

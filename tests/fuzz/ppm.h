// Any bytes as a portable map.
#pragma once

#include <vector>

#include "fuzz/picture.h"
#include "media/fill.h"

namespace qkv {

inline void fuzz_ppm(std::string_view bytes) { fuzz_picture(bytes, "P"); }

inline std::vector<std::string> ppm_seeds() {
  return {encode_ppm(noise_picture(1, 1, 3, 4)), encode_ppm(noise_picture(2, 3, 5, 4)),
          "P5 # comment\n 2\t1\n#\n1023\nabcd", "P6 1 1 7 \1\2\3"};
}

}  // namespace qkv

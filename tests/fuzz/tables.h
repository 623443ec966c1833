// Any bytes as a table of numbers, and as clips.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "fuzz/scratch.h"
#include "fuzz/target.h"

#include "qkv/base/error.h"
#include "qkv/base/number.h"
#include "qkv/data/clips.h"
#include "qkv/data/number_table.h"

namespace qkv {

inline void fuzz_tables(std::string_view bytes) {
  static ScratchFile file;
  const std::string& path = file.write(bytes);
  try {
    const NumberTable table = read_number_table(path);
    fuzz_require(table.rows() > 0 && table.columns() > 0, "nothing was read");
    fuzz_require(table.rows() * table.columns() == static_cast<std::int64_t>(table.values.size()),
                 "rows differ");
    for (const double value : table.values) fuzz_require(std::isfinite(value), "not finite");
  } catch (const Error&) {
  }
  try {
    for (const Clip& clip : read_clips(path)) {
      fuzz_require(
          static_cast<std::int64_t>(clip.numbers.size()) == clip.frames * clip.joints * clip.values,
          "numbers are missing");
      for (const float value : clip.numbers) fuzz_require(std::isfinite(value), "not finite");
    }
  } catch (const Error&) {
  }
  const auto wide = parse_double(bytes);
  const auto narrow = parse_float(bytes);
  fuzz_require(!narrow || wide, "a float that is no double");
  fuzz_require(!wide || std::isfinite(*wide), "not finite");
}

inline std::vector<std::string> tables_seeds() {
  return {"a,b\n1,2\n\n# no row\n-3.5,+4e1\n",
          "a\tb\r\n1\t2\r\n-3.5\t1e-400\r\n",
          "1 2 3\n4 5 6",
          "\"metres, up\",\"the \"\"s\"\"\"\n\"2\",3\n",
          ",x\n1,2\n",
          "1,NA\n2,3\n",
          "-1.5e-3",
          "clip 1 0 wave train 2 2 3\n1 2 3 4 5 6\n1e-46 2 3 4 5 -6\nclip 2 1 run 1 2 3\n1 2 3 4 5 "
          "6\n"};
}

}  // namespace qkv

// Any bytes as a mask: the parser, and what it prints read back.
#pragma once

#include <string>
#include <vector>

#include "fuzz/target.h"

#include "qkv/attention/parse_mask.h"
#include "qkv/base/error.h"

namespace qkv {

inline void fuzz_mask(std::string_view bytes) {
  std::string printed;
  try {
    printed = to_string(parse_mask(bytes));
  } catch (const Error&) {
    return;
  }
  // Long data is not printed in full.
  if (printed.find("…") != printed.npos || printed.find(" edges)") != printed.npos) return;
  try {
    fuzz_require(to_string(parse_mask(printed)) == printed, "another mask after printing");
  } catch (const Error&) {
    fuzz_require(false, "what was printed cannot be read");
  }
}

inline std::vector<std::string> mask_seeds() {
  return {"causal() & window(256)",
          "~(causal() | documents([0, 0, 1, 1]))",
          "segments([2, 3, 3]) & window(2, 1)",
          "block_sparse(8, 1)",
          "graph([0, 1], [1, 0])",
          "bits([110, 011])",
          "causal(top_left) | sinks(4)",
          "((((causal()))))",
          "window(-1)"};
}

}  // namespace qkv

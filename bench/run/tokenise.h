// Cutting the lines of a text into the tokens of a model; loading and reading are not timed.
#pragma once

#include "bench/run/bench.h"

namespace qkv::bench {

struct TokeniseBenchOptions {
  std::string model, file;
  bool full = false;
  int runs = 5;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({.name = "model", .help = "Directory with the tokeniser of a model", .required = true},
          o.model);
    visit({"full", "With pieces and offsets, one line after the other on one thread"}, o.full);
    visit({"runs", "Runs measured", runs_bounds()}, o.runs);
  }
};
Report tokenise(const TokeniseBenchOptions& options, const Say& say);

}  // namespace qkv::bench

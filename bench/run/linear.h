// What a token costs as sequences grow, under linear attention and under softmax, and from which
// length on the first is cheaper.
#pragma once

#include "bench/run/bench.h"

namespace qkv::bench {

struct LinearOptions {
  std::int64_t heads = 1, dim = 64;
  std::int64_t longest = 65536, softmax_longest = 4096;
  int runs = 7;
  std::string output;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"heads", "Heads", between(1, 1 << 16)}, o.heads);
    visit({"dim", "Width of a head", between(1, 1 << 16)}, o.dim);
    visit({"longest", "Tokens of the longest sequence", between(16, 1 << 24)}, o.longest);
    visit({"softmax_longest", "The same for softmax", between(0, 1 << 24)}, o.softmax_longest);
    visit({"runs", "Runs measured, of which the median counts", runs_bounds()}, o.runs);
    visit({"output", "Draw the forward costs as an SVG"}, o.output);
  }
};
Report linear(const LinearOptions& options, const Say& say);

}  // namespace qkv::bench

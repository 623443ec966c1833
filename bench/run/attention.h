// The fused attention kernels over a grid of shapes and masks, forward and backward.
#pragma once

#include "bench/run/bench.h"

namespace qkv::bench {

struct AttentionOptions {
  std::vector<std::string> shapes{"all"};
  double seconds = 0.5;
  bool list = false;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"shapes",
           "all, large, mixed, small, or shapes such as b1-h8/2-n128:1024-d64-causal "
           "(masks: full, causal, window<size>, lengths), separated by commas"},
          o.shapes);
    visit({"seconds", "About how long to measure each direction of a shape", positive()},
          o.seconds);
    visit({"list", "Print the names of the shapes only"}, o.list);
  }
};
Report attention(const AttentionOptions& options, const Say& say);

}  // namespace qkv::bench

// The whole of additive attention at the shapes of bench/peers/torch_additive.py: both projections,
// the scores, softmax and the product with the values, forward alone and with the gradients of all
// inputs and weights.
#pragma once

#include "bench/run/bench.h"

namespace qkv::bench {

struct AdditiveOptions {
  std::int64_t hidden = 256;
  int runs = 9;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"hidden", "Hidden units, and width of queries, keys and values", side_bounds()},
          o.hidden);
    visit({"runs", "Runs measured, of which the median counts", runs_bounds()}, o.runs);
  }
};
Report additive(const AdditiveOptions& options, const Say& say);

}  // namespace qkv::bench

// A layer of graph attention as its graph grows, forward and with all gradients: seconds and memory
// an edge, which should not change with the number of edges.
#pragma once

#include "bench/run/bench.h"

namespace qkv::bench {

struct GraphOptions {
  std::int64_t edges = 1'000'000;  // of the largest graph; the others have 1/16 and 1/4 of them
  std::int64_t degree = 10;        // edges a node
  std::int64_t features = 16;
  std::int64_t heads = 4, width = 8;
  int runs = 3;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"edges", "Edges of the largest graph", between(16, 1e9)}, o.edges);
    visit({"degree", "Edges a node", between(1, 1e6)}, o.degree);
    visit({"features", "Features of a node", side_bounds()}, o.features);
    visit({"heads", "Heads", side_bounds()}, o.heads);
    visit({"width", "Features of a head", side_bounds()}, o.width);
    visit({"runs", "Runs measured, of which the median counts", runs_bounds()}, o.runs);
  }
};
Report graph(const GraphOptions& options, const Say& say);

}  // namespace qkv::bench

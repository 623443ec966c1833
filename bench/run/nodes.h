// A training step of a network of nodes on a graph of the sizes of Cora: 2,708 nodes of 1,433
// features, 18 of them not 0, 5,278 edges, 140 nodes to learn from. Which nodes and features is
// random; the work is the same. bench/peers/torch_pictures.py --graph runs the step in PyTorch.
#pragma once

#include "bench/run/bench.h"

#include "qkv/models/node_network.h"

namespace qkv::bench {

struct NodesOptions {
  NodeKind kind = NodeKind::gat;
  int runs = 20;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"kind", "Of network, with its published sizes"}, o.kind);
    visit({"runs", "Runs measured, of which the median counts", runs_bounds()}, o.runs);
  }
};
Report nodes(const NodesOptions& options, const Say& say);

}  // namespace qkv::bench

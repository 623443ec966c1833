// Any bytes as files of nodes, edges and graphs: the three between form feeds, read in each form of
// features.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "fuzz/scratch.h"
#include "fuzz/target.h"

#include "qkv/base/error.h"
#include "qkv/data/node_files.h"

namespace qkv {

inline void check_graph(const NodeGraph& g) {
  const auto nodes = static_cast<std::size_t>(g.nodes());
  fuzz_require(nodes > 0, "nothing was read");
  fuzz_require(g.classes.size() == nodes && g.parts.size() == nodes && g.line_of.size() == nodes &&
                   g.neighbours.size() == nodes && g.features->rows() == g.nodes() &&
                   g.segments.total() == g.nodes(),
               "a node lacks something");
  fuzz_require(g.weights.empty() || g.weights.size() == nodes, "weights are missing");
  for (std::size_t n = 0; n < nodes; ++n) {
    const auto& keys = g.neighbours[n];
    fuzz_require(std::is_sorted(keys.begin(), keys.end()) &&
                     std::adjacent_find(keys.begin(), keys.end()) == keys.end() &&
                     std::binary_search(keys.begin(), keys.end(), static_cast<std::int64_t>(n)),
                 "neighbours are not sorted, twice there or without the node");
    fuzz_require(keys.front() >= 0 && keys.back() < g.nodes(), "a neighbour is no node");
    if (!g.weights.empty()) fuzz_require(g.weights[n].size() == keys.size(), "a weight is missing");
  }
  for (std::size_t e = 0; e < g.features->column.size(); ++e) {
    fuzz_require(g.features->column[e] >= 0 && g.features->column[e] < g.features->columns,
                 "a feature is out of range");
    fuzz_require(std::isfinite(g.features->value[e]) && g.features->value[e] != 0,
                 "a feature is no number, or 0");
  }
}

inline void fuzz_nodes(std::string_view bytes) {
  static ScratchFile nodes, edges, graphs;
  const std::size_t first = std::min(bytes.find('\f'), bytes.size());
  const std::size_t second = std::min(bytes.find('\f', first + 1), bytes.size());
  NodeFiles files{
      .nodes = nodes.write(bytes.substr(0, first)),
      .edges = edges.write(first < bytes.size() ? bytes.substr(first + 1, second - first - 1) : ""),
      .graphs = {}};
  if (second < bytes.size()) files.graphs = graphs.write(bytes.substr(second + 1));
  for (const FeatureForm form : {FeatureForm::ones, FeatureForm::sparse, FeatureForm::dense}) {
    for (const bool directed : {false, true}) {
      files.features = form;
      files.directed = directed;
      try {
        check_graph(read_nodes(files));
      } catch (const Error&) {
      }
    }
  }
}

inline std::vector<std::string> nodes_seeds() {
  return {"a\tx\ttrain\t0 2\nb\ty\tvalid\t1\nc\t-\t-\t\n\f# edges\na\tb\nb\tc\t0.5\na\ta\nb\ta\n",
          "a\tx\ttrain\t0:1.5 7:-2\nb\t-\ttest\t3:1e-3\n\fa\tb\t2\n\fa\tone\nb\tone\n",
          "a\tx\ttrain\t1 2 3\nb\ty\ttest\t4 5 6\n\f\n\fb\ttwo\na\tone\n"};
}

}  // namespace qkv

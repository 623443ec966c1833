// Graphs from files, plain or gzipped, fields between tabs:
//   nodes   id, class (or -), part (train, valid, test, -), features
//   edges   id, id [, weight]; lines that begin with # are comments
//   graphs  id, graph: several graphs in one file; without it all nodes are one graph
// Ids are any texts. Blank lines are passed over.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/tensor/segments.h"
#include "qkv/tensor/sparse_rows.h"

namespace qkv {

/// How the features of a node are written.
enum class FeatureForm : std::uint8_t {
  ones,    ///< the numbers of those that are 1, from 0: 19 81 146
  sparse,  ///< number:value of those that are not 0: 19:0.5 81:1.25
  dense,   ///< all values, as many in every line
};
constexpr std::array<std::string_view, 3> spelling(FeatureForm) {
  return {"ones", "sparse", "dense"};
}

struct NodeFiles {
  std::string nodes, edges, graphs;
  FeatureForm features = FeatureForm::ones;
  bool directed = false;

  template <class Self, class Visit>
  static void each(Self& f, Visit&& visit) {
    visit({"nodes", "Of graphs: id TAB class (or -) TAB train, valid, test or - TAB features"},
          f.nodes);
    visit({"edges", "id TAB id [TAB weight]; # comments"}, f.edges);
    visit({"graphs", "id TAB graph, where there are several; edges stay within one"}, f.graphs);
    visit({"features", "How they are written: 19 81, 19:0.5 81:1, or every value"}, f.features);
    visit({"directed", "An edge goes from the first to the second, which sees the first"},
          f.directed);
  }
  /// Whether anything of it was said.
  bool given() const {
    return !nodes.empty() || !edges.empty() || !graphs.empty() || features != FeatureForm::ones ||
           directed;
  }
};

enum class NodePart : std::uint8_t { none, train, valid, test };
constexpr std::array<std::string_view, 4> spelling(NodePart) {
  return {"none", "train", "valid", "test"};
}

/// Nodes are numbered graph after graph, in each as the file has them.
struct NodeGraph {
  std::vector<std::string> ids;       // [N]
  std::vector<std::string> classes;   // [N]; empty: unknown
  std::vector<NodePart> parts;        // [N]
  std::vector<std::int64_t> line_of;  // [N]: in which line of the file the node stands
  std::shared_ptr<const SparseRows> features;
  /// Whom each node sees, ascending, itself always among them.
  std::vector<std::vector<std::int64_t>> neighbours;
  /// The weights of these, 1 of itself; empty where no edge has one.
  std::vector<std::vector<float>> weights;
  std::vector<std::string> graphs;  // names; one empty name without a file of graphs
  Segments segments;                // N nodes in graphs

  std::int64_t nodes() const { return static_cast<std::int64_t>(ids.size()); }
  std::int64_t edges() const;  // pairs that see each other, themselves not counted
  /// The nodes of a part whose class is known.
  std::vector<std::int64_t> labelled(NodePart part) const;
  /// The nodes in the order of the file.
  std::vector<std::int64_t> in_file_order() const;
};

/// Edges that are given twice count once, loops are passed over (a notice() tells of both).
/// Throws UsageError without a file of nodes or of edges, DataError with file and line for an
/// unknown or second id, an edge between two graphs, two weights of one edge, and whatever is not
/// as written above.
NodeGraph read_nodes(const NodeFiles& files);

}  // namespace qkv

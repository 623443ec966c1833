// Labels for the nodes of graphs: rows of features in, a class a node out.
//
//   gat     graph attention (Veličković et al. 2018): heads side by side and ELU between layers,
//           the mean of `out_heads` heads in the last one
//   gatv2   the same with GATv2's score (Brody et al. 2022)
//   gcn     graph convolution (Kipf & Welling 2017): fixed weights, ReLU between layers, no biases
//   mlp     the layers of gcn without the graph: what the features alone can tell
//
// Nodes of several graphs are packed end to end. A node gets the same numbers whatever it does not
// see, over as many edges as there are layers.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/nn/graph_attention.h"

namespace qkv {

enum class NodeKind : std::uint8_t { gat, gatv2, gcn, mlp };
constexpr std::array<std::string_view, 4> spelling(NodeKind) {
  return {"gat", "gatv2", "gcn", "mlp"};
}

struct NodeBatch {
  NodeRows features;   // [N C]
  GraphWeights graph;  // its weights for gcn alone
};

struct NodeLoss {
  Tensor loss;  // scalar, differentiable
  double nll_sum = 0;
  std::int64_t nodes = 0, correct = 0;  // of those that count
};

struct NodeNetwork {
  struct Config {
    NodeKind kind = NodeKind::gat;
    std::int64_t features = 0;   // C
    std::int64_t classes = 0;    // K
    std::int64_t layers = 2;     // the last gives the classes
    std::int64_t heads = 8;      // gat, gatv2
    std::int64_t width = 8;      // of a head; of gcn and mlp of a layer
    std::int64_t out_heads = 1;  // gat, gatv2: heads of the last layer, averaged
    double slope = 0.2;          // gat, gatv2: of LeakyReLU
    double dropout = 0.6;        // of rows; gat, gatv2: of weights and values too

    template <class Self, class Visit>
    static void each(Self& c, Visit&& visit) {
      visit({"kind"}, c.kind);
      visit({"features"}, c.features);
      visit({"classes"}, c.classes);
      visit({"layers", "The last gives the classes", between(1, 64)}, c.layers);
      visit({"heads", "gat, gatv2: of each layer but the last", side_bounds()}, c.heads);
      visit({"width", "Of a head; gcn, mlp: of a layer", side_bounds()}, c.width);
      visit({"out_heads", "gat, gatv2: of the last layer, averaged", side_bounds()}, c.out_heads);
      visit({"slope", "gat, gatv2: of LeakyReLU below 0", between(0, 1)}, c.slope);
      visit({"dropout", "Of features; gat, gatv2: of weights and values too", share()}, c.dropout);
    }
    /// Throws with the field's name when a value makes no model.
    void check() const;
    bool attends() const { return kind == NodeKind::gat || kind == NodeKind::gatv2; }
  };
  using Layer = OneOf<GraphAttention, GraphConvolution>;

  Config config;
  std::vector<Layer> layers;

  static NodeNetwork make(Initialiser init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("layers", m.layers);
  }

  /// [N K]
  Tensor logits(const NodeBatch& batch) const;
  /// scale · Σ −log p(classes[i]) over the nodes with one, −1 is none.
  NodeLoss loss(const NodeBatch& batch, std::span<const std::int32_t> classes,
                double scale = 1.0) const;
};

/// −log p and how many are right, of logits [N K] that exist.
NodeLoss node_loss(const Tensor& logits, std::span<const std::int32_t> classes, double scale = 1.0);

}  // namespace qkv

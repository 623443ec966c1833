// Layers over the nodes of a graph: who sees whom is the mask (graph(neighbours), each node among
// its own), so each costs as much as the graph has edges.
//
//   GraphAttention    gat    z = h W, e_ij = LeakyReLU(a₁·z_i + a₂·z_j), out = softmax(e) z
//                            (Veličković et al. 2018): Additive with one unit
//                     gatv2  e_ij = a·LeakyReLU(h_i W_q + h_j W), out = softmax(e) h W
//                            (Brody et al. 2022): Additive with the features of a head
//   GraphConvolution  out = D^−½ A D^−½ h W (Kipf & Welling 2017): attention with fixed weights
//
// Rows are [N C] or sparse. A node's result depends on the nodes that it sees alone.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <variant>

#include "qkv/attention/attend.h"
#include "qkv/nn/module.h"
#include "qkv/ops/linear.h"
#include "qkv/tensor/sparse_rows.h"

namespace qkv {

/// What is known of each node: few numbers that are not zero, or a layer's output [N C].
using NodeRows = std::variant<std::shared_ptr<const SparseRows>, Tensor>;
/// dropout(x) · weight [C H·O] -> [N H·O]; each head draws its own dropout.
Tensor project_nodes(const NodeRows& x, const Tensor& weight, std::int64_t heads, double dropout);

struct GraphAttention {
  enum class Match : std::uint8_t { gat, gatv2 };
  struct Config {
    std::int64_t features = 0;  // C
    std::int64_t heads = 8;     // H
    std::int64_t width = 8;     // F' of a head
    Match match = Match::gat;
    bool average = false;  // of the heads; else they stand side by side
    double slope = 0.2;    // of LeakyReLU
    Activation activation = Activation::elu;
    double feature_dropout = 0.0;  // of the rows, and once more of the values
    double dropout = 0.0;          // of the weights, behind the softmax
  };
  Config config;
  Tensor weight;  // W [C H·F']
  Tensor query;   // W_q [C H·F'] of gatv2; undefined otherwise
  Tensor own;     // a₁ [H F'] of gat, of the node that looks; a of gatv2
  Tensor seen;    // a₂ [H F'] of gat, of the node that is seen; undefined otherwise
  Tensor bias;    // [H·F'], or [F'] of the average

  /// Glorot-uniform, a head for itself as published; biases 0.
  static GraphAttention make(Initialiser& init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("weight", m.weight);
    visit("query", m.query);
    visit("own", m.own);
    visit("seen", m.seen);
    visit("bias", m.bias);
  }

  /// x [N C] -> [N H·F'], or [N F'] of the average.
  Tensor operator()(const NodeRows& x, const Mask& neighbours) const;
};
constexpr std::array<std::string_view, 2> spelling(GraphAttention::Match) {
  return {"gat", "gatv2"};
}

/// The fixed weights D^−½ A D^−½ of a graph.
struct GraphWeights {
  Mask neighbours = everything();
  Tensor inverse_root;  // [N]: 1/√d_i, d_i the sum of the weights of row i; 0 for a row of none
  /// The weight A_ij of what row i sees, where it is not 1: a bias that multiplies.
  Biases edges = {};
};

struct GraphConvolution {
  Tensor weight;  // [C O]
  double feature_dropout = 0.0;
  Activation activation = Activation::relu;

  static GraphConvolution make(Initialiser& init, std::int64_t in, std::int64_t out,
                               Activation activation, double feature_dropout) {
    return {init.xavier({in, out}), feature_dropout, activation};
  }
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("weight", m.weight);
  }
  /// x [N C] -> [N O]
  Tensor operator()(const NodeRows& x, const GraphWeights& graph) const;
  /// The same without a graph: every node alone.
  Tensor operator()(const NodeRows& x) const;
};

}  // namespace qkv

// Training a model of the nodes of a graph: the published recipes, the whole graph as one batch,
// the two-fold stopping rule, the task for train().
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "qkv/data/node_files.h"
#include "qkv/systems/node_model.h"
#include "qkv/train/run.h"

namespace qkv {

/// Which weights are held small.
enum class PenaltyOver : std::uint8_t {
  all,    ///< every one, biases too
  first,  ///< those of the first layer
};
constexpr std::array<std::string_view, 2> spelling(PenaltyOver) { return {"all", "first"}; }

/// Everything that makes a model of nodes besides the graph (docs/models.md).
struct NodeRecipe : NodeDesign {
  TrainOptions train;
  double penalty = 5e-4;  // λ of λ/2 Σ w²
  PenaltyOver penalty_over = PenaltyOver::all;

  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    visit({"scale", "Of features: row_sum (divided by their sum) or none"}, r.scale);
    visit(changeable({"penalty", "λ of λ/2 Σ w², added to the loss", non_negative()}), r.penalty);
    visit(changeable({"penalty_over", "Over all weights, or those of the first layer"}),
          r.penalty_over);
  }
  /// Throws Error for what cannot be, before any file is read.
  void check() const;
};
/// As published: gat, gatv2 (Adam .005, dropout .6, penalty over all, until neither loss nor
/// accuracy was as good as before for 100 epochs); gcn and mlp (Adam .01, dropout .5, width 16,
/// penalty over the first layer, 200 epochs).
NodeRecipe node_recipe(NodeKind kind);

/// The whole run on the nodes of part `train`, judged by those of `valid` each epoch; `run` says
/// where and whether it goes on. Throws Error before the first step for what cannot be.
TrainReport train_nodes(const NodeRecipe& recipe, const NodeGraph& graph, TrainingRun& run,
                        const TrainWatch& watch = {});

struct NodeTraining {
  const NodeBatch& batch;
  std::vector<std::int32_t> train, valid;  // classes, −1 for all other nodes
  double penalty = 0;
  PenaltyOver penalty_over = PenaltyOver::all;
};
/// λ/2 Σ w² over a network's weights, a scalar.
Tensor weight_penalty(const NodeNetwork& network, double penalty, PenaltyOver over);
/// The task of train() for `model`; both must outlive it.
TrainTask node_task(NodeModel& model, const NodeTraining& training);

}  // namespace qkv

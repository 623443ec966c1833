#include "bench/run/nodes.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include <fmt/core.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/parallel.h"
#include "qkv/train/nodes.h"
#include "qkv/train/optimiser.h"

namespace qkv::bench {
namespace {

constexpr std::int64_t kNodes = 2708, kEdges = 5278, kFeatures = 1433, kOnes = 18, kClasses = 7;
constexpr std::int64_t kTraining = 140;

std::int64_t below(Philox& random, std::int64_t end) {
  return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(end)));
}

NodeGraph random_graph() {
  Philox random(1);
  NodeGraph graph;
  graph.graphs = {""};
  graph.segments = Segments::one(kNodes);
  SparseRows features;
  features.columns = kFeatures;
  std::vector<std::set<std::int64_t>> seen(kNodes);
  for (std::int64_t n = 0; n < kNodes; ++n) {
    graph.ids.push_back(std::to_string(n));
    graph.classes.push_back(std::to_string(n % kClasses));
    graph.parts.push_back(n < kTraining ? NodePart::train : NodePart::valid);
    seen[static_cast<std::size_t>(n)].insert(n);
    std::set<std::int64_t> ones;
    while (std::ssize(ones) < kOnes) ones.insert(below(random, kFeatures));
    for (const std::int64_t one : ones) {
      features.column.push_back(static_cast<std::int32_t>(one));
      features.value.push_back(1.0f);
    }
    features.offsets.push_back(features.entries());
  }
  for (std::int64_t edges = 0; edges < kEdges;) {
    const std::int64_t i = below(random, kNodes), j = below(random, kNodes);
    if (!seen[static_cast<std::size_t>(i)].insert(j).second) continue;
    seen[static_cast<std::size_t>(j)].insert(i);
    ++edges;
  }
  for (const auto& row : seen) graph.neighbours.emplace_back(row.begin(), row.end());
  graph.features = std::make_shared<const SparseRows>(std::move(features));
  return graph;
}

}  // namespace

Report nodes(const NodesOptions& o, const Say&) {
  const NodeGraph graph = random_graph();
  const NodeRecipe recipe = node_recipe(o.kind);
  NodeModel model = make_node_model(recipe, graph, 1);
  const NodeBatch batch = encode_nodes(model, graph);
  const NodeTraining training{.batch = batch,
                              .train = classes_of(model, graph, graph.labelled(NodePart::train)),
                              .valid = {},
                              .penalty = recipe.penalty,
                              .penalty_over = recipe.penalty_over};
  const TrainTask task = node_task(model, training);
  Optimiser optimiser(model, recipe.train.optimiser);
  std::vector<double> seconds;
  for (int run = -2; run < o.runs; ++run) {
    const double taken = seconds_of([&] {
      optimiser.clear_gradients();
      Tape tape;
      Tensor loss;
      {
        const Recording on(tape, key_of(1, run));
        loss = task.loss({}, 1.0 / kTraining).loss;
      }
      tape.backward(loss);
      optimiser.step(0.005);
    });
    if (run >= 0) seconds.push_back(taken);
  }
  return {.json = {{"bench", "nodes"},
                   {"kind", name_of(o.kind)},
                   {"parameters", parameter_count(model)},
                   {"threads", threads()},
                   {"runs", o.runs},
                   {"seconds_a_step", median(seconds)},
                   {"fastest", fastest(seconds)}},
          .text = fmt::format("nodes: a step of {} on {} nodes, {} threads: {:.2f} ms\n",
                              name_of(o.kind), kNodes, threads(), 1e3 * median(seconds))};
}

}  // namespace qkv::bench

#include "qkv/train/nodes.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

/// Of everything that training reads.
std::string fingerprint_of(const NodeGraph& graph) {
  std::uint64_t sum = 0;
  for (std::size_t n = 0; n < graph.ids.size(); ++n) {
    sum = key_of(sum, hash_name(graph.ids[n]), hash_name(graph.classes[n]), graph.parts[n]);
    for (const std::int64_t j : graph.neighbours[n]) sum = key_of(sum, j);
  }
  for (const auto& row : graph.weights) {
    for (const float w : row) sum = key_of(sum, std::bit_cast<std::uint32_t>(w));
  }
  for (std::size_t e = 0; e < graph.features->column.size(); ++e) {
    sum = key_of(sum, graph.features->column[e],
                 std::bit_cast<std::uint32_t>(graph.features->value[e]));
  }
  return fmt::format("{} nodes, {} edges, {:016x}", graph.nodes(), graph.edges(), sum);
}

std::int64_t known(const std::vector<std::int32_t>& classes) {
  return std::count_if(classes.begin(), classes.end(), [](std::int32_t c) { return c >= 0; });
}

}  // namespace

NodeRecipe node_recipe(NodeKind kind) {
  NodeRecipe r;
  r.network.kind = kind;
  r.train.optimiser.beta2 = 0.999;
  r.train.schedule.kind = Schedule::Kind::constant;
  r.train.schedule.warm_up = 0;
  r.train.report_every = 50;
  r.train.patience = 100;
  if (r.network.attends()) {
    r.train.schedule.rate = 0.005;
    return r;
  }
  r.network.width = 16;
  r.network.dropout = 0.5;
  r.train.schedule.rate = 0.01;
  r.train.epochs = 200;
  r.penalty_over = PenaltyOver::first;
  return r;
}

void NodeRecipe::check() const {
  check_ranges(*this);
  check_ranges(network);
  train.check();
}

Tensor weight_penalty(const NodeNetwork& network, double penalty, PenaltyOver over) {
  Tensor total;
  for_each_parameter(network, [&](std::string_view path, const Tensor& w) {
    if (over == PenaltyOver::first && !path.starts_with("layers.0.")) return;
    const Tensor part = scale(sum(multiply(w, w)), penalty / 2);
    total = total.defined() ? add(total, part) : part;
  });
  return total;
}

TrainTask node_task(NodeModel& model, const NodeTraining& training) {
  TrainTask task;
  task.often = true;
  task.plan = [](std::int64_t) { return std::vector<std::vector<std::int64_t>>{{0}}; };
  task.words.counted = "nodes";
  task.tokens = [&training](std::span<const std::int64_t>) { return known(training.train); };
  task.loss = [&model, &training](std::span<const std::int64_t>, double scale) {
    const NodeLoss r = model.network.loss(training.batch, training.train, scale);
    const Tensor loss =
        training.penalty > 0
            ? add(r.loss, weight_penalty(model.network, training.penalty, training.penalty_over))
            : r.loss;
    return BatchLoss{.loss_sum = r.nll_sum,
                     .nll_sum = r.nll_sum,
                     .tokens = r.nodes,
                     .correct = r.correct,
                     .loss = loss};
  };
  task.validate = [&model, &training] {
    const NoRecording quiet;
    const NodeLoss r = model.network.loss(training.batch, training.valid);
    const double nodes = static_cast<double>(r.nodes);
    const double accuracy = 100 * static_cast<double>(r.correct) / nodes;
    Validation v;
    v.loss = r.nll_sum / nodes;
    v.score = accuracy;
    v.second = -v.loss;
    v.text = fmt::format("loss {:.4f}  accuracy {:.1f}", v.loss, accuracy);
    v.metrics = nlohmann::json{{"accuracy", accuracy}}.dump();
    return v;
  };
  task.save =
      task.keep = [&model](const std::filesystem::path& folder) { save_node_model(model, folder); };
  return task;
}

TrainReport train_nodes(const NodeRecipe& r, const NodeGraph& graph, TrainingRun& run,
                        const TrainWatch& watch) {
  run.record.data = {{"nodes", fingerprint_of(graph)}};
  NodeModel model =
      run.resumes() ? load_node_model(run.state()) : make_node_model(r, graph, r.train.seed);
  const NodeBatch batch = encode_nodes(model, graph);
  const NodeTraining training{.batch = batch,
                              .train = classes_of(model, graph, graph.labelled(NodePart::train)),
                              .valid = classes_of(model, graph, graph.labelled(NodePart::valid)),
                              .penalty = r.penalty,
                              .penalty_over = r.penalty_over};
  if (known(training.train) == 0) fail("training needs nodes of part train with a class");
  if (known(training.valid) == 0) fail("training needs nodes of part valid with a class");
  watch.say(fmt::format(
      "graph: {} nodes, {} of them to train on, {} to validate on; {} pairs see "
      "each other; {} features, {} that are not 0",
      grouped(graph.nodes()), known(training.train), known(training.valid), grouped(graph.edges()),
      grouped(graph.features->columns), grouped(graph.features->entries())));
  watch.say(fmt::format("model: {} parameters ({}), {} classes", grouped(parameter_count(model)),
                        name_of(model.network.config.kind), model.labels.size()));
  run.curve_score = {"accuracy", "accuracy"};
  return run.train(model, node_task(model, training), r.train, watch);
}

}  // namespace qkv

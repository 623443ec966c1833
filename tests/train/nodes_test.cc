// Nodes of graphs: the recipes' counts, the rule with two sides, learning, bits, resuming.
#include "qkv/train/nodes.h"

#include <algorithm>
#include <filesystem>
#include <memory>

#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/parallel.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"
#include "qkv/systems/node_classifier.h"

namespace qkv {
namespace {

/// Two communities of 40 nodes with three edges each inside; a node's features are its own alone,
/// so that only its neighbours tell where it belongs.
NodeGraph communities() {
  Philox random(5);
  NodeGraph g;
  auto features = std::make_shared<SparseRows>();
  features->columns = 80;
  g.neighbours.resize(80);
  for (std::int64_t n = 0; n < 80; ++n) {
    g.ids.push_back(std::to_string(n));
    g.classes.emplace_back(n < 40 ? "left" : "right");
    g.parts.push_back(n % 4 == 0 ? NodePart::train : n % 4 == 1 ? NodePart::valid : NodePart::test);
    g.line_of.push_back(n + 1);
    features->column.push_back(static_cast<std::int32_t>(n));
    features->value.push_back(2);
    features->offsets.push_back(n + 1);
    auto& keys = g.neighbours[static_cast<std::size_t>(n)];
    keys.push_back(n);
    for (int e = 0; e < 6; ++e) {
      keys.push_back((n < 40 ? 0 : 40) + static_cast<std::int64_t>(random.below(40)));
    }
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  }
  g.features = features;
  g.graphs = {""};
  g.segments = Segments({80});
  return g;
}

TEST(NodeRecipe, HasTheCountsOfThePapers) {
  const auto count = [](NodeKind kind) {
    NodeNetwork::Config c = node_recipe(kind).network;
    c.features = 1433;
    c.classes = 7;
    return parameter_count(NodeNetwork::make(1, c));
  };
  EXPECT_EQ(count(NodeKind::gat), 92373);
  EXPECT_EQ(count(NodeKind::gatv2), 184462);
  EXPECT_EQ(count(NodeKind::gcn), 23040);
  EXPECT_EQ(count(NodeKind::mlp), 23040);
}

TEST(NodeNetwork, RefusesSizesThatMakeNoModel) {
  const NodeNetwork::Config good{.features = 3, .classes = 2};
  EXPECT_NO_THROW(good.check());
  NodeNetwork::Config c = good;
  c.classes = 1;
  EXPECT_THROW(c.check(), Error);
  c = good;
  c.heads = c.width = 1 << 20;  // their product with the features would pass 64 bits
  EXPECT_THROW(c.check(), Error);
  c = good;
  c.slope = 2;
  EXPECT_THROW(NodeNetwork::make(1, c), Error);
}

TEST(WeightPenalty, IsHalfTheSquaresOfTheWeightsItIsOver) {
  NodeNetwork::Config c{.kind = NodeKind::gat, .features = 3, .classes = 2, .heads = 1, .width = 2};
  const NodeNetwork m = NodeNetwork::make(1, c);
  double all = 0, first = 0;
  for_each_parameter(m, [&](std::string_view path, const Tensor& p) {
    for (const float w : p.values()) {
      all += static_cast<double>(w * w);
      if (path.starts_with("layers.0")) first += static_cast<double>(w * w);
    }
  });
  EXPECT_NEAR(weight_penalty(m, 0.1, PenaltyOver::all).item(), 0.05 * all, 1e-6);
  EXPECT_NEAR(weight_penalty(m, 0.1, PenaltyOver::first).item(), 0.05 * first, 1e-6);
}

class NodeTraining : public ::testing::Test {
 protected:
  double accuracy(NodeKind kind, const std::string& name, int threads = 1,
                  std::int64_t epochs = 150) {
    const ThreadScope scope(threads);
    NodeRecipe r = node_recipe(kind);
    r.network.heads = 2;
    r.train.epochs = epochs;
    r.train.schedule.rate = 0.02;
    const NodeGraph graph = communities();
    TrainingRun run({.model = (folder_ / name).string()});
    train_nodes(r, graph, run);
    return NodeClassifier::load(folder_ / name).score(graph, NodePart::test).accuracy();
  }
  std::string weights(const std::string& name) {
    return read_file(folder_ / name / "model.safetensors");
  }
  Temporary folder_;
};

TEST_F(NodeTraining, TheNeighboursTellWhatFeaturesCannot) {
  EXPECT_GT(accuracy(NodeKind::gat, "gat"), 90);
  EXPECT_GT(accuracy(NodeKind::gatv2, "gatv2"), 90);
  EXPECT_GT(accuracy(NodeKind::gcn, "gcn"), 90);
  EXPECT_LT(accuracy(NodeKind::mlp, "mlp"), 75);
}

TEST_F(NodeTraining, SameBitsForAnyNumberOfThreads) {
  accuracy(NodeKind::gat, "one", 1, 12);
  accuracy(NodeKind::gat, "three", 3, 12);
  EXPECT_EQ(weights("one"), weights("three"));
}

TEST_F(NodeTraining, WhatIsResumedEndsAtTheSameBits) {
  const NodeGraph graph = communities();
  const auto train = [&](const std::string& name, std::int64_t epochs, bool resume) {
    NodeRecipe r = node_recipe(NodeKind::gat);
    r.train.epochs = epochs;
    TrainingRun run({.model = (folder_ / name).string(), .resume = resume});
    train_nodes(r, graph, run);
  };
  train("whole", 20, false);
  train("parts", 9, false);
  train("parts", 20, true);
  EXPECT_EQ(weights("whole"), weights("parts"));
}

struct OneNumber {
  Tensor w = parameter(Tensor::full({1}, 1.0));
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("w", m.w);
  }
};

/// Validations as a list of (score, second): which of them is kept, and where training ends.
std::pair<std::int64_t, std::int64_t> stopped(
    const std::vector<std::pair<double, double>>& judged) {
  OneNumber model;
  const Temporary folder;
  TrainOptions options;
  options.schedule = {.kind = Schedule::Kind::constant, .rate = 1e-3, .warm_up = 0};
  options.patience = 2;
  TrainTask task;
  task.often = true;
  task.plan = [](std::int64_t) { return std::vector<std::vector<std::int64_t>>{{0}}; };
  task.tokens = [](std::span<const std::int64_t>) { return std::int64_t{1}; };
  task.loss = [&](std::span<const std::int64_t>, double) {
    return BatchLoss{.tokens = 1, .loss = sum(multiply(model.w, model.w))};
  };
  std::size_t at = 0;
  task.validate = [&] {
    const auto [score, second] = judged.at(std::min(at++, judged.size() - 1));
    return Validation{.score = score, .second = second};
  };
  task.save = [](const std::filesystem::path&) {};
  Optimiser optimiser(model, options.optimiser);
  const TrainReport report = train(task, optimiser, options, folder / "m", false);
  return {report.best_step, report.steps};
}

TEST(TwoSidedRule, KeepsWhatIsAsGoodInBothAndGoesOnWhileEitherIs) {
  using Pair = std::pair<std::int64_t, std::int64_t>;
  // The second is better in both; the third and fourth in one, which restarts the patience of 2.
  EXPECT_EQ(stopped({{1, 1}, {2, 2}, {3, 1}, {1, 3}, {1, 1}, {1, 1}}), Pair(2, 6));
  // As good is good enough.
  EXPECT_EQ(stopped({{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}}), Pair(3, 5));
  // Best values are remembered from validations that were not kept.
  EXPECT_EQ(stopped({{1, 1}, {2, 0}, {0, 2}, {1.5, 1.5}, {0, 0}}), Pair(1, 5));
}

TEST_F(NodeTraining, SaysWhatIsMissing) {
  const auto complain = [&](NodeGraph graph, NodeKind kind) -> std::string {
    try {
      TrainingRun run({.model = (folder_ / "bad").string()});
      train_nodes(node_recipe(kind), graph, run);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  NodeGraph graph = communities();
  std::fill(graph.parts.begin(), graph.parts.end(), NodePart::train);
  EXPECT_NE(complain(graph, NodeKind::gat).find("part valid"), std::string::npos);
  graph = communities();
  std::fill(graph.classes.begin(), graph.classes.end(), "one");
  EXPECT_NE(complain(graph, NodeKind::gat).find("two classes"), std::string::npos);
  graph = communities();
  for (const auto& keys : graph.neighbours) graph.weights.emplace_back(keys.size(), 2.0f);
  EXPECT_NE(complain(graph, NodeKind::gat).find("--kind gcn"), std::string::npos);
}

}  // namespace
}  // namespace qkv

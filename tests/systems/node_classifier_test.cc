#include "qkv/systems/node_classifier.h"

#include <cmath>

#include "systems/tiny_models.h"
#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/nn/module.h"

namespace qkv {
namespace {

NodeClassifier classifier(NodeKind kind, FeatureScale scale = FeatureScale::row_sum) {
  NodeDesign design;
  design.network = {.kind = kind, .heads = 2, .width = 3};
  design.scale = scale;
  return NodeClassifier(make_node_model(design, tiny::graph_of_nodes(), 1));
}

/// The graph with other features of node a.
NodeGraph with_features(std::vector<float> values) {
  NodeGraph g = tiny::graph_of_nodes();
  auto rows = std::make_shared<SparseRows>(*g.features);
  rows->column.erase(rows->column.begin());
  rows->value.erase(rows->value.begin());
  for (std::size_t c = 0; c < values.size(); ++c) {
    rows->column.insert(rows->column.begin() + static_cast<std::ptrdiff_t>(c),
                        static_cast<std::int32_t>(c));
  }
  rows->value.insert(rows->value.begin(), values.begin(), values.end());
  const auto more = static_cast<std::int64_t>(values.size()) - 1;
  for (std::size_t n = 1; n < rows->offsets.size(); ++n) rows->offsets[n] += more;
  g.features = rows;
  return g;
}

TEST(NodeClassifier, AnswersForEveryNode) {
  for (const NodeKind kind : {NodeKind::gat, NodeKind::gatv2, NodeKind::gcn, NodeKind::mlp}) {
    const NodeClassifier model = classifier(kind);
    EXPECT_EQ(model.labels(), (std::vector<std::string>{"x", "y"}));
    const auto answers = model.classify(tiny::graph_of_nodes());
    ASSERT_EQ(answers.size(), 5U);
    for (const ClassifiedNode& a : answers) {
      EXPECT_NEAR(a.probabilities[0] + a.probabilities[1], 1, 1e-12);
      EXPECT_EQ(a.probability, std::max(a.probabilities[0], a.probabilities[1]));
    }
    EXPECT_EQ(model.score(tiny::graph_of_nodes(), NodePart::train).total(), 2);
    EXPECT_FALSE(model.info().facts.empty());
  }
}

TEST(NodeClassifier, ANodeFeelsOnlyWhatItSeesOverTheLayers) {
  const NodeClassifier model = classifier(NodeKind::gat);
  const auto before = model.classify(tiny::graph_of_nodes());
  NodeGraph g = tiny::graph_of_nodes();
  g.neighbours[4] = {2, 4};  // e now sees c; nobody sees e
  const auto after = model.classify(g);
  for (std::size_t n = 0; n < 4; ++n) EXPECT_EQ(after[n].probabilities, before[n].probabilities);
  EXPECT_NE(after[4].probabilities, before[4].probabilities);
}

TEST(NodeClassifier, DividesFeaturesByTheirSum) {
  const auto once = classifier(NodeKind::gat).classify(with_features({1, 3}));
  const auto twice = classifier(NodeKind::gat).classify(with_features({2, 6}));
  EXPECT_EQ(once[0].probabilities, twice[0].probabilities);
  EXPECT_NE(classifier(NodeKind::gat, FeatureScale::none)
                .classify(with_features({1, 3}))[0]
                .probabilities,
            classifier(NodeKind::gat, FeatureScale::none)
                .classify(with_features({2, 6}))[0]
                .probabilities);
  EXPECT_THROW(classifier(NodeKind::gat).classify(with_features({1, -1})), Error);
}

TEST(NodeClassifier, WeightsOfEdgesAreForGcnAlone) {
  NodeGraph g = tiny::graph_of_nodes();
  for (const auto& keys : g.neighbours) g.weights.emplace_back(keys.size(), 1.0f);
  const auto same = classifier(NodeKind::gcn).classify(g);
  const auto plain = classifier(NodeKind::gcn).classify(tiny::graph_of_nodes());
  for (std::size_t n = 0; n < 5; ++n) {
    EXPECT_NEAR(same[n].probability, plain[n].probability, 1e-6);
  }
  g.weights[0][1] = 5;
  EXPECT_NE(classifier(NodeKind::gcn).classify(g)[0].probability, same[0].probability);
  EXPECT_THROW(classifier(NodeKind::gat).classify(g), Error);
}

TEST(NodeClassifier, ShowsWhatANodeAndItsNeighboursLookAt) {
  const NodeClassifier model = classifier(NodeKind::gat);
  const AttentionMaps maps = model.attention(tiny::graph_of_nodes(), "a");
  check(maps);
  EXPECT_EQ(maps.source, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(layers_of(maps, AttentionMap::Kind::encoder_self), (std::vector<int>{0, 1}));
  EXPECT_EQ(heads_of(maps, AttentionMap::Kind::encoder_self, 0), (std::vector<int>{0, 1}));
  const AttentionMap first = select(maps, AttentionMap::Kind::encoder_self, 0, 0);
  float sum = 0;
  for (std::int64_t c = 0; c < 3; ++c) sum += first.weights.data()[c];
  EXPECT_NEAR(sum, 1, 1e-6);                      // a sees a, b, c and no other
  EXPECT_EQ(first.weights.data()[1 * 3 + 2], 0);  // b does not see c
  EXPECT_THROW(model.attention(tiny::graph_of_nodes(), "z"), Error);
  EXPECT_THROW(classifier(NodeKind::mlp).attention(tiny::graph_of_nodes(), "a"), Error);
}

TEST(NodeClassifier, RefusesFeaturesThatItDoesNotKnow) {
  NodeGraph g = tiny::graph_of_nodes();
  auto rows = std::make_shared<SparseRows>(*g.features);
  rows->columns = 6;
  g.features = rows;
  EXPECT_THROW(classifier(NodeKind::gat).classify(g), Error);
  EXPECT_THROW(classifier(NodeKind::gat).score(tiny::graph_of_nodes(), NodePart::none), Error);
}

}  // namespace
}  // namespace qkv

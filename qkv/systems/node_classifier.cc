#include "qkv/systems/node_classifier.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "qkv/attention/observer.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/systems/describe.h"
#include "qkv/systems/node_model.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

ClassifiedNode answer_of(const std::vector<std::string>& labels, std::span<const float> logits) {
  ClassifiedNode node;
  const auto best = std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) {
    node.probabilities.push_back(std::exp(static_cast<double>(x) - static_cast<double>(*best)));
    sum += node.probabilities.back();
  }
  if (!std::isfinite(sum)) fail<NumericError>("the scores of a node are no numbers");
  for (double& p : node.probabilities) p /= sum;
  const auto place = static_cast<std::size_t>(best - logits.begin());
  node.label = labels[place];
  node.probability = node.probabilities[place];
  return node;
}

}  // namespace

NodeClassifier::NodeClassifier(NodeModel model, const LoadOptions& options)
    : model_(std::make_shared<const NodeModel>(std::move(model))), options_(options) {}

NodeClassifier NodeClassifier::load(const std::filesystem::path& directory,
                                    const LoadOptions& options) {
  return NodeClassifier(load_node_model(directory), options);
}

void NodeClassifier::save(const std::filesystem::path& directory) const {
  save_node_model(*model_, directory);
}

const std::vector<std::string>& NodeClassifier::labels() const { return model_->labels; }

std::vector<ClassifiedNode> NodeClassifier::classify(const NodeGraph& graph) const {
  const ThreadScope threads(options_.threads);
  const NoRecording quiet;
  const Tensor logits = model_->network.logits(encode_nodes(*model_, graph));
  const std::size_t classes = labels().size();
  std::vector<ClassifiedNode> answers;
  for (std::int64_t n = 0; n < graph.nodes(); ++n) {
    answers.push_back(answer_of(labels(), logits.values().subspan(at(n) * classes, classes)));
  }
  return answers;
}

ClassReport NodeClassifier::score(const NodeGraph& graph, NodePart part) const {
  const std::vector<std::int64_t> nodes = graph.labelled(part);
  if (nodes.empty()) fail("no node of this part has a class to be scored against");
  const std::vector<ClassifiedNode> answers = classify(graph);
  std::vector<std::string> gold, found;
  for (const std::int64_t n : nodes) {
    gold.push_back(graph.classes[at(n)]);
    found.push_back(answers[at(n)].label);
  }
  return score_classes(gold, found);
}

AttentionMaps NodeClassifier::attention(const NodeGraph& graph, std::string_view id,
                                        std::size_t most) const {
  const auto found = std::find(graph.ids.begin(), graph.ids.end(), id);
  if (found == graph.ids.end()) fail("no node has the id '{}'", id);
  if (model_->network.config.kind == NodeKind::mlp) {
    fail("an mlp sees each node alone; it attends to nothing");
  }
  const auto node = static_cast<std::int64_t>(found - graph.ids.begin());
  std::vector<std::int64_t> shown = {node};
  for (const std::int64_t n : graph.neighbours[at(node)]) {
    if (n != node && shown.size() <= most) shown.push_back(n);
  }
  AttentionMaps maps;
  for (const std::int64_t n : shown) maps.source.push_back(graph.ids[at(n)]);
  maps.target = maps.target_in = maps.source;
  const auto size = static_cast<std::int64_t>(shown.size());
  std::vector<SeenAttention> seen;
  const AttentionObserver look([&](const AttentionCall& call) {
    Tensor weights;
    for (std::int64_t r = 0; r < size; ++r) {
      const std::int64_t row = shown[at(r)];
      const Tensor all = call.weights({row, row + 1}, {0, call.keys});  // [H 1 N]
      if (!weights.defined()) weights = Tensor::zeros({all.dim(0), size, size});
      for (std::int64_t h = 0; h < all.dim(0); ++h) {
        for (std::int64_t c = 0; c < size; ++c) {
          weights.values()[at((h * size + r) * size + c)] =
              all.values()[at(h * call.keys + shown[at(c)])];
        }
      }
    }
    seen.push_back({call.path, weights});
  });
  const ClassifiedNode answer = classify(graph)[at(node)];
  add_maps(maps, seen);
  maps.title = fmt::format("{} → {}", id, answer.label);
  if (graph.neighbours[at(node)].size() > shown.size()) {
    maps.title += fmt::format(" ({} of {} that it sees)", size, graph.neighbours[at(node)].size());
  }
  return maps;
}

Info NodeClassifier::info() const {
  const NodeModel& m = *model_;
  const NodeNetwork::Config& c = m.network.config;
  Info info = describe("nodes", "", std::string(name_of(c.kind)), m);
  info.summary = std::string(name_of(c.kind)) + " over the nodes of graphs";
  info.facts.emplace_back(
      "sizes", c.attends() ? fmt::format("{} layers, {} heads of {}, {} averaged in the last",
                                         c.layers, c.heads, c.width, c.out_heads)
                           : fmt::format("{} layers, width {}", c.layers, c.width));
  info.facts.emplace_back(
      "features",
      fmt::format("{}, {}", grouped(c.features),
                  m.scale == FeatureScale::row_sum ? "divided by their sum" : "as they are"));
  info.facts.emplace_back("labels", std::to_string(m.labels.size()));
  tell_options(c, info);
  return info;
}

}  // namespace qkv

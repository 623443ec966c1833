#include "qkv/systems/node_model.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/io/json.h"
#include "qkv/systems/config_fields.h"
#include "qkv/systems/weights_file.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

std::shared_ptr<const SparseRows> scaled(const NodeModel& model, const NodeGraph& graph) {
  auto rows = std::make_shared<SparseRows>(*graph.features);
  rows->columns = model.network.config.features;
  if (model.scale == FeatureScale::none) return rows;
  for (std::int64_t n = 0; n < rows->rows(); ++n) {
    const std::int64_t begin = rows->offsets[at(n)], end = rows->offsets[at(n) + 1];
    double sum = 0;
    for (std::int64_t e = begin; e < end; ++e) sum += static_cast<double>(rows->value[at(e)]);
    if (begin == end) continue;
    if (!(sum > 0) || !std::isfinite(sum)) {
      fail(
          "the features of node '{}' add up to {}, which cannot divide them; train with --scale "
          "none",
          graph.ids[at(n)], sum);
    }
    for (std::int64_t e = begin; e < end; ++e) {
      rows->value[at(e)] = static_cast<float>(static_cast<double>(rows->value[at(e)]) / sum);
    }
  }
  return rows;
}

/// D^−½ A D^−½, the nodes themselves among their neighbours.
GraphWeights weights_of(const NodeGraph& graph) {
  GraphWeights w;
  std::vector<float> root(graph.ids.size());
  for (std::size_t n = 0; n < root.size(); ++n) {
    double sum = static_cast<double>(graph.neighbours[n].size());
    if (!graph.weights.empty()) {
      sum = 0;
      for (const float weight : graph.weights[n]) sum += static_cast<double>(weight);
    }
    root[n] = static_cast<float>(1.0 / std::sqrt(sum));
  }
  w.inverse_root = Tensor::of(root, {graph.nodes()});
  if (graph.weights.empty()) return w;
  // Places are counted in a graph; the mask has but one sequence, so they are rows.
  const auto weight = [neighbours = graph.neighbours, weights = graph.weights](double,
                                                                               const auto& where) {
    const auto& keys = neighbours[at(where.place)];
    const auto found = std::lower_bound(keys.begin(), keys.end(), where.key);
    return static_cast<double>(weights[at(where.place)][at(found - keys.begin())]);
  };
  w.edges = {FunctionBias{"weights of edges",
                          [weight](double s, const auto& where) { return s * weight(s, where); },
                          weight}};
  return w;
}

}  // namespace

NodeModel make_node_model(const NodeDesign& d, const NodeGraph& graph, std::uint64_t seed) {
  NodeModel model;
  std::set<std::string> labels(graph.classes.begin(), graph.classes.end());
  labels.erase("");
  if (labels.size() < 2)
    fail("training needs nodes of at least two classes, found {}", labels.size());
  model.labels.assign(labels.begin(), labels.end());
  model.scale = d.scale;
  NodeNetwork::Config c = d.network;
  c.features = graph.features->columns;
  c.classes = static_cast<std::int64_t>(labels.size());
  if (c.features == 0) fail("training needs features, no node has one");
  model.network = NodeNetwork::make(seed, c);
  return model;
}

NodeBatch encode_nodes(const NodeModel& model, const NodeGraph& graph) {
  const NodeNetwork::Config& c = model.network.config;
  if (graph.features->columns > c.features) {
    fail("the nodes have features up to number {}, the model knows {}; see --features",
         graph.features->columns - 1, c.features);
  }
  if (!graph.weights.empty() && c.attends()) {
    fail(
        "{} makes its own weights and would not heed those of the edges; take them away, or --kind "
        "gcn",
        name_of(c.kind));
  }
  NodeBatch batch{.features = scaled(model, graph), .graph = weights_of(graph)};
  batch.graph.neighbours = qkv::graph(graph.neighbours);
  return batch;
}

std::vector<std::int32_t> classes_of(const NodeModel& model, const NodeGraph& graph,
                                     std::span<const std::int64_t> nodes) {
  std::vector<std::int32_t> classes(graph.ids.size(), -1);
  for (const std::int64_t n : nodes) {
    const auto found =
        std::lower_bound(model.labels.begin(), model.labels.end(), graph.classes[at(n)]);
    if (found == model.labels.end() || *found != graph.classes[at(n)]) continue;
    classes[at(n)] = static_cast<std::int32_t>(found - model.labels.begin());
  }
  return classes;
}

std::vector<std::int32_t> classes_of(const NodeModel& model, const NodeGraph& graph) {
  std::vector<std::int64_t> all(graph.ids.size());
  for (std::size_t n = 0; n < all.size(); ++n) all[n] = static_cast<std::int64_t>(n);
  return classes_of(model, graph, all);
}

void save_node_model(const NodeModel& model, const std::filesystem::path& directory) {
  DirectoryWriter writer(directory);
  save_weights(named_parameters(model), writer.folder());
  writer.commit({{"task", "nodes"},
                 {"labels", model.labels},
                 {"scale", name_of(model.scale)},
                 {"model", config_json(model.network.config)}});
}

namespace {

NodeModel read_node_model(const ModelDirectory& directory) {
  const Json& config = directory.config();
  const std::string path = directory.config_path();
  FieldReader reader(config, path);
  reader.has("format");
  const std::string task = reader.text("task");
  if (task != "nodes") {
    throw DataError(path, 0, fmt::format("is no model of nodes (task '{}')", task));
  }
  NodeModel model;
  constexpr const char* kExpected = "a list of different names, sorted";
  if (!reader.has("labels") || !config["labels"].is_array()) reader.wrong("labels", kExpected);
  for (const Json& label : config["labels"]) {
    if (!label.is_string()) reader.wrong("labels", kExpected);
    model.labels.push_back(label.get<std::string>());
  }
  const bool sorted = std::adjacent_find(model.labels.begin(), model.labels.end(),
                                         std::greater_equal<>()) == model.labels.end();
  if (!sorted) reader.wrong("labels", kExpected);
  model.scale = static_cast<FeatureScale>(reader.choice("scale", names_of<FeatureScale>()));
  const auto sizes = config_from<NodeNetwork::Config>(reader.object("model"), path);
  reader.finish();
  if (static_cast<std::int64_t>(model.labels.size()) != sizes.classes) {
    throw DataError(path, 0,
                    fmt::format("{} labels do not fit a model of {} classes", model.labels.size(),
                                sizes.classes));
  }
  WeightsFile weights(directory);
  model.network = weights.network<NodeNetwork>(sizes);
  weights.take_all(model.network);
  weights.finish();
  return model;
}

}  // namespace

NodeModel load_node_model(const std::filesystem::path& directory) {
  return read_whole(directory, read_node_model);
}

}  // namespace qkv

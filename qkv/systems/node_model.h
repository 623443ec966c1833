// A model of the nodes of graphs as it lies in a directory: the network, how features are scaled
// and what the classes are called.
//   config.json        format, task "nodes", labels, scale, model
//   model.safetensors  weights, [in, out], names of for_each_parameter
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/data/node_files.h"
#include "qkv/models/node_network.h"

namespace qkv {

/// What is done to the features of a node before all else.
enum class FeatureScale : std::uint8_t {
  row_sum,  ///< divided by their sum, as published; a node without features keeps none
  none,
};
constexpr std::array<std::string_view, 2> spelling(FeatureScale) { return {"row_sum", "none"}; }

struct NodeModel {
  NodeNetwork network;
  FeatureScale scale = FeatureScale::row_sum;
  std::vector<std::string> labels;  // one a class

  /// The network's parameters under its own names, so that a NodeModel is a module.
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    NodeNetwork::each(m.network, visit);
  }
};

/// What a model is made from besides the graph.
struct NodeDesign {
  NodeNetwork::Config network;  // features and classes come from the graph
  FeatureScale scale = FeatureScale::row_sum;
};
/// With random weights, for the classes that stand in the graph. Throws Error when there is but
/// one.
NodeModel make_node_model(const NodeDesign& design, const NodeGraph& graph, std::uint64_t seed);

/// A graph as the network reads it. Throws Error for more features than the model has, a sum of
/// features that cannot divide them, and weights of edges where attention would not heed them.
NodeBatch encode_nodes(const NodeModel& model, const NodeGraph& graph);
/// The classes of all nodes, −1 where there is none that the model knows; or of some nodes alone.
std::vector<std::int32_t> classes_of(const NodeModel& model, const NodeGraph& graph);
std::vector<std::int32_t> classes_of(const NodeModel& model, const NodeGraph& graph,
                                     std::span<const std::int64_t> nodes);

void save_node_model(const NodeModel& model, const std::filesystem::path& directory);
/// Checks everything: format version, fields, that the parts fit each other, names and shapes of
/// all weights, finite numbers. Each error says the file and what to do.
NodeModel load_node_model(const std::filesystem::path& directory);

}  // namespace qkv

// Models of the nodes of graphs as a user holds them: a graph in, a class for each of its nodes
// out.
//
// After load() nothing is written: any number of threads may ask one of them at once. A node gets
// the same answer whatever stands in the file that it does not see over the model's layers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/data/node_files.h"
#include "qkv/eval/classification.h"
#include "qkv/systems/system.h"
#include "qkv/view/attention_maps.h"

namespace qkv {

struct NodeModel;  // node_model.h: what training makes

struct ClassifiedNode {
  std::string label;
  double probability = 0;
  std::vector<double> probabilities;  // of labels() in their order
};

class NodeClassifier {
 public:
  /// Throws FileError or DataError when the directory holds no model of nodes, or is damaged.
  static NodeClassifier load(const std::filesystem::path& directory,
                             const LoadOptions& options = {});
  explicit NodeClassifier(NodeModel model, const LoadOptions& options = {});
  void save(const std::filesystem::path& directory) const;

  const std::vector<std::string>& labels() const;
  /// One a node, in the graph's order. Throws Error where the graph does not fit (encode_nodes()).
  std::vector<ClassifiedNode> classify(const NodeGraph& graph) const;
  /// Right and wrong on the nodes of a part whose class is known; at least one.
  ClassReport score(const NodeGraph& graph, NodePart part) const;
  /// What a node and those that it sees attend to among each other, in all layers ("encoder"). At
  /// most `most` of those seen, the first ones; throws Error for an unknown id or a model that
  /// attends to nothing.
  AttentionMaps attention(const NodeGraph& graph, std::string_view id, std::size_t most = 40) const;
  Info info() const;
  const NodeModel& model() const { return *model_; }

 private:
  std::shared_ptr<const NodeModel> model_;
  LoadOptions options_;
};

}  // namespace qkv

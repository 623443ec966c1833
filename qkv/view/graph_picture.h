// What a node of a graph attends to, drawn on the graph: the node in the middle, those that it sees
// around it, and a line to each of them whose width and colour are its weight. Thin lines join
// neighbours that see each other.
#pragma once

#include <string>
#include <vector>

#include "qkv/view/attention_maps.h"

namespace qkv {

struct GraphPicture {
  /// A node with the weight that the node in the middle gives it.
  struct Node {
    std::string label;
    double weight = 0;
    double x = 0, y = 0;  // pixels
  };
  std::string title;
  std::vector<Node> nodes;  // the first stands in the middle; its weight is of itself
  std::vector<std::pair<int, int>> edges;  // between others, i < j
  int width = 0, height = 0;               // pixels
};

/// The nodes of a map of kind "encoder" [N N], laid out around node `middle`: on one ring, on two
/// from 25 on. A negative layer counts from the last; kMeanHead is the mean. Throws Error for what
/// there is not.
GraphPicture graph_picture(const AttentionMaps& maps, int layer, int head, std::size_t middle = 0);

/// Labels are escaped; a tooltip a node says its weight.
std::string svg_graph(const GraphPicture& picture);
/// The bytes of a PNG file; a label that the font lacks is its number, "#3".
std::string png_graph(const GraphPicture& picture);
/// A page that needs nothing else, with choosers of layer and head; a node that is clicked comes
/// into the middle.
std::string html_graph(const AttentionMaps& maps);

}  // namespace qkv

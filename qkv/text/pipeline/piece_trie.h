// Pieces by their bytes, from the left: which of them a text begins with, in one walk.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qkv::pipeline {

class PieceTrie {
 public:
  PieceTrie() = default;
  /// Of equal pieces the last one counts; empty ones are left out.
  explicit PieceTrie(std::span<const std::pair<std::string_view, std::int32_t>> pieces);

  /// f(bytes, id) for each piece that `text` begins with, the shortest first.
  template <class F>
  void prefixes(std::string_view text, F&& f) const {
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < text.size() && !nodes_.empty(); ++i) {
      node = child(node, static_cast<unsigned char>(text[i]));
      if (node == 0) return;
      if (nodes_[node].id >= 0) f(i + 1, nodes_[node].id);
    }
  }
  /// Bytes and id of the longest one; {0, −1} when there is none.
  std::pair<std::size_t, std::int32_t> longest(std::string_view text) const {
    std::pair<std::size_t, std::int32_t> found = {0, -1};
    prefixes(text, [&found](std::size_t bytes, std::int32_t id) { found = {bytes, id}; });
    return found;
  }

 private:
  struct Node {
    std::uint32_t first = 0;  // its edges
    std::uint16_t edges = 0;
    std::int32_t id = -1;
  };
  struct Edge {
    unsigned char byte;
    std::uint32_t node;
  };
  /// 0, the root, when there is none.
  std::uint32_t child(std::uint32_t node, unsigned char byte) const;

  std::vector<Node> nodes_;
  std::vector<Edge> edges_;  // of a node side by side, by their bytes
};

}  // namespace qkv::pipeline

#include "qkv/text/pipeline/piece_trie.h"

#include <algorithm>

namespace qkv::pipeline {

PieceTrie::PieceTrie(std::span<const std::pair<std::string_view, std::int32_t>> pieces) {
  std::vector<std::pair<std::string_view, std::int32_t>> sorted(pieces.begin(), pieces.end());
  std::erase_if(sorted, [](const auto& p) { return p.first.empty(); });
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  // Level by level: a node is a range of pieces that agree in their first `depth` bytes, so that
  // the edges of a node lie side by side.
  struct Open {
    std::uint32_t node;
    std::size_t begin, end, depth;
  };
  nodes_.emplace_back();
  std::vector<Open> level = {{0, 0, sorted.size(), 0}};
  while (!level.empty()) {
    std::vector<Open> next;
    for (const Open& open : level) {
      std::size_t at = open.begin;
      while (at < open.end && sorted[at].first.size() == open.depth) {
        nodes_[open.node].id = sorted[at++].second;
      }
      nodes_[open.node].first = static_cast<std::uint32_t>(edges_.size());
      while (at < open.end) {
        const char byte = sorted[at].first[open.depth];
        const std::size_t begin = at;
        while (at < open.end && sorted[at].first[open.depth] == byte) ++at;
        const auto node = static_cast<std::uint32_t>(nodes_.size());
        nodes_.emplace_back();
        edges_.push_back({static_cast<unsigned char>(byte), node});
        ++nodes_[open.node].edges;
        next.push_back({node, begin, at, open.depth + 1});
      }
    }
    level = std::move(next);
  }
}

std::uint32_t PieceTrie::child(std::uint32_t node, unsigned char byte) const {
  const Node& n = nodes_[node];
  const auto begin = edges_.begin() + n.first, end = begin + n.edges;
  const auto found =
      n.edges <= 8 ? std::find_if(begin, end, [byte](Edge e) { return e.byte >= byte; })
                   : std::partition_point(begin, end, [byte](Edge e) { return e.byte < byte; });
  return found != end && found->byte == byte ? found->node : 0;
}

}  // namespace qkv::pipeline

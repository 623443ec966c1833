#include "qkv/text/pipeline/greedy_pieces.h"

#include <vector>

namespace qkv::pipeline {

GreedyPieces::GreedyPieces(std::span<const std::pair<std::string_view, std::int32_t>> pieces,
                           std::string_view prefix)
    : first_(pieces) {
  std::vector<std::pair<std::string_view, std::int32_t>> inside;
  for (const auto& [piece, id] : pieces) {
    if (piece.starts_with(prefix)) inside.emplace_back(piece.substr(prefix.size()), id);
  }
  inside_ = PieceTrie(inside);
}

}  // namespace qkv::pipeline

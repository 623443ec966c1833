// WordPiece's way to cut a word: the longest piece that the rest of the word begins with, again and
// again; pieces inside a word are marked by a prefix ("##").
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "qkv/text/pipeline/piece_trie.h"

namespace qkv::pipeline {

class GreedyPieces {
 public:
  GreedyPieces() = default;
  GreedyPieces(std::span<const std::pair<std::string_view, std::int32_t>> pieces,
               std::string_view prefix);

  /// emit(id, begin, end) for each piece; false when the word is not made of pieces, some of which
  /// were then emitted.
  template <class F>
  bool cut(std::string_view word, F&& emit) const {
    for (std::size_t at = 0; at < word.size();) {
      const auto [bytes, id] = (at > 0 ? inside_ : first_).longest(word.substr(at));
      if (id < 0) return false;
      emit(id, at, at + bytes);
      at += bytes;
    }
    return true;
  }

 private:
  PieceTrie first_, inside_;
};

}  // namespace qkv::pipeline

// What a SentencePiece model file says, for those who build other tokenisers of it: pieces with
// scores, and how text is normalised.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qkv/text/pipeline/models.h"

namespace qkv::pipeline {

struct SpmFile {
  enum class Kind : std::uint8_t { unigram = 1, bpe = 2, word = 3, character = 4 };

  std::vector<std::pair<std::string, double>> pieces;  // with scores, by number
  Kind kind = Kind::unigram;
  std::string unk_piece = "<unk>";
  bool byte_fallback = false;
  std::string charsmap;  // see charsmap.h; empty: none
  bool dummy_prefix = true;

  /// `path` is for the DataError of a file that is damaged.
  static SpmFile parse(std::string_view bytes, std::string_view path);
};

/// The merges that a SentencePiece BPE model stands for: each way to make a piece of two others, by
/// falling score of what they make. `ids`: the pieces that take part, by their place in `pieces`.
std::vector<std::pair<std::string, std::string>> merges_of(
    const std::vector<std::pair<std::string, double>>& pieces, const PieceIds& ids);

}  // namespace qkv::pipeline

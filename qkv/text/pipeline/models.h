// What tokenizer.json calls the model: a word to pieces with numbers.
//
// Sources of the rules: Devlin et al. 2019 (WordPiece), Sennrich et al. 2016 (BPE), Kudo 2018
// (unigram), and what Hugging Face's tokenizers do where these leave it open.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "qkv/text/pipeline/greedy_pieces.h"
#include "qkv/text/pipeline/merge_table.h"
#include "qkv/text/pipeline/piece_trie.h"
#include "qkv/text/subword.h"
#include "qkv/text/vocabulary.h"

namespace qkv::pipeline {

/// A piece of a word and the bytes of the word that it stands for.
struct Token {
  std::int32_t id = 0;
  std::uint32_t begin = 0, end = 0;
};

using PieceIds = std::unordered_map<std::string, std::int32_t, TokenHash, std::equal_to<>>;
/// Pieces and their numbers, by either.
class PieceTable {
 public:
  PieceTable() = default;
  /// Throws Error when two pieces have the same number, or one lies far beyond the others.
  explicit PieceTable(PieceIds ids);
  PieceTable(PieceTable&&) = default;
  PieceTable& operator=(PieceTable&&) = default;
  PieceTable(const PieceTable&) = delete;
  PieceTable& operator=(const PieceTable&) = delete;

  std::int32_t size() const { return static_cast<std::int32_t>(pieces_.size()); }
  std::int32_t id(std::string_view piece) const;  // −1: no such piece
  /// Null: no such number.
  const std::string* piece(std::int32_t id) const;
  const PieceIds& ids() const { return ids_; }

 private:
  PieceIds ids_;
  std::vector<const std::string*> pieces_;  // of ids_, whose nodes stay where they are
};

/// Longest pieces from the left; a word that is not made of pieces, or too long, is unknown.
struct WordPieceModel {
  GreedyPieces pieces;
  std::int32_t unk = -1;
  std::string unk_token;
  std::size_t longest_word = 100;  // code points

  void cut(std::string_view word, std::vector<Token>& tokens) const;
};

/// Pairs of pieces joined, the pair that was learnt first before all others.
struct BpeModel {
  MergeTable merges;
  std::array<std::int32_t, 256> bytes;  // <0x00> … of an unknown character; −1: none
  bool byte_fallback = false;
  bool fuse_unk = false;       // neighbouring unknown characters are one token
  bool ignore_merges = false;  // a word that is a piece is taken whole
  std::int32_t unk = -1;
  std::optional<std::string> unk_token;  // none: unknown characters vanish
  std::string inside_prefix, end_suffix;
  /// No pair is joined across the beginning of a run of visible spaces (U+2581): a text can be cut
  /// there first, and gives the same tokens.
  bool spaces_begin_words = false;
  PieceIds pieces;
  /// The pieces of single characters from the first blocks of Unicode, which nearly all are; −1:
  /// none. Where characters are spelled with a prefix or suffix it is not asked.
  std::array<std::int32_t, 0x400> characters;

  void cut(std::string_view word, std::vector<Token>& tokens) const;
};

/// The pieces whose log probabilities have the largest sum.
struct UnigramModel {
  PieceTrie trie;
  std::vector<double> scores;  // by number
  double unknown_score = 0;    // of an unknown character
  std::int32_t unk = -1;       // −1: an unknown character is an error
  bool byte_fallback = false;
  std::array<std::int32_t, 256> bytes;

  void cut(std::string_view word, std::vector<Token>& tokens) const;
};

/// Whole words.
struct WordLevelModel {
  PieceIds pieces;
  std::int32_t unk = -1;
  std::string unk_token;

  void cut(std::string_view word, std::vector<Token>& tokens) const;
};

/// A model run by the SentencePiece library, whose pieces are looked up elsewhere (Marian).
struct SentencePieceModel {
  Subword model;
  PieceIds pieces;
  std::int32_t unk = -1;
  bool languages = false;  // ">>fra<<" is no text: it names the target language (Marian)

  void cut(std::string_view text, std::vector<Token>& tokens) const;
};

class Model {
 public:
  using Kind =
      std::variant<WordPieceModel, BpeModel, UnigramModel, WordLevelModel, SentencePieceModel>;
  Model() = default;
  explicit Model(Kind kind);

  const Kind& kind() const { return kind_; }
  /// Appends the tokens of a word. Remembers short words, in each thread for itself, in a table
  /// that does not grow without bound.
  void cut(std::string_view word, std::vector<Token>& tokens) const;

 private:
  void cut_remembered(std::string_view word, std::vector<Token>& tokens) const;

  Kind kind_;
  std::uint64_t serial_ = 0;  // no other model in this process has it
};

}  // namespace qkv::pipeline

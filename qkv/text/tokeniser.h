// Tokeniser: text to numbers and back. One value type for all kinds:
//   word       words, punctuation marks, single CJK characters
//   character  one reader's character a token, spaces included: exact round trips, fit for Chinese
//   space      whatever stands between spaces: text that is tokenised already
//   page       the page variant: Latin letters and ' only, specials <PAD> <UNK> <S> </S>
//   bpe, unigram   SentencePiece sub-words
//   pipeline   what an imported model was trained with (token_pipeline.h); it cannot be trained
// A tokeniser trained here numbers its special tokens pad 0, unk 1, bos 2, eos 3.
//
// On disk: `<stem>.tokeniser.json` (kind, normalisation, version, size and checksum of the payload;
// of a pipeline also the roles of its tokens) and beside it the payload, `<stem>.vocab`
// (vocabulary.h), `<stem>.model` (SentencePiece) or `<stem>.tokenizer.json` (Hugging Face's).
//
// All const functions may be called from many threads.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "qkv/text/normalise.h"
#include "qkv/text/subword.h"
#include "qkv/text/token_pipeline.h"
#include "qkv/text/vocabulary.h"

namespace qkv {

struct TokeniserOptions {
  enum class Kind { word, character, space, page, bpe, unigram, pipeline };
  Kind kind = Kind::word;
  int vocabulary_size = 0;     // largest number of tokens, specials included; 0: no limit for words
                               // and characters, 8000 for sub-words
  int min_count = 1;           // rarer words and characters are unknown; not for sub-words
  double coverage = 1.0;       // sub-words: share of all characters that get a piece
  bool byte_fallback = false;  // sub-words: no unknown characters, 256 more pieces
  Normalisation normalise = {};

  /// The page's recipe: words of count >= 20.
  static TokeniserOptions page_variant() { return {.kind = Kind::page, .min_count = 20}; }
};

/// Those that can be trained.
constexpr std::array<std::string_view, 6> spelling(TokeniserOptions::Kind) {
  return {"word", "character", "space", "page", "bpe", "unigram"};
}
constexpr bool is_subword(TokeniserOptions::Kind kind) {
  return kind == TokeniserOptions::Kind::bpe || kind == TokeniserOptions::Kind::unigram;
}
/// "word", "character", "space", "page", "bpe", "unigram", "pipeline"; the second form throws
/// Error.
std::string_view name_of(TokeniserOptions::Kind kind);
TokeniserOptions::Kind kind_of(std::string_view name);

class Tokeniser {
 public:
  using Kind = TokeniserOptions::Kind;

  /// A word tokeniser that knows only the special tokens.
  Tokeniser() = default;
  /// Throws Error when the sentences do not suffice or the options make no sense.
  static Tokeniser train(const TokeniserOptions& options, std::span<const std::string> sentences);
  /// A model that SentencePiece wrote (.model), with its own normalisation and numbers. kind() is
  /// `unigram` whatever it holds.
  static Tokeniser open_model(const std::filesystem::path& path);
  /// pad(), unk(), bos() and eos() are its roles.
  explicit Tokeniser(TokenPipeline pipeline);

  /// Payload first, then the JSON: an interrupted save leaves no half tokeniser behind. A pipeline
  /// is a tokenizer.json, whatever files it was made of.
  void save(const std::filesystem::path& directory, std::string_view stem) const;
  /// FileError when a file is missing, DataError when one is truncated, changed or from elsewhere.
  static Tokeniser load(const std::filesystem::path& directory, std::string_view stem);

  Kind kind() const { return kind_; }
  Normalisation normalisation() const { return normalise_; }
  std::int32_t size() const;
  std::int32_t pad() const;  // -1 when a foreign model has no such token; likewise below
  std::int32_t unk() const;
  std::int32_t bos() const;
  std::int32_t eos() const;
  /// These are null for the other kinds.
  const TokenPipeline* pipeline() const { return std::get_if<TokenPipeline>(&table_); }
  const Subword* subword() const { return std::get_if<Subword>(&table_); }

  /// Numbers of the text, without bos and eos; never a special token but unk, except that a
  /// pipeline reads the tokens that are spelled out in a text, as its own program does. Takes any
  /// bytes.
  std::vector<std::int32_t> encode(std::string_view text) const;
  /// The same tokens as text; unknown ones as they stand in the (normalised) source.
  std::vector<std::string> pieces(std::string_view text) const;
  /// pad, bos, eos and a pipeline's other special tokens are left out. Throws Error for a number
  /// outside [0, size()).
  std::string decode(std::span<const std::int32_t> ids) const;
  /// The text of pieces, some of which may not be in the vocabulary; special ones count as text.
  std::string join(const std::vector<std::string>& pieces) const;
  /// The name of a token: "▁the", "<eos>".
  const std::string& piece(std::int32_t id) const;

  /// For each token the number of the word it belongs to, 0, 1, 2 …: merges maps of sub-words into
  /// maps of words. A CJK character, a punctuation mark and a special token are words of their own;
  /// a space belongs to the word after it.
  std::vector<std::int32_t> words(std::span<const std::int32_t> ids) const;
  /// The text of those words, for labels.
  std::vector<std::string> word_texts(std::span<const std::int32_t> ids) const;

  UnknownReport unknown_report(std::span<const std::string> sentences) const;

 private:
  std::string payload() const;
  std::vector<std::string> cut(std::string_view text) const;  // for the kinds with a vocabulary
  bool is_special(std::int32_t id) const;                     // pad, bos, eos
  std::string surface(std::int32_t id) const;                 // as it stands in a text
  bool is_opaque(std::int32_t id, std::string_view surface) const;  // unknown, or part of a letter

  Kind kind_ = Kind::word;
  Normalisation normalise_ = {};
  // A vocabulary may be large; copies of a tokeniser share it.
  std::variant<std::shared_ptr<const Vocabulary>, Subword, TokenPipeline> table_ =
      std::make_shared<const Vocabulary>();
};

}  // namespace qkv

// How a BERT reads text: WordPiece, or for its relatives (RoBERTa, XLM-R, ALBERT) the tokeniser of
// another program. Either way a text stands between two special tokens,
// [CLS] and [SEP] or <s> and </s>, and hidden words are asked for as "[MASK]". A value: copies
// share the tables.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qkv/text/token_pipeline.h"
#include "qkv/text/wordpiece.h"

namespace qkv {

/// Two texts as one sequence: ids and segments of all tokens, those between and around included.
struct PiecePair {
  std::vector<std::int32_t> ids, types;
  std::int64_t first = 0, second = 0;  // where the pieces of each begin
  std::int64_t left_out = 0;           // pieces that found no room
};

class BertPieces {
 public:
  BertPieces() = default;
  BertPieces(WordPiece pieces) : pieces_(std::move(pieces)) {}
  /// The mask is that of its roles, else <mask> or [MASK]. Throws DataError when texts do not stand
  /// between two tokens. `path` is for messages.
  BertPieces(TokenPipeline pipeline, std::string_view path);

  /// One of these two is null.
  const WordPiece* word_piece() const { return pipeline_ ? nullptr : &pieces_; }
  const TokenPipeline* pipeline() const { return pipeline_ ? &*pipeline_ : nullptr; }
  /// Whether letters become small; a pipeline does not say.
  bool lower() const { return !pipeline_ && pieces_.lower(); }
  /// "30,522 pieces (lower case)", without the number.
  std::string_view kind() const;

  std::int32_t size() const { return pipeline_ ? pipeline_->size() : pieces_.size(); }
  std::int32_t pad() const { return pipeline_ ? pad_ : pieces_.pad(); }  // −1: none; also below
  std::int32_t unk() const { return pipeline_ ? unk_ : pieces_.unk(); }
  std::int32_t cls() const { return pipeline_ ? cls_ : pieces_.cls(); }
  std::int32_t sep() const { return pipeline_ ? sep_ : pieces_.sep(); }
  std::int32_t mask() const { return pipeline_ ? mask_ : pieces_.mask(); }
  bool is_special(std::int32_t id) const;
  /// Whether the piece goes on with the word before it.
  bool continues(std::int32_t id) const;
  /// What the vocabulary calls it; throws Error when there is no such number. A number between
  /// others that none has is "".
  std::string piece(std::int32_t id) const;
  /// What it adds to a text, for labels: "##ing" is "ing".
  std::string text_of(std::int32_t id) const;

  /// Numbers of the text, without the two around it. Of WordPiece no text gives a special token but
  /// [UNK]; a pipeline may find those that it lists.
  std::vector<std::int32_t> encode(std::string_view text) const;
  /// The same, but "[MASK]" in the text is that token. Throws Error when there is none.
  std::vector<std::int32_t> encode_masked(std::string_view text) const;
  /// Of a word in a sentence: all but the first stand behind a space. Those of all words, one after
  /// the other, are those of the words joined by spaces.
  std::vector<std::int32_t> encode_word(std::string_view word, bool first) const;
  /// [CLS] A [SEP] B [SEP] with segments 0 and 1, or what the pipeline's template for pairs says
  /// (RoBERTa: <s> A </s></s> B </s>). Of texts that are more than `longest` tokens together the
  /// longer one loses its end, then both alike (Hugging Face's longest_first). Throws Error when
  /// there is no such template, or no room for two texts.
  PiecePair encode_pair(std::string_view a, std::string_view b, std::int64_t longest) const;
  /// Text again, as far as that goes, without the two around it.
  std::string decode(std::span<const std::int32_t> ids) const;

  /// Throws DataError when there are special tokens only. `path` is for messages.
  void require_words(std::string_view path) const;

 private:
  WordPiece pieces_;
  std::optional<TokenPipeline> pipeline_;
  std::int32_t pad_ = -1, unk_ = -1, cls_ = -1, sep_ = -1, mask_ = -1;

  /// Tokens before, between and behind two texts.
  struct PairTemplate {
    std::vector<std::int32_t> ids[3], types[3];
    std::int32_t first_type = 0, second_type = 1;  // of the texts
    bool known = false;
  };
  static PairTemplate template_of(const TokenPipeline& pipeline);
  PairTemplate pair_;  // of a pipeline
};

}  // namespace qkv

// WordPiece, the sub-words of BERT (Devlin et al. 2019): text is cut into words and punctuation
// marks, and each word into the longest pieces that the vocabulary has, from the left; pieces
// inside a word are written with "##" before them. A value: copies share the vocabulary.
//
// Vocabularies are Hugging Face's vocab.txt: a piece a line, numbered from 0, among them [PAD],
// [UNK], [CLS], [SEP] and [MASK].
//
// Source of the rules: tokenization.py of https://github.com/google-research/bert; which characters
// count as control follows Hugging Face.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "qkv/text/vocabulary.h"

namespace qkv {

/// The words of a text as BERT sees them: control characters are dropped, CJK ideographs and
/// punctuation marks (of ASCII all signs) stand alone, and with `lower` letters are small and lose
/// their accents. Takes any bytes.
///   "Héllo, 王先生!"  ->  hello | , | 王 | 先 | 生 | !
std::vector<std::string> basic_tokens(std::string_view text, bool lower = true);

struct WordPieceOptions {
  bool lower = true;           // see basic_tokens()
  int vocabulary_size = 8000;  // an upper limit, special tokens included
  int min_count = 2;           // pairs that occur less often are not joined
};

class WordPiece {
 public:
  /// As in BERT's own program; Hugging Face's has 100.
  static constexpr std::size_t kLongestWord = 200;

  /// Only the special tokens.
  WordPiece();
  /// Learns pieces from text: beginning with single characters, the pair that occurs most often
  /// inside words is joined, again and again; equal counts by their text, so the same text always
  /// gives the same pieces. (The likelihood score count(ab) / (count(a)·count(b)) joins the rarest
  /// characters first and wastes a small vocabulary on them; by count is what Hugging Face's
  /// trainer does too.) Throws Error when there is no text, or no room for its characters.
  static WordPiece train(const WordPieceOptions& options, std::span<const std::string> sentences);
  /// A vocab.txt; `path` is for messages. Throws DataError for a piece that is there twice, bad
  /// UTF-8 or a missing [UNK], [CLS] or [SEP].
  static WordPiece from_text(std::string_view text, std::string_view path, bool lower);
  static WordPiece load(const std::filesystem::path& path, bool lower);

  /// Throws DataError when there are special tokens only. `path` is for messages.
  void require_words(std::string_view path) const;

  /// The same in the form of vocab.txt.
  std::string to_text() const;

  bool lower() const { return lower_; }
  /// Words of more code points become [UNK] as a whole; kLongestWord unless another program's
  /// tokeniser says otherwise.
  std::size_t longest_word() const { return longest_word_; }
  void set_longest_word(std::size_t code_points) { longest_word_ = code_points; }
  std::int32_t size() const;
  std::int32_t pad() const {
    return pad_;
  }  // −1 where a foreign vocabulary has none; likewise mask
  std::int32_t unk() const { return unk_; }
  std::int32_t cls() const { return cls_; }
  std::int32_t sep() const { return sep_; }
  std::int32_t mask() const { return mask_; }
  /// One of the five.
  bool is_special(std::int32_t id) const;
  /// Whether the piece goes on with the word before it.
  bool continues(std::int32_t id) const;
  /// Throws Error when there is no such number.
  const std::string& piece(std::int32_t id) const;
  /// −1 when there is no such piece.
  std::int32_t id(std::string_view piece) const;

  /// Numbers of the text, without [CLS] and [SEP]. No text gives a special token but [UNK].
  std::vector<std::int32_t> encode(std::string_view text) const;
  /// The same, but "[MASK]" in the text is that token.
  std::vector<std::int32_t> encode_masked(std::string_view text) const;
  std::vector<std::string> pieces(std::string_view text) const;
  /// Text again, as far as that goes: pieces of a word joined, conventional spaces around marks.
  /// Special tokens but [UNK] and [MASK] are left out.
  std::string decode(std::span<const std::int32_t> ids) const;

 private:
  struct Table;
  WordPiece(std::vector<std::string> pieces, std::string_view path, bool lower);
  void cut_word(const std::string& word, std::vector<std::int32_t>& ids) const;

  std::shared_ptr<const Table> table_;
  bool lower_ = true;
  std::size_t longest_word_ = kLongestWord;
  std::int32_t pad_ = -1, unk_ = -1, cls_ = -1, sep_ = -1, mask_ = -1;
};

}  // namespace qkv

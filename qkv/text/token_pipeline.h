// The tokenisers of other programs: text to the numbers that a published model was trained with,
// and back. A pipeline of small parts, as Hugging Face's tokenizer.json writes it down: normaliser,
// pre-tokeniser, model (WordPiece, BPE, unigram, whole words), post-processor and decoder.
//
//   const TokenPipeline t = read_token_pipeline("all-minilm-l6-v2");
//   t.ids("This is an example sentence");     // 101 2023 2003 2019 2742 6251 102
//   t.decode(t.ids("Hello"));                 // "hello"
//
// A value: copies share the tables, which never change, so any number of threads may use one. All
// functions take any bytes; a bad one counts as U+FFFD.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

namespace pipeline {
struct Parts;
}

/// A part of a text, first and behind the last; {0, 0} for a token that stands for no text.
struct TextSpan {
  std::uint32_t begin = 0, end = 0;
  bool operator==(const TextSpan&) const = default;
};

/// Each list has an entry for each token.
struct TokenEncoding {
  std::vector<std::int32_t> ids;
  std::vector<std::string>
      pieces;                   // "hell", "##o"; of words that are not known what the model says
  std::vector<TextSpan> spans;  // bytes of the text, or of the second text of a pair
  std::vector<std::int32_t> types;    // 0 or 1: which sentence, as models with segments take it
  std::vector<std::uint8_t> special;  // 1: put there by the post-processor, not by the text
  std::vector<std::int8_t> texts;     // 0: of the first text, 1: of the second, -1: of none
};

/// Numbers of tokens with a role, −1 where there is none. Only files beside tokenizer.json name
/// them (special_tokens_map.json, tokenizer_config.json).
struct TokenRoles {
  std::int32_t pad = -1, unk = -1, bos = -1, eos = -1, cls = -1, sep = -1, mask = -1;
  bool operator==(const TokenRoles&) const = default;

  /// visit(name, id), as files call them: "pad".
  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    visit("pad", r.pad), visit("unk", r.unk), visit("bos", r.bos), visit("eos", r.eos);
    visit("cls", r.cls), visit("sep", r.sep), visit("mask", r.mask);
  }
};

/// What a tokenizer.json says of cutting long texts; the pipeline itself never cuts.
struct TruncationNote {
  std::int64_t max_length = 0;  // tokens, special ones included
  bool left = false;            // cut at the beginning
};

class TokenPipeline {
 public:
  /// The text of a tokenizer.json; `path` is for messages. Throws DataError for anything that is
  /// damaged, and for a part, field or value that would change the answer and is not known here.
  static TokenPipeline from_json(std::string_view text, std::string_view path);
  /// What from_json() reads this pipeline from, also where it was made of other files.
  const std::string& json() const;
  explicit TokenPipeline(std::shared_ptr<const pipeline::Parts> parts);

  /// `special`: with the tokens that the post-processor puts around a text, [CLS] say.
  TokenEncoding encode(std::string_view text, bool special = true) const;
  TokenEncoding encode(std::string_view text, std::string_view pair, bool special = true) const;
  TokenEncoding encode(std::string_view text, const char* pair, bool special = true) const {
    return encode(text, std::string_view(pair), special);  // or a literal would be taken for a bool
  }
  /// The numbers alone, which is faster.
  std::vector<std::int32_t> ids(std::string_view text, bool special = true) const;
  /// Of many texts, by all threads; the same for any number of them.
  std::vector<std::vector<std::int32_t>> ids(std::span<const std::string> texts,
                                             bool special = true) const;

  /// `skip_special`: without special tokens. Throws Error for a number without a token.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = true) const;

  /// The text of pieces, which the vocabulary need not have.
  std::string join(std::vector<std::string> pieces) const;

  /// One above the largest number; there may be holes.
  std::int32_t size() const;
  /// Throws Error when there is no such number.
  const std::string& piece(std::int32_t id) const;
  /// Whether there is a token with the number.
  bool has(std::int32_t id) const;
  /// −1 when there is no such token.
  std::int32_t id(std::string_view piece) const;
  bool is_special(std::int32_t id) const;
  /// What the token adds to a text that it does not begin, a space before it where a word begins:
  /// " the", "ing"; with U+FFFD for bytes that are no whole character. Throws as piece() does.
  std::string surface(std::int32_t id) const;
  const TokenRoles& roles() const { return roles_; }
  /// The same pipeline with other roles. Throws Error for a number without a token, but −1.
  TokenPipeline with_roles(const TokenRoles& roles) const;
  const std::optional<TruncationNote>& truncation() const;

 private:
  std::shared_ptr<const pipeline::Parts> parts_;
  TokenRoles roles_;
};

/// Spans of bytes as spans of code points, as Hugging Face counts them.
std::vector<TextSpan> code_point_spans(std::string_view text, std::span<const TextSpan> bytes);

/// Which language a text is in, for directories with one vocabulary or model for each (Marian).
enum class TextSide : std::uint8_t { source, target };

/// The tokeniser of a model directory: tokenizer.json, or else the same object from vocab.txt
/// (BERT, DistilBERT), vocab.json and merges.txt (GPT-2, RoBERTa), source.spm, target.spm and
/// vocab.json (Marian), sentencepiece.bpe.model with vocab.json (M2M100, whose languages it leaves
/// out) or without (XLM-R), or tokenizer.model (Llama), with what tokenizer_config.json,
/// special_tokens_map.json and added_tokens.json say. Throws FileError when there is none of them,
/// DataError as from_json() does.
TokenPipeline read_token_pipeline(const std::filesystem::path& directory,
                                  TextSide side = TextSide::source);

}  // namespace qkv

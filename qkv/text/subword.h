// Sub-words by SentencePiece: BPE or unigram pieces learned from raw text. A value: copies share
// the model, which is never changed after loading, so any number of threads may use it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/text/normalise.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace qkv {

struct SubwordOptions {
  bool unigram = false;        // BPE otherwise
  int vocabulary_size = 8000;  // an upper limit: a small text gives fewer pieces
  double coverage = 1.0;       // share of all characters that get a piece; .9995 suits Chinese
  bool byte_fallback = false;  // unknown characters become byte pieces (256 more pieces)
  Normalisation normalise = {};
};

/// A piece, its number and the bytes of the text that it stands for; none for what the model adds.
struct SubwordPiece {
  std::string text;
  std::int32_t id = 0;
  std::size_t begin = 0, end = 0;
};

class Subword {
 public:
  /// Learns from sentences in memory, on one thread, the same pieces every time. Throws Error when
  /// there is no text or the vocabulary cannot even hold its characters. Lines above 64 KiB are
  /// not learned from.
  static Subword train(const SubwordOptions& options, std::span<const std::string> sentences);
  /// A model in SentencePiece's own format; `path` is for the message of the DataError, which says
  /// when it is damaged or has a piece without letters.
  static Subword from_model(std::string bytes, std::string_view path);

  /// The model in SentencePiece's format.
  const std::string& model() const { return *model_; }
  std::int32_t size() const;
  std::int32_t pad() const;  // -1 where a foreign model has none; so are the others
  std::int32_t unk() const;
  std::int32_t bos() const;
  std::int32_t eos() const;
  const std::string& piece(std::int32_t id) const;  // 0 <= id < size()
  bool is_control(std::int32_t id) const;           // pad, bos, eos
  bool is_byte(std::int32_t id) const;              // one byte of an unknown character

  std::vector<std::int32_t> encode(std::string_view text) const;
  std::vector<std::string> pieces(std::string_view text) const;
  std::string decode(std::span<const std::int32_t> ids) const;
  /// The library's own pieces of valid UTF-8: spaces of other kinds are what the model's rules make
  /// of them, whereas encode() makes them plain first.
  std::vector<SubwordPiece> traced(std::string_view text) const;
  /// The text of pieces by their names, which the model need not have.
  std::string join(const std::vector<std::string>& pieces) const;

 private:
  struct Runs;
  bool has_bytes() const;  // unknown characters become byte pieces
  bool is_unknown(std::string_view run) const;
  Runs shorten(std::string_view text) const;

  std::shared_ptr<const std::string> model_;
  std::shared_ptr<const std::vector<char32_t>> letters_;  // of all pieces, sorted
  std::shared_ptr<const sentencepiece::SentencePieceProcessor> processor_;
};

}  // namespace qkv

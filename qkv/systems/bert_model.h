// A BERT or one of its relatives as it lies in a directory, in the form that Hugging Face reads and
// writes:
//   config.json         Hugging Face's fields beside ours: format, task "mlm", preset
//   model.safetensors   weights under its names, matrices [out, in]; those of Dense modules beside
//                       them, "sentence.dense.0.linear.weight"
//   vocab.txt           the pieces; of RoBERTa, XLM-R and ALBERT tokenizer.json
// or, where adapters were trained beside those of another BERT, as a change of it (adapter.h).
// A directory that was made there (bert_family() knows its config.json) is read just so, with what
// stands beside it (import/bert_files.h, import/bert_weights.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/data/masked_text.h"
#include "qkv/io/json.h"
#include "qkv/models/bert.h"
#include "qkv/systems/adapter.h"
#include "qkv/systems/encoder.h"
#include "qkv/systems/import/bert_config.h"
#include "qkv/systems/import/bert_files.h"
#include "qkv/systems/import/bert_weights.h"
#include "qkv/text/wordpiece.h"

namespace qkv {

constexpr const char* kDenseName = "sentence.dense";  // of parameters, and "….0.linear.weight"

struct BertModel {
  Bert network;
  BertPieces pieces;
  std::string preset;              // for people: what the sizes were called
  std::int64_t longest = 0;        // tokens of a text that the tokeniser lets through; 0: no limit
  SentenceSettings sentence;       // how the directory wants vectors of texts
  std::vector<std::string> notes;  // what was passed over while loading; to be shown to people
  std::optional<AdapterBase> adapter = {};  // of a change of another BERT that is not merged

  /// Tokens of a sequence that can be read, [CLS] and [SEP] included.
  std::int64_t room() const;

  /// Numbers of a text's vector, behind the last Dense.
  std::int64_t vector_width() const;

  /// Leaves what vectors of texts are made from: the heads go, and the pooler where it is not
  /// asked.
  void keep_encoder();

  /// The parameters under their own names, so that a BertModel is a module.
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    Bert::each(m.network, visit);
    visit(kDenseName, m.sentence.dense);
  }
};

/// What a BERT is made from besides the text.
struct BertDesign {
  std::string preset;
  BertConfig network;       // its positions follow from masks.max_length
  MaskedTextOptions masks;  // pairs want a pooler and a head
  int vocabulary = 8000;
  int min_count = 2;
  std::string pieces;  // a file of them; empty: learnt from the text
  bool cased = false;

  template <class Self, class Visit>
  static void each(Self& d, Visit&& visit) {
    visit({"vocabulary", "Largest number of pieces to learn", between(1, 1 << 24)}, d.vocabulary);
    visit({"min_count", "Rarer pairs of pieces are not joined", between(1, 1e9)}, d.min_count);
    visit({"pieces", "A vocab.txt to use instead of learning one"}, d.pieces);
    visit({"cased", "Keep capitals and accents"}, d.cased);
  }
  /// Throws Error for what cannot be, before any text is read.
  void check() const;
};
/// The pieces of the design's file, else learnt from the lines.
WordPiece make_pieces(const BertDesign& design, std::span<const std::string> lines);
/// A network over the pieces, with fresh weights.
BertModel make_bert(const BertDesign& design, const WordPiece& pieces, std::uint64_t seed);

/// Whether a configuration is that of a BERT or a relative, ours or Hugging Face's.
bool is_bert_config(const Json& config);

constexpr const char* kPiecesFile = "vocab.txt";
/// Writes the pieces into a folder, and among a BERT's fields what the file does not say of them.
void save_pieces(const BertPieces& pieces, const std::filesystem::path& folder, Json& config);
/// The pieces of a directory of ours; `config`: the BERT's fields. Throws DataError unless there
/// are as many as the sizes say, and a word among them.
BertPieces load_pieces(const std::filesystem::path& directory, const BertConfig& sizes, bool lower,
                       const Json& config);
/// Another program's pieces and settings for a BERT of these sizes; rows of the vocabulary without
/// a piece go, from the sizes too. Notes are added to those of the weights.
BertFiles read_foreign_files(const ModelDirectory& directory, BertConfig& sizes,
                             BertWeights& weights);

/// Written file by file, each atomically, the configuration last.
void save_bert_model(const BertModel& model, const std::filesystem::path& directory);
/// Checks everything: fields, names and shapes of all weights, finite numbers, the vocabulary's
/// size. The heads and the pooler are there when the file has them. Each error says the file and
/// what to do. A change of another BERT comes with its base, merged or apart.
BertModel load_bert_model(const std::filesystem::path& directory,
                          Adapters adapters = Adapters::merged);

/// [CLS] text [SEP] for each text, packed; what is beyond room() is cut off. With `masked`
/// the word "[MASK]" is the token.
BertRows rows_of(const BertModel& model, std::span<const std::string> texts, bool masked = false);

struct BertCandidate {
  std::int32_t id = 0;
  double probability = 0;
};
/// For each [MASK] of the rows, in their order, the `count` likeliest pieces, best first. Special
/// tokens are never named.
std::vector<std::vector<BertCandidate>> fill_masks(const BertModel& model, const BertRows& rows,
                                                   int count);

/// A vector for each text, [B W], as the directory wants it but for what the options say. Throws
/// Error for a wish of the directory that this program cannot fulfil, NumericError for numbers that
/// are not finite. Not differentiable.
Tensor embed_texts(const BertModel& model, std::span<const std::string> texts,
                   const EmbedOptions& options = {});
/// Texts as embed_texts() reads them: with the directory's prompt, without white space around them,
/// cut to sentence_room() tokens, [CLS] and [SEP] included; `cut` grows by the texts that are
/// longer.
BertRows sentence_rows(const BertModel& model, std::span<const std::string> texts,
                       std::int64_t* cut = nullptr);
std::int64_t sentence_room(const BertModel& model);
/// A vector for each sequence, pooled and through the model's Dense modules: [B W], W its
/// vector_width(). Differentiable.
Tensor sentence_vectors(const BertModel& model, const BertRows& rows, TextVector how);
/// The same, not recorded; throws NumericError for numbers that are not finite.
Tensor text_vectors(const BertModel& model, const BertRows& rows, TextVector how);

}  // namespace qkv

// Training a BERT on text: the recipe with its presets, what it reads, its examples, and validation
// by words hidden once and for all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/data/masked_text.h"
#include "qkv/systems/bert_model.h"
#include "qkv/train/run.h"

namespace qkv {

/// Everything that makes a BERT besides the text (docs/models.md).
struct MaskedRecipe {
  std::string preset;
  BertConfig network;       // its positions follow from masks.max_length
  MaskedTextOptions masks;  // with the seed of `train`
  TrainOptions train;

  int vocabulary = 8000;
  int min_count = 2;
  std::string pieces;  // a file of them; empty: learnt from the text
  bool cased = false;
  bool by_line = false;  // every line is a document of its own
  std::int64_t batch_tokens = 4096;

  /// Without the lists of `network`, `masks` and `train`.
  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    visit({"vocabulary", "Largest number of pieces to learn", between(1, 1 << 24)}, r.vocabulary);
    visit({"min_count", "Rarer pairs of pieces are not joined", between(1, 1e9)}, r.min_count);
    visit({"pieces", "A vocab.txt to use instead of learning one"}, r.pieces);
    visit({"cased", "Keep capitals and accents"}, r.cased);
    visit({"by_line", "Every line is a document of its own"}, r.by_line);
    visit(changeable({"batch_tokens", "Tokens of a batch", between(1, 1e9)}), r.batch_tokens);
  }
  /// Throws Error for what cannot be, before any text is read.
  void check() const;
};
/// tiny | mini | small | base; throws UsageError with this list otherwise.
MaskedRecipe masked_recipe(std::string_view preset);

struct MaskedTexts {
  std::vector<std::string> train, valid;  // lines
};
/// One or several files each; without validation files the last fiftieth of the training lines.
MaskedTexts read_masked_texts(const std::vector<std::string>& train,
                              const std::vector<std::string>& valid);

/// The pieces of the recipe's file, else learnt from the lines.
WordPiece make_pieces(const MaskedRecipe& recipe, std::span<const std::string> lines);
/// A network over the pieces, with fresh weights.
BertModel make_bert(const MaskedRecipe& recipe, const WordPiece& pieces);

/// The whole run; `run` says where and whether it goes on. Throws UsageError and Error before the
/// first step for what cannot be.
TrainReport train_masked(const MaskedRecipe& recipe, const MaskedTexts& texts, TrainingRun& run,
                         const TrainWatch& watch);

MaskVocabulary mask_vocabulary(const WordPiece& pieces);

struct MaskedTraining {
  const Documents& train;
  const Documents& valid;
  MaskedTextOptions masks;
  std::int64_t batch_tokens = 4096;
  std::uint64_t seed = 1;
};
/// The task of train() for `model`; both must outlive it. `directory` is where the best model goes:
/// the one with the lowest validation loss, over words hidden once and for all. With pairs the loss
/// of both tasks is added, each a mean.
TrainTask masked_task(BertModel& model, const MaskedTraining& training,
                      const std::filesystem::path& directory);

/// How well a model finds hidden words, and tells pairs.
struct MaskedScore {
  double word_nll = 0, next_nll = 0;
  std::int64_t words = 0, right_words = 0, pairs = 0, right_pairs = 0;

  double loss() const;  // nats a hidden word
};
MaskedScore score_masked(const BertModel& model, std::span<const MaskedExample> examples,
                         std::int64_t batch_tokens);

}  // namespace qkv

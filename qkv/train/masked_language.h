// Training a BERT on text: presets with the published recipe, and the task for train().
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "qkv/data/masked_text.h"
#include "qkv/systems/bert_model.h"
#include "qkv/train/loop.h"

namespace qkv {

/// Sizes and the recipe that goes with them (docs/models.md).
struct MaskedPreset {
  std::string_view name;
  BertConfig model;
  WordPieceOptions pieces;
  MaskedTextOptions masks;
  TrainOptions train;
  std::int64_t batch_tokens = 4096;
};
/// tiny | mini | small | base; throws with this list otherwise.
MaskedPreset masked_preset(std::string_view name);

MaskVocabulary mask_vocabulary(const WordPiece& pieces);

/// A network and its vocabulary from the preset, with fresh weights.
BertModel make_bert(const MaskedPreset& preset, const WordPiece& pieces, std::uint64_t seed);

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

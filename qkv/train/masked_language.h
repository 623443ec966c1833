// Training a BERT on text: the recipe with its presets, its examples, and validation by words
// hidden once and for all.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/data/hold_out.h"
#include "qkv/data/masked_text.h"
#include "qkv/systems/bert_model.h"
#include "qkv/systems/masked_score.h"
#include "qkv/train/run.h"

namespace qkv {

/// Everything that makes a BERT besides the text (docs/models.md).
struct MaskedRecipe : BertDesign {
  TrainOptions train;    // its seed is that of `masks`, too
  bool by_line = false;  // every line is a document of its own
  std::int64_t batch_tokens = 4096;

  /// Without the lists of `network`, `masks` and `train`.
  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    BertDesign::each(r, visit);
    visit({"by_line", "Every line is a document of its own"}, r.by_line);
    visit(changeable({"batch_tokens", "Tokens of a batch", between(1, 1e9)}), r.batch_tokens);
  }
  /// Throws Error for what cannot be, before any text is read.
  void check() const;
};
/// tiny | mini | small | base; throws UsageError with this list otherwise.
MaskedRecipe masked_recipe(std::string_view preset);

using MaskedTexts = Split<std::vector<std::string>>;  // lines
/// One or several files each; without validation files the last fiftieth of the training lines.
MaskedTexts read_masked_texts(const std::vector<std::string>& train,
                              const std::vector<std::string>& valid);

/// The whole run; `run` says where and whether it goes on. Throws UsageError and Error before the
/// first step for what cannot be.
TrainReport train_masked(const MaskedRecipe& recipe, const MaskedTexts& texts, TrainingRun& run,
                         const TrainWatch& watch);

struct MaskedTraining {
  const Documents& train;
  const Documents& valid;
  MaskedTextOptions masks;
  std::int64_t batch_tokens = 4096;
  std::uint64_t seed = 1;
};
/// The task of train() for `model`; both must outlive it. The best model is the one with the lowest
/// validation loss, over words hidden once and for all. With pairs the loss of both tasks is added,
/// each a mean.
TrainTask masked_task(BertModel& model, const MaskedTraining& training);

}  // namespace qkv

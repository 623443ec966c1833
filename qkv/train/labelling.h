// Training a labeller from labelled text: the recipe with its presets, the task for train(),
// validation by the scores of the field.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "qkv/data/batching.h"
#include "qkv/data/hold_out.h"
#include "qkv/systems/label_scores.h"
#include "qkv/systems/make_labeller.h"
#include "qkv/train/fine_tuning.h"
#include "qkv/train/run.h"

namespace qkv {

/// Everything that makes a labeller besides the text (docs/models.md).
struct LabellingRecipe : LabellerDesign {
  TrainOptions train;
  FineTuning tuning;  // of what `init` brings
  std::int64_t batch_tokens = 400;
  std::int64_t bucket = 0;  // see BatchOptions
  double class_weight = 1;  // of a class beside its sentence's tags, when there are both
  double smoothing = 0;     // of labels, not in a CRF

  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    LabellerDesign::each(r, visit);
    visit(changeable({"batch_tokens", "Words of a batch", between(1, 1e9)}), r.batch_tokens);
    visit({"smoothing", "Label smoothing (not in a CRF)", share()}, r.smoothing);
    visit({"class_weight", "Of the intent's loss beside the tags'", non_negative()},
          r.class_weight);
  }
  /// Throws Error for what cannot be, before any text is read.
  void check() const;
};
/// tiny | small; throws UsageError with this list otherwise. LabelEncoder::bert wants an `init`.
LabellingRecipe labelling_recipe(std::string_view preset, LabelTask task, LabelEncoder encoder);
/// To go on from the trained encoder in `init`.
LabellingRecipe tuned_labelling_recipe(std::string_view preset, LabelTask task, std::string init);

/// The whole run; `run` says where and whether it goes on. Throws UsageError and Error before the
/// first step for what cannot be.
TrainReport train_labeller(const LabellingRecipe& recipe, Split<LabelledText> texts,
                           TrainingRun& run, const TrainWatch& watch);

struct LabellingTraining {
  const LabelledSet& train;
  const LabelledSet& valid;
  const LabelledText& valid_text;
  BatchOptions batches;
  double class_weight = 1;
  double smoothing = 0;
};
/// The task of train() for `model`; both must outlive it.
TrainTask labelling_task(LabellerModel& model, const LabellingTraining& training);

}  // namespace qkv

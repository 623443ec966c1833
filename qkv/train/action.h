// Training a model of actions from clips of skeletons: the recipe with its presets, the
// published rates, the task for train().
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/data/clip_files.h"
#include "qkv/systems/action_model.h"
#include "qkv/systems/predict_clips.h"
#include "qkv/train/run.h"

namespace qkv {

/// Everything that makes a model of actions besides the clips (docs/models.md).
struct ActionRecipe : ActionDesign {
  TrainOptions train;

  std::int64_t batch = 16;  // windows
  double smoothing = 0.1;
  ClipNoise noise;
  /// The published rates with a peak of at most this one (action_schedule()), which small batches
  /// bear where short runs would climb higher; 0: those of train.schedule.
  double highest_rate = 1e-3;
  std::optional<std::int64_t> warm_up;  // updates until that peak; unset: 30 % of the run

  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    visit(changeable({"batch", "Windows of a batch", between(1, 1e6)}), r.batch);
    visit({"smoothing", "Label smoothing (0.1)", share()}, r.smoothing);
    visit({"flip", "Probability of a mirror (0.5)", between(0, 1)}, r.noise.flip);
    visit({"noise", "Deviation of the noise on features (0.03)", non_negative()},
          r.noise.deviation);
    visit({"jitter", "How much of a clip its window may lose, or of the stride it may move (0.2)",
           share()},
          r.noise.jitter);
  }
  /// Throws Error for what cannot be, before any clip is read.
  void check() const;
};
/// act-micro, act-small, act-medium, act-large; throws UsageError with this list.
ActionRecipe action_recipe(std::string_view preset);

/// The published rates of a run of so many steps: C^{−½}·min(s^{−½}, s·w^{−1.5}) with w = 30 % of
/// the steps, 1e-4 after 80 %. Shorter runs would climb higher than the published one: the peak is
/// at most `highest`, from which the rest is scaled.
Schedule action_schedule(std::int64_t steps, std::int64_t width, double highest);

/// The whole run on clips.train, judged by clips.valid; `run` says where and whether it goes on.
/// Throws UsageError and Error before the first step for what cannot be.
TrainReport train_action(const ActionRecipe& recipe, const ActionClips& clips, TrainingRun& run,
                         const TrainWatch& watch = {});

struct ActionTraining {
  const ActionSet& train;
  const ActionSet& valid;
  std::span<const Clip> valid_clips;
  std::int64_t batch = 16;
  double smoothing = 0.1;
  ClipNoise noise = {};
  std::uint64_t seed = 1;
};
/// The task of train() for `model`; both must outlive it.
TrainTask action_task(ActionModel& model, const ActionTraining& training);

}  // namespace qkv

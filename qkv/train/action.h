// Training a model of actions from clips of skeletons: the recipe with its presets, what it reads,
// the published rates, the task for train(), scores.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/data/clips.h"
#include "qkv/eval/classification.h"
#include "qkv/systems/action_model.h"
#include "qkv/systems/action_recogniser.h"
#include "qkv/systems/predict_clips.h"
#include "qkv/train/run.h"

namespace qkv {

/// Everything that makes a model of actions besides the clips (docs/models.md).
struct ActionRecipe {
  std::string preset;
  /// The sizes of an act; another architecture gets a width that makes it as large
  /// (of_equal_size()). Features, frames and classes come from the clips.
  ActionNetwork::Config network;
  PoseOptions poses;  // how clips are read; the skeleton comes from the clips
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

/// Where clips lie, and which of a file's are meant (ClipFilter).
struct ActionFiles {
  std::string train, train_only, valid, valid_only, test, test_only;
  double hold_out = 0.1;  // without `valid`
  std::uint64_t split_seed = 1;

  template <class Self, class Visit>
  static void each(Self& f, Visit&& visit) {
    const char* only = "Of this file the clips with a field: train, 2=train, s01|s03, train,std";
    visit({.name = "train", .help = "Clips", .required = true}, f.train);
    visit({"train_only", only}, f.train_only);
    visit({"valid", "Clips for validation; default: some of each label held out"}, f.valid);
    visit({"valid_only", only}, f.valid_only);
    visit({"hold_out",
           "The share of each label held out without --valid",
           {.least = 0, .most = 1, .open_least = true, .open_most = true}},
          f.hold_out);
    visit({"split_seed", "Of the clips held out"}, f.split_seed);
    visit({"test", "Clips to score the best model on in the end"}, f.test);
    visit({"test_only", only}, f.test_only);
  }
};
struct ActionClips {
  std::vector<Clip> train, valid, test;
};
/// Throws Error when there is nothing to hold out, and as read_clips() does.
ActionClips read_action_clips(const ActionFiles& files);

/// The recipe's sizes for these clips and classes named as there, with random weights. Throws Error
/// when there is but one label.
ActionModel make_action_model(const ActionRecipe& recipe, std::span<const Clip> clips);

/// The whole run on clips.train, judged by clips.valid; `run` says where and whether it goes on.
/// Throws UsageError and Error before the first step for what cannot be.
TrainReport train_action(const ActionRecipe& recipe, const ActionClips& clips, TrainingRun& run,
                         const TrainWatch& watch = {});

/// Takes `share` of the clips of each label (at least one where there are two) away at random.
std::vector<Clip> hold_out(std::vector<Clip>& clips, double share, std::uint64_t seed);

ClassReport score_clips(const ActionModel& model, std::span<const Clip> clips,
                        std::span<const std::vector<double>> probabilities);
ClassReport score_clips(std::span<const Clip> clips, std::span<const RecognisedAction> found);

struct ActionTraining {
  const ActionSet& train;
  const ActionSet& valid;
  std::span<const Clip> valid_clips;
  std::int64_t batch = 16;
  double smoothing = 0.1;
  ClipNoise noise = {};
  std::uint64_t seed = 1;
};
/// The task of train() for `model`; both must outlive it. `directory` is where the best model goes.
TrainTask action_task(ActionModel& model, const ActionTraining& training,
                      const std::filesystem::path& directory);

}  // namespace qkv

// Training a model of actions from clips of skeletons: presets, the published recipe, the task for
// train(), predictions by one or several models and their scores.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qkv/data/clips.h"
#include "qkv/eval/classification.h"
#include "qkv/systems/action_model.h"
#include "qkv/systems/action_recogniser.h"
#include "qkv/systems/predict_clips.h"
#include "qkv/train/loop.h"

namespace qkv {

/// Sizes and the recipe that goes with them (docs/models.md).
struct ActionPreset {
  std::string name;
  ActionNetwork::Config model;
  TrainOptions train;
  std::int64_t batch = 16;  // windows
  double smoothing = 0.1;
  ClipNoise noise;
};
/// act-micro, act-small, act-medium, act-large; throws Error with this list. Another architecture
/// gets a width that makes it as large as `model`: fit_architecture().
ActionPreset action_preset(std::string_view name);

/// The published rates of a run of so many steps: C^{−½}·min(s^{−½}, s·w^{−1.5}) with w = 30 % of
/// the steps, 1e-4 after 80 %. Shorter runs would climb higher than the published one: the peak is
/// at most `highest`, from which the rest is scaled.
Schedule action_schedule(std::int64_t steps, std::int64_t width, double highest);

/// The preset's sizes for these clips and classes named as there, then the architecture; random
/// weights. Throws Error when there is but one label.
ActionModel make_action_model(const ActionPreset& preset, ActionArchitecture architecture,
                              const PoseOptions& poses, std::span<const Clip> clips,
                              std::uint64_t seed);

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

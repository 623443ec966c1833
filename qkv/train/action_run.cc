// Clips in, a trained model of actions out.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/train/action.h"

namespace qkv {
namespace {

constexpr std::array<std::string_view, 4> kPresets = {"act-micro", "act-small", "act-medium",
                                                      "act-large"};
constexpr std::int64_t kEpochs = 60;

std::string fingerprint_of(std::span<const Clip> clips) {
  std::uint64_t sum = 0;
  for (const Clip& clip : clips) {
    sum = key_of(sum, checksum(clip.name), clip.frames);
    for (const auto number : clip.numbers) sum = key_of(sum, std::hash<float>{}(number));
  }
  return fmt::format("{} clips, {:016x}", clips.size(), sum);
}

/// The published rates for as long as the run is to last.
Schedule published_rates(const ActionRecipe& r, std::size_t windows) {
  const std::int64_t updates_an_epoch =
      (static_cast<std::int64_t>(windows) + r.batch - 1) / r.batch;
  std::int64_t steps = r.train.steps > 0 ? r.train.steps : r.train.epochs * updates_an_epoch;
  if (steps == 0) steps = kEpochs * updates_an_epoch;  // only the time is given
  Schedule schedule = action_schedule(steps, r.network.width, r.highest_rate);
  if (r.warm_up) schedule.warm_up = *r.warm_up;
  return schedule;
}

}  // namespace

ActionRecipe action_recipe(std::string_view preset) {
  if (std::ranges::find(kPresets, preset) == kPresets.end()) {
    fail<UsageError>("--preset '{}' is not one of {}", preset, fmt::join(kPresets, ", "));
  }
  ActionRecipe r;
  r.preset = preset;
  r.network = action_sizes(preset.substr(4));
  r.train.optimiser.beta2 = 0.999;
  r.train.optimiser.eps = 1e-7;
  r.train.optimiser.decay = 1e-4;
  r.train.epochs = kEpochs;
  return r;
}

void ActionRecipe::check() const {
  check_ranges(*this);
  check_ranges(poses);
  train.check();
  network.check();
}

TrainReport train_action(const ActionRecipe& r, const ActionClips& clips, TrainingRun& run,
                         const TrainWatch& watch) {
  run.record.data = {{"train", fingerprint_of(clips.train)},
                     {"valid", fingerprint_of(clips.valid)}};
  ActionModel model = run.resumes() ? load_action_model(run.state())
                                    : make_action_model(r, clips.train, r.train.seed);
  const ActionSet train = encode_clips(model, clips.train);
  const ActionSet valid = encode_clips(model, clips.valid);
  watch.say(fmt::format("clips: {} to train on ({} windows), {} to validate on; skeleton {}",
                        clips.train.size(), train.windows.size(), clips.valid.size(),
                        model.poses.skeleton));
  watch.say(fmt::format("model: {} parameters ({}, {}), {} frames of {} features, {} labels",
                        grouped(parameter_count(model)), name_of(model.network.config.architecture),
                        model.preset, model.poses.frames, model.poses.features(),
                        model.labels.size()));
  TrainOptions options = r.train;
  if (r.highest_rate > 0) options.schedule = published_rates(r, train.windows.size());
  const ActionTraining training{.train = train,
                                .valid = valid,
                                .valid_clips = clips.valid,
                                .batch = r.batch,
                                .smoothing = r.smoothing,
                                .noise = r.noise,
                                .seed = r.train.seed};
  run.curve_score = {"accuracy", "accuracy"};
  return run.train(model, action_task(model, training), options, watch);
}

}  // namespace qkv

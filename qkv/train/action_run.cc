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

void say(const TrainWatch& watch, const std::string& text) {
  if (watch.line) watch.line(text);
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

ActionClips read_action_clips(const ActionFiles& files) {
  ActionClips clips;
  clips.train = read_clips(files.train, files.train_only);
  if (!files.test.empty()) clips.test = read_clips(files.test, files.test_only);
  clips.valid = files.valid.empty() ? hold_out(clips.train, files.hold_out, files.split_seed)
                                    : read_clips(files.valid, files.valid_only);
  return clips;
}

std::vector<Clip> hold_out(std::vector<Clip>& clips, double share, std::uint64_t seed) {
  std::map<std::string, std::vector<std::size_t>> by_name;
  for (std::size_t i = 0; i < clips.size(); ++i) by_name[clips[i].name].push_back(i);
  std::vector<char> out(clips.size(), 0);
  for (auto& [name, members] : by_name) {
    if (members.size() < 2) continue;
    Philox random(key_of(seed, hash_name(name)));
    shuffle(std::span<std::size_t>(members), random);
    const auto size = static_cast<double>(members.size());
    const auto count = std::max(1.0, std::min(size - 1, std::round(share * size)));
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) out[members[i]] = 1;
  }
  std::vector<Clip> held, rest;
  for (std::size_t i = 0; i < clips.size(); ++i) {
    (out[i] ? held : rest).push_back(std::move(clips[i]));
  }
  clips = std::move(rest);
  if (held.empty()) fail("too few clips to hold some out; give --valid");
  return held;
}

ActionModel make_action_model(const ActionRecipe& r, std::span<const Clip> clips) {
  std::map<std::int64_t, std::string> names;
  for (const Clip& clip : clips) names.emplace(clip.label, clip.name);
  if (names.size() < 2) fail("training needs clips of at least two labels, found {}", names.size());
  ActionModel model;
  for (const auto& [label, name] : names) model.labels.push_back(name);
  model.preset = r.preset;
  const PoseOptions shape = pose_options(clips.front());
  model.poses = r.poses;
  model.poses.skeleton = shape.skeleton;
  model.poses.dims = shape.dims;
  model.poses.joints = shape.joints;
  if (model.poses.frames > kMostFrames) {
    fail("windows of {} frames are longer than {}, the most that a model reads", model.poses.frames,
         kMostFrames);
  }
  ActionNetwork::Config c = r.network;
  c.architecture = ActionArchitecture::act;
  c.features = model.poses.features();
  c.frames = model.poses.frames;
  c.classes = static_cast<std::int64_t>(names.size());
  model.network = ActionNetwork::make(r.train.seed, of_equal_size(c, r.network.architecture));
  return model;
}

TrainReport train_action(const ActionRecipe& r, const ActionClips& clips, TrainingRun& run,
                         const TrainWatch& watch) {
  run.record.data = {{"train", fingerprint_of(clips.train)},
                     {"valid", fingerprint_of(clips.valid)}};
  ActionModel model =
      run.resumes() ? load_action_model(run.state()) : make_action_model(r, clips.train);
  const ActionSet train = encode_clips(model, clips.train);
  const ActionSet valid = encode_clips(model, clips.valid);
  say(watch, fmt::format("clips: {} to train on ({} windows), {} to validate on; skeleton {}",
                         clips.train.size(), train.windows.size(), clips.valid.size(),
                         model.poses.skeleton));
  say(watch,
      fmt::format("model: {} parameters ({}, {}), {} frames of {} features, {} labels",
                  grouped(parameter_count(model)), name_of(model.network.config.architecture),
                  model.preset, model.poses.frames, model.poses.features(), model.labels.size()));
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
  return run.train(model, action_task(model, training, run.directory()), options, watch);
}

}  // namespace qkv

#include "qkv/train/action.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>

#include <nlohmann/json.hpp>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

constexpr std::array<std::string_view, 4> kPresets = {"act-micro", "act-small", "act-medium",
                                                      "act-large"};
constexpr double kLast = 1e-4;  // the rate after 80 % of the steps

/// −log p of the right class, the mean over the clips whose label is known.
double mean_nll(const ActionSet& set, std::span<const std::vector<double>> probabilities) {
  double sum = 0;
  std::int64_t count = 0;
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    if (set.labels[i] < 0) continue;
    sum -= std::log(std::max(probabilities[i][at(set.labels[i])], 1e-30));
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : 0;
}

}  // namespace

ActionPreset action_preset(std::string_view name) {
  if (std::ranges::find(kPresets, name) == kPresets.end()) {
    fail("preset '{}' is not one of act-micro, act-small, act-medium, act-large", name);
  }
  ActionPreset p;
  p.name = name;
  p.model = action_sizes(name.substr(4));
  p.train.optimiser.beta2 = 0.999;
  p.train.optimiser.eps = 1e-7;
  p.train.optimiser.decay = 1e-4;
  p.train.epochs = 60;
  return p;
}

Schedule action_schedule(std::int64_t steps, std::int64_t width, double highest) {
  Schedule s{.kind = Schedule::Kind::inverse_sqrt, .initial = 0};
  s.warm_up = std::max<std::int64_t>(1, steps * 3 / 10);
  s.rate = std::min(highest, 1.0 / std::sqrt(static_cast<double>(width * s.warm_up)));
  s.drop_after = steps * 8 / 10;
  s.dropped = kLast;
  return s;
}

ActionModel make_action_model(const ActionPreset& preset, ActionArchitecture architecture,
                              const PoseOptions& poses, std::span<const Clip> clips,
                              std::uint64_t seed) {
  std::map<std::int64_t, std::string> names;
  for (const Clip& clip : clips) names.emplace(clip.label, clip.name);
  if (names.size() < 2) fail("training needs clips of at least two labels, found {}", names.size());
  if (poses.frames > kMostFrames) {
    fail("windows of {} frames are longer than {}, the most that a model reads", poses.frames,
         kMostFrames);
  }
  ActionModel model;
  for (const auto& [label, name] : names) model.labels.push_back(name);
  model.preset = preset.name;
  model.poses = poses;
  ActionNetwork::Config c = preset.model;
  c.features = poses.features();
  c.frames = poses.frames;
  c.classes = static_cast<std::int64_t>(names.size());
  model.network = ActionNetwork::make(of_equal_size(c, architecture), seed);
  return model;
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

ClassReport score_clips(const ActionModel& model, std::span<const Clip> clips,
                        std::span<const std::vector<double>> probabilities) {
  std::vector<std::string> gold, found;
  for (const Clip& clip : clips) gold.push_back(clip.name);
  for (const auto& p : probabilities) found.push_back(model.labels[likeliest(p)]);
  return score_classes(gold, found);
}

ClassReport score_clips(std::span<const Clip> clips, std::span<const RecognisedAction> found) {
  std::vector<std::string> gold, named;
  for (const Clip& clip : clips) gold.push_back(clip.name);
  for (const RecognisedAction& action : found) named.push_back(action.label);
  return score_classes(gold, named);
}

TrainTask action_task(ActionModel& model, const ActionTraining& training,
                      const std::filesystem::path& directory) {
  TrainTask task;
  task.plan = [&training](std::int64_t epoch) {
    std::vector<std::int64_t> order(training.train.windows.size());
    std::iota(order.begin(), order.end(), std::int64_t{0});
    Philox random(key_of(training.seed, hash_name("clips"), epoch));
    shuffle(std::span<std::int64_t>(order), random);
    std::vector<std::vector<std::int64_t>> batches;
    for (std::size_t begin = 0; begin < order.size(); begin += at(training.batch)) {
      const auto first = order.begin() + static_cast<std::ptrdiff_t>(begin);
      const auto size = std::min(order.size() - begin, at(training.batch));
      batches.emplace_back(first, first + static_cast<std::ptrdiff_t>(size));
    }
    return batches;
  };
  task.tokens = [](std::span<const std::int64_t> windows) {
    return static_cast<std::int64_t>(windows.size());
  };
  task.loss = [&model, &training](std::span<const std::int64_t> windows, double scale) {
    const ActionLoss r = model.network.loss(pack(model, training.train, windows, &training.noise),
                                            {.scale = scale, .smoothing = training.smoothing});
    return BatchLoss{.loss_sum = r.loss_sum,
                     .nll_sum = r.nll_sum,
                     .tokens = r.clips,
                     .correct = r.correct,
                     .loss = r.loss};
  };
  task.validate = [&model, &training] {
    const auto p = predict_clips(model, training.valid);
    const ClassReport report = score_clips(model, training.valid_clips, p);
    Validation v;
    v.loss = mean_nll(training.valid, p);
    // Few clips are held out, so many models are right on as many: the loss decides among them.
    v.score = report.accuracy() - 0.01 * v.loss;
    v.text = fmt::format("loss {:.4f}  accuracy {:.2f}  balanced {:.2f}", v.loss, report.accuracy(),
                         report.balanced_accuracy());
    v.metrics = nlohmann::json{{"accuracy", report.accuracy()},
                               {"balanced_accuracy", report.balanced_accuracy()}}
                    .dump();
    return v;
  };
  task.save = [&model, directory] { save_action_model(model, directory); };
  task.keep = [&model](const std::filesystem::path& folder) { save_action_model(model, folder); };
  return task;
}

}  // namespace qkv

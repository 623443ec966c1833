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

/// A key for the noise of this batch; none unless a tape records.
std::optional<std::uint64_t> noise_key() {
  const Dropout drop = draw_dropout(0.5);
  if (!drop.active()) return {};
  return key_of(drop.key0, drop.key1);
}

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

ActionSet encode_clips(const ActionModel& model, std::span<const Clip> clips) {
  ActionSet set;
  for (const Clip& clip : clips) {
    const auto found = std::ranges::find(model.labels, clip.name);
    set.labels.push_back(
        found == model.labels.end() ? -1 : static_cast<std::int32_t>(found - model.labels.begin()));
    const auto number = static_cast<std::int64_t>(set.poses.size());
    set.poses.push_back(poses_of(clip, model.poses));
    for (const ClipWindow& part : windows_of(clip.frames, model.poses)) {
      set.windows.push_back({number, part});
    }
  }
  return set;
}

ActionBatch pack(const ActionModel& model, const ActionSet& set,
                 std::span<const std::int64_t> windows, const ClipNoise* noise) {
  const std::optional<std::uint64_t> key = noise ? noise_key() : std::nullopt;
  ActionBatch batch;
  std::vector<std::int64_t> lengths;
  std::vector<float> features, one;
  for (const std::int64_t i : windows) {
    const ActionSet::Window& window = set.windows[at(i)];
    const Poses& poses = set.poses[at(window.clip)];
    ClipWindow part = window.part;
    Philox random(key_of(key.value_or(0), i));
    if (key) part = jittered(part, poses.frames, model.poses, noise->jitter, random);
    one.clear();
    append_features(poses, part, model.poses, one);
    if (key && random.uniform() < noise->flip) flip(one, model.poses.dims);
    if (key) add_noise(one, noise->deviation, random);
    features.insert(features.end(), one.begin(), one.end());
    lengths.push_back(part.frames);
    batch.classes.push_back(set.labels[at(window.clip)]);
  }
  batch.segments = Segments(lengths);
  batch.features = Tensor::of(features, {batch.segments.total(), model.poses.features()});
  return batch;
}

std::vector<std::vector<double>> predict_clips(const ActionModel& model, const ActionSet& set,
                                               std::int64_t batch) {
  const auto classes = model.labels.size();
  std::vector<std::vector<double>> sums(set.poses.size(), std::vector<double>(classes));
  std::vector<std::int64_t> counts(set.poses.size());
  const auto count = static_cast<std::int64_t>(set.windows.size());
  for (std::int64_t begin = 0; begin < count; begin += batch) {
    std::vector<std::int64_t> windows(at(std::min(batch, count - begin)));
    std::iota(windows.begin(), windows.end(), begin);
    const Tensor p = model.network.probabilities(pack(model, set, windows));
    for (std::size_t w = 0; w < windows.size(); ++w) {
      const std::size_t clip = at(set.windows[at(windows[w])].clip);
      ++counts[clip];
      for (std::size_t k = 0; k < classes; ++k) {
        sums[clip][k] += static_cast<double>(p.data()[w * classes + k]);
      }
    }
  }
  for (std::size_t i = 0; i < sums.size(); ++i) {
    for (double& sum : sums[i]) {
      sum /= static_cast<double>(counts[i]);
      if (!std::isfinite(sum)) {
        fail<NumericError>("the model gives {} for clip {}; its weights ran away, train it again",
                           sum, i + 1);
      }
    }
  }
  return sums;
}

std::vector<std::vector<double>> predict_clips(std::span<const ActionModel> models,
                                               std::span<const Clip> clips) {
  if (models.empty()) fail("predict_clips: no model");
  std::vector<std::vector<double>> mean;
  for (const ActionModel& model : models) {
    if (model.labels != models.front().labels) {
      fail("models of different labels cannot be averaged");
    }
    const auto p = predict_clips(model, encode_clips(model, clips));
    if (mean.empty()) mean.assign(p.size(), std::vector<double>(model.labels.size()));
    for (std::size_t i = 0; i < p.size(); ++i) {
      for (std::size_t k = 0; k < p[i].size(); ++k) {
        mean[i][k] += p[i][k] / static_cast<double>(models.size());
      }
    }
  }
  return mean;
}

std::size_t likeliest(std::span<const double> probabilities) {
  return static_cast<std::size_t>(std::ranges::max_element(probabilities) - probabilities.begin());
}

ClassReport score_clips(const ActionModel& model, std::span<const Clip> clips,
                        std::span<const std::vector<double>> probabilities) {
  std::vector<std::string> gold, found;
  for (const Clip& clip : clips) gold.push_back(clip.name);
  for (const auto& p : probabilities) found.push_back(model.labels[likeliest(p)]);
  return score_classes(gold, found);
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

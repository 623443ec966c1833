#include "qkv/systems/predict_clips.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/systems/noise_key.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

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
        sums[clip][k] += static_cast<double>(p.values()[w * classes + k]);
      }
    }
  }
  for (std::size_t i = 0; i < sums.size(); ++i) {
    for (double& sum : sums[i]) {
      sum /= static_cast<double>(counts[i]);
      if (!std::isfinite(sum)) {
        fail<NumericError>("the model gives {} for clip {}; its weights ran away", sum, i + 1);
      }
    }
  }
  return sums;
}

std::vector<std::vector<double>> predict_clips(std::span<const ActionModel* const> models,
                                               std::span<const Clip> clips) {
  if (models.empty()) fail("predict_clips: no model");
  std::vector<std::vector<double>> mean;
  for (const ActionModel* one : models) {
    const ActionModel& model = *one;
    if (model.labels != models.front()->labels) {
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

ClassReport score_clips(std::span<const Clip> clips, std::span<const RecognisedAction> found) {
  std::vector<std::string> gold, named;
  for (const Clip& clip : clips) gold.push_back(clip.name);
  for (const RecognisedAction& action : found) named.push_back(action.label);
  return score_classes(gold, named);
}

}  // namespace qkv

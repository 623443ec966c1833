#include "qkv/train/sounds.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/ops/pieces.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

constexpr std::int64_t kCtcBeam = 1;  // of validations

/// A key for what this batch draws; none unless a tape records.
std::optional<std::uint64_t> noise_key() {
  const Dropout drop = draw_dropout(0.5);
  if (!drop.active()) return {};
  return key_of(drop.key0, drop.key1);
}

/// Frames of an example while training.
std::int64_t frames_in(const SoundExamples& set, const SoundRecipe& r, std::int64_t i) {
  const std::int64_t frames = set.rows[at(i)].dim(0);
  return r.crop > 0 ? std::min(r.crop, frames) : frames;
}

/// Symbols that the model has; texts of validation may hold others.
void add_known(std::span<const std::int32_t> labels, std::vector<std::int32_t>& to) {
  for (const std::int32_t label : labels) {
    if (label >= 0) to.push_back(label);
  }
}

/// Examples end to end; with a key cut, shifted and hidden as the recipe says.
SoundBatch batch_of(const SoundModel& model, const SoundExamples& set, const SoundRecipe& r,
                    std::span<const std::int64_t> examples, std::optional<std::uint64_t> key) {
  std::vector<Tensor> rows;
  SoundBatch batch;
  std::vector<std::int64_t> texts;
  for (const std::int64_t i : examples) {
    Philox random(key_of(key.value_or(0), i));
    const std::vector<std::int32_t>& labels = set.labels[at(i)];
    Tensor one = set.rows[at(i)];
    std::int64_t begin = 0, end = one.dim(0);
    if (key && r.varies()) {
      Sound sound = set.sounds[at(i)];
      vary(sound, r.shift ? set.frames->hop() : 0, r.gain, random);
      one = (*set.frames)(sound);
      standardise(model, one);
    }
    if (key) {
      const std::int64_t count = frames_in(set, r, i);
      begin = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(end - count + 1)));
      end = begin + count;
      one = one.rows(begin, end).clone();
      spec_augment(one.values(), static_cast<int>(one.dim(1)), r.hidden, random);
      if (r.first_positions > 0) {
        batch.first.push_back(
            static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(r.first_positions))));
      }
    }
    rows.push_back(one);
    const std::size_t before = batch.labels.size();
    switch (model.network.config.task) {
      case SoundTask::clip:
        batch.labels.push_back(labels.front());
        break;
      case SoundTask::frame:
        batch.labels.insert(batch.labels.end(), labels.begin() + begin, labels.begin() + end);
        break;
      case SoundTask::text:
        add_known(labels, batch.labels);
        texts.push_back(static_cast<std::int64_t>(batch.labels.size() - before));
        break;
    }
  }
  SoundBatch packed = pack_sounds(rows);
  batch.segments = packed.segments;
  batch.rows = packed.rows;
  batch.texts = Segments(texts);
  return batch;
}

std::vector<std::vector<std::int64_t>> plan(const SoundTraining& t, std::int64_t epoch) {
  std::vector<std::int64_t> order(t.train.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  Philox random(key_of(t.recipe.train.seed, hash_name("sounds"), epoch));
  shuffle(std::span<std::int64_t>(order), random);
  std::vector<std::vector<std::int64_t>> batches;
  for (std::size_t begin = 0; begin < order.size(); begin += at(t.recipe.batch)) {
    const auto first = order.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto size = std::min(order.size() - begin, at(t.recipe.batch));
    batches.emplace_back(first, first + static_cast<std::ptrdiff_t>(size));
  }
  return batches;
}

std::int64_t tokens_of(const SoundModel& model, const SoundTraining& t,
                       std::span<const std::int64_t> examples) {
  std::int64_t tokens = 0;
  for (const std::int64_t i : examples) {
    switch (model.network.config.task) {
      case SoundTask::clip:
        ++tokens;
        break;
      case SoundTask::frame:
        tokens += frames_in(t.train, t.recipe, i);
        break;
      case SoundTask::text:
        tokens += static_cast<std::int64_t>(t.train.labels[at(i)].size()) + 1;
        break;
    }
  }
  return tokens;
}

/// Nats a token over a set, without noise.
double mean_loss(const SoundModel& model, const SoundExamples& set, const SoundRecipe& r) {
  const NoRecording quiet;
  double sum = 0;
  std::int64_t tokens = 0;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(set.size()); ++i) {
    const SoundLoss loss = model.network.loss(batch_of(model, set, r, std::span(&i, 1), {}),
                                              {.ctc_share = r.ctc_share});
    sum += loss.nll_sum;
    tokens += loss.tokens;
  }
  return tokens > 0 ? sum / static_cast<double>(tokens) : 0;
}

Validation validate(const SoundModel& model, const SoundTraining& t) {
  Validation v;
  v.loss = mean_loss(model, t.valid, t.recipe);
  // Few sounds are held out, so many models are right on as many: the loss decides among them.
  constexpr double kLossWeight = 0.01;
  if (model.network.config.task != SoundTask::text) {
    const double accuracy = score_labels(model, t.valid).accuracy();
    v.score = accuracy - kLossWeight * v.loss;
    v.text = fmt::format("loss {:.4f}  accuracy {:.2f}", v.loss, accuracy);
    v.metrics = nlohmann::json{{"accuracy", accuracy}}.dump();
    return v;
  }
  const ErrorReport report = score_texts(model, t.valid, {.beam = kCtcBeam});
  const double rate = 100 * report.rate();
  const double right = 100 * static_cast<double>(report.right) / static_cast<double>(report.lines);
  v.score = -rate - kLossWeight * v.loss;
  v.text = fmt::format("loss {:.4f}  {} {:.2f}  texts right {:.1f}", v.loss,
                       report.unit == ErrorUnit::word ? "WER" : "CER", rate, right);
  v.metrics = nlohmann::json{{"error_rate", rate}, {"texts_right", right}}.dump();
  return v;
}

}  // namespace

TrainTask sound_task(SoundModel& model, const SoundTraining& training) {
  TrainTask task;
  task.plan = [&training](std::int64_t epoch) { return plan(training, epoch); };
  constexpr const char* kCounted[] = {"sounds", "frames", "symbols"};  // by SoundTask
  task.words.counted = kCounted[static_cast<std::size_t>(model.network.config.task)];
  task.tokens = [&model, &training](std::span<const std::int64_t> examples) {
    return tokens_of(model, training, examples);
  };
  task.loss = [&model, &training](std::span<const std::int64_t> examples, double scale) {
    const SoundLoss r =
        model.network.loss(batch_of(model, training.train, training.recipe, examples, noise_key()),
                           {.scale = scale, .ctc_share = training.recipe.ctc_share});
    return BatchLoss{.loss_sum = r.nll_sum,
                     .nll_sum = r.nll_sum,
                     .tokens = r.tokens,
                     .correct = r.correct,
                     .loss = r.loss};
  };
  task.validate = [&model, &training] { return validate(model, training); };
  task.save = task.keep = [&model](const std::filesystem::path& folder) {
    save_sound_model(model, folder);
  };
  return task;
}

}  // namespace qkv

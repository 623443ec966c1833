#include "qkv/train/labelling.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// What the loss is a mean of: words when there are tags, else sentences.
std::int64_t units(const LabellerModel& model, const LabelledSet& set,
                   std::span<const std::int64_t> examples) {
  if (model.network.config.tags == 0) return static_cast<std::int64_t>(examples.size());
  std::int64_t words = 0;
  for (const std::int64_t i : examples) words += set.lengths[at(i)].source;
  return words;
}

BatchLoss batch_loss(const LabellerModel& model, const LabelledSet& set,
                     std::span<const std::int64_t> examples, const LabellingTraining& t,
                     double scale) {
  const LabelLoss r = model.network.loss(
      pack(set.all, examples),
      {.tag_scale = scale, .class_scale = scale * t.class_weight, .smoothing = t.smoothing});
  return {.loss_sum = r.tag_sum + t.class_weight * r.class_sum,
          .nll_sum = r.tag_sum + r.class_sum,
          .tokens = units(model, set, examples),
          .correct = -1,
          .loss = r.loss};
}

/// Mean over the sentences whose labels the model knows; of unknown ones it can only be infinite.
double validation_loss(const LabellerModel& model, const LabellingTraining& t) {
  const NoRecording off;
  const LabelBatch& all = t.valid.all;
  std::vector<std::int64_t> known;
  std::vector<ExampleLength> lengths;
  for (std::int64_t b = 0; b < all.segments.count(); ++b) {
    const auto begin = all.tags.begin();
    const bool tags = all.tags.empty() ||
                      std::find(begin + all.segments.begin(b), begin + all.segments.end(b), -1) ==
                          begin + all.segments.end(b);
    if (!tags || (!all.classes.empty() && all.classes[at(b)] < 0)) continue;
    known.push_back(b);
    lengths.push_back(t.valid.lengths[at(b)]);
  }
  double sum = 0;
  std::int64_t count = 0;
  for (auto examples : plan_in_order(lengths, t.batches.max_tokens)) {
    for (std::int64_t& i : examples) i = known[at(i)];
    const BatchLoss part = batch_loss(model, t.valid, examples, t, 1.0);
    sum += part.nll_sum;
    count += part.tokens;
  }
  return count > 0 ? sum / static_cast<double>(count) : 0;
}

}  // namespace

TrainTask labelling_task(LabellerModel& model, const LabellingTraining& training) {
  TrainTask task;
  task.plan = [&training](std::int64_t epoch) {
    return plan_epoch(training.train.lengths, training.batches, epoch);
  };
  task.tokens = [&model, &training](std::span<const std::int64_t> examples) {
    return units(model, training.train, examples);
  };
  task.loss = [&model, &training](std::span<const std::int64_t> examples, double scale) {
    return batch_loss(model, training.train, examples, training, scale);
  };
  task.validate = [&model, &training] {
    Validation v;
    v.loss = validation_loss(model, training);
    const LabelScores scores =
        score_labelled(training.valid_text, label_sentences(model, training.valid_text.words));
    v.score = scores.score();
    v.text = fmt::format("loss {:.4f}  {}", v.loss, scores.line());
    v.metrics = nlohmann::json{{"score", v.score}}.dump();
    return v;
  };
  task.save = task.keep = [&model](const std::filesystem::path& folder) {
    save_labeller_model(model, folder);
  };
  return task;
}

}  // namespace qkv

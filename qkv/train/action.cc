#include "qkv/train/action.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <nlohmann/json.hpp>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

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

Schedule action_schedule(std::int64_t steps, std::int64_t width, double highest) {
  Schedule s = Schedule::transformer(width, std::max<std::int64_t>(1, steps * 3 / 10));
  s.rate = std::min(highest, s.rate);
  s.drop_after = steps * 8 / 10;
  s.dropped = kLast;
  return s;
}

TrainTask action_task(ActionModel& model, const ActionTraining& training) {
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
  task.save = task.keep = [&model](const std::filesystem::path& folder) {
    save_action_model(model, folder);
  };
  return task;
}

}  // namespace qkv

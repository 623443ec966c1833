// One run of training, whatever is trained: where it begins, what is kept beside its state, the
// loop, the curve, what people are told.
#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "qkv/nn/buffers.h"
#include "qkv/train/loop.h"
#include "qkv/train/run_directory.h"
#include "qkv/train/run_record.h"
#include "qkv/view/metrics_curve.h"

namespace qkv {

/// What a user says of a run's directory.
struct RunOptions {
  std::string model;  // the directory
  bool resume = false, overwrite = false;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({.name = "model", .help = "Model directory to write", .required = true}, o.model);
    visit({"resume", "Go on from the state in the model directory"}, o.resume);
    visit({"overwrite", "Begin again where a model or a run is already"}, o.overwrite);
  }
};

/// Whether and how the run begins, asked before anything else is done (begin_of()), with the record
/// of the run that is resumed.
class TrainingRun {
 public:
  explicit TrainingRun(RunOptions options);

  bool resumes() const { return options_.resume; }
  const std::filesystem::path& directory() const { return directory_; }
  std::filesystem::path state() const;
  const RunRecord& begun() const { return begun_; }
  /// What this run is begun with; to be filled before train().
  RunRecord record;

  /// The field of metrics.jsonl that the curve shows beside the losses, and its name there.
  std::pair<std::string, std::string> curve_score;
  /// How the losses are called there.
  CurveWords curve;

  /// Trains `model` to the end: keeps what resuming needs, its buffers too (nn/buffers.h), draws
  /// curve.svg, says how it ended.
  template <class Model>
  TrainReport train(Model& model, TrainTask task, const TrainOptions& options,
                    const TrainWatch& watch, const Trainable& trainable = {}) const {
    Optimiser optimiser(model, options.optimiser, trainable);
    for_each_buffer(model, [&](std::string_view path, Tensor& value) {
      task.held.emplace_back("buffer." + std::string(path), value);
    });
    return train(optimiser, std::move(task), options, watch);
  }

 private:
  TrainReport train(Optimiser& optimiser, TrainTask task, const TrainOptions& options,
                    const TrainWatch& watch) const;

  RunOptions options_;
  std::filesystem::path directory_;
  RunRecord begun_;
};

}  // namespace qkv

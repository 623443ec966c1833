// The training loop: steps, accumulation, validation, averaging, early stopping, interruption and
// exact resumption, for any task that can name its batches and compute a loss.
//
// What a run leaves in its directory: run_directory.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "qkv/base/progress.h"
#include "qkv/ops/loss.h"
#include "qkv/train/optimiser.h"
#include "qkv/train/schedule.h"

namespace qkv {

struct TrainOptions {
  OptimiserOptions optimiser;
  Schedule schedule;
  std::int64_t steps = 0;       // end after this many updates; 0: no limit
  std::int64_t epochs = 0;      // … after this many passes
  double minutes = 0;           // … after this much time (the end then depends on the machine)
  std::int64_t accumulate = 1;  // batches an update
  std::int64_t validate_every = 0;  // updates between validations; 0: once an epoch
  std::int64_t patience = 0;  // stop after this many validations without a better score; 0: never
  std::int64_t average_last =
      0;  // judge and keep the mean of the weights at the last n validations
  std::int64_t report_every = 50;  // updates between lines of metrics.jsonl
  double save_minutes = 5;         // time between saves of the state
  std::uint64_t seed = 1;

  /// Those of schedule and optimiser stand in one list with the rest. Where an end is given (steps,
  /// epochs, minutes) the caller clears the others: see ends_from().
  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit(changeable({"steps", "Updates", between(0, 1e12)}), o.steps);
    visit(changeable({"epochs", "Passes over the data", between(0, 1e9)}), o.epochs);
    visit(changeable({"minutes", "Time; the end then depends on the machine", non_negative()}),
          o.minutes);
    visit(changeable({"accumulate", "Batches an update", between(1, 1e9)}), o.accumulate);
    Schedule::each(o.schedule, visit);
    OptimiserOptions::each(o.optimiser, visit);
    visit({"average", "Keep the mean of the weights at the last n validations", between(0, 10'000)},
          o.average_last);
    visit(changeable({"validate_every", "Updates between validations (0: once an epoch)",
                      between(0, 1e12)}),
          o.validate_every);
    visit(changeable({"patience", "Stop after so many validations without a better one (0: never)",
                      between(0, 1e9)}),
          o.patience);
    visit({"seed", "Of weights, order and dropout"}, o.seed);
    visit(changeable({"save_minutes", "Time between saves of the state", positive()}),
          o.save_minutes);
  }

  /// Throws Error for a number out of its range, those of optimiser and schedule included, and when
  /// nothing would ever end the training.
  void check() const;
};

/// What one batch contributed.
struct BatchLoss {
  double loss_sum = 0, nll_sum = 0;  // over tokens
  std::int64_t tokens = 0;
  std::int64_t correct = 0;  // negative: the task does not count them
  Tensor loss;               // the scalar to differentiate

  /// Adds up all but the scalar.
  BatchLoss& operator+=(const BatchLoss& part);
};
/// Of a loss over tokens.
BatchLoss batch_loss(const CrossEntropyResult& r);

struct Validation {
  double loss = 0;      // nats a token
  double score = 0;     // higher is better; decides which model is kept
  std::string text;     // "loss 2.31  BLEU 31.2", for people
  std::string metrics;  // a JSON object for metrics.jsonl, "{…}"
  /// Another score, higher is better too. Then a validation that is at least as good as the best so
  /// far in one of the two begins the patience anew, and the model is kept where it is in both
  /// (the stopping rule of Veličković et al. 2018).
  std::optional<double> second = {};
};

/// What lines and metrics call the losses, where they are not nats a token.
struct TrainWords {
  std::string loss = "loss";
  std::string second;  // what nll_sum is then; empty: "nll", which no line shows
  std::string counted = "tokens";
};

struct TrainTask {
  /// The batches of an epoch, as lists of examples; a pure function of the epoch.
  std::function<std::vector<std::vector<std::int64_t>>(std::int64_t epoch)> plan;
  /// Tokens whose loss is averaged, in a batch.
  std::function<std::int64_t(std::span<const std::int64_t> examples)> tokens;
  /// Forward pass of a batch; the loss is scaled by `scale` = 1 / tokens of the whole update.
  std::function<BatchLoss(std::span<const std::int64_t> examples, double scale)> loss;
  /// Judges the model as it stands (its weights may be an average).
  std::function<Validation()> validate;
  /// Writes the model as it stands into the model directory.
  std::function<void(const std::filesystem::path& directory)> save;
  /// The same into another folder, for a resumed run to be built from; only its weights come from
  /// elsewhere then. May be empty.
  std::function<void(const std::filesystem::path& folder)> keep;
  /// Validations come so often, at so little cost, that what they find best stays in memory until
  /// the state is saved (save_minutes, or the end), and few of them are told of.
  bool often = false;

  /// The turn of another player before each update, with the update's first batch, its number (from
  /// 1) and its rate: a forward and backward pass and a step of its own. Gives its loss, the mean
  /// of what is counted, which becomes nll_sum. May be empty; throws NumericError.
  std::function<double(std::span<const std::int64_t> examples, std::int64_t step, double rate)>
      opponent;
  /// What an update changes besides the optimiser's numbers, under names of its own: buffers, the
  /// other player's weights and moments. Saved with the state, and read back into these tensors.
  std::vector<std::pair<std::string, Tensor>> held;
  /// Told when they have been, at which step.
  std::function<void(std::int64_t step)> restored;
  TrainWords words;
};

struct TrainReport {
  enum class End : std::uint8_t { done, patience, time, interrupted };
  End end = End::done;
  std::int64_t steps = 0, epochs = 0, tokens = 0;
  double seconds = 0;
  double best_score = -std::numeric_limits<double>::infinity();
  std::int64_t best_step = 0;
};

/// Set to 1 by another thread or a signal handler (lock-free): the loop finishes its step, saves
/// the state and returns `interrupted`.
extern std::atomic<int> g_interrupt_training;

/// Lines for people ("step 100 …"); Progress goes to the bar.
struct TrainWatch {
  ProgressSink progress;
  std::function<void(const std::string&)> line;

  void say(const std::string& text) const {
    if (line) line(text);
  }
};

/// Runs until an end is reached. With `resume` it continues from the state in `directory` (error
/// when there is none), to the same bits as if it had never stopped; otherwise what a run left
/// there goes once this one has a state to put in its place (begin_of() says whether it may).
/// Throws NumericError when a loss, a gradient, a weight or the result of a validation is not
/// finite; the last good state then stays, and the message says where.
TrainReport train(const TrainTask& task, Optimiser& optimiser, const TrainOptions& options,
                  const std::filesystem::path& directory, bool resume,
                  const TrainWatch& watch = {});

}  // namespace qkv

#include "qkv/train/loop.h"

#include <chrono>
#include <cmath>
#include <deque>
#include <map>
#include <memory>

#include <nlohmann/json.hpp>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/directory.h"
#include "qkv/io/safetensors.h"
#include "qkv/kernels/elementwise.h"

namespace qkv {

std::atomic<int> g_interrupt_training = 0;

namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// What a run must remember besides the optimiser's numbers. `batch` counts within the epoch.
struct Position {
  std::int64_t step = 0, epoch = 0, batch = 0, tokens = 0;
  std::int64_t best_step = 0, stale = 0;
  std::int64_t validated = -1;  // the step of the last validation: it must not be judged twice
  double best_score = -std::numeric_limits<double>::infinity();
  double seconds = 0;
};

class Run {
 public:
  Run(const TrainTask& task, Optimiser& optimiser, const TrainOptions& options,
      std::filesystem::path directory, const TrainWatch& watch)
      : task_(task),
        optimiser_(optimiser),
        options_(options),
        directory_(std::move(directory)),
        watch_(watch) {}

  void resume() {
    const std::filesystem::path path = state_path();
    if (!std::filesystem::exists(path)) {
      fail("{}: no saved state to resume from; train without --resume", path.string());
    }
    const SafetensorsFile file(path);
    const std::map<std::string, std::string>& meta = file.metadata();
    const auto found = meta.find("qkv.position");
    if (found == meta.end()) throw DataError(path.string(), 0, "holds no training position");
    const Json json = Json::parse(found->second);
    at_.step = json.at("step");
    at_.epoch = json.at("epoch");
    at_.batch = json.at("batch");
    at_.tokens = json.at("tokens");
    at_.best_step = json.at("best_step");
    at_.stale = json.at("stale");
    at_.validated = json.at("validated");
    if (!json.at("best_score").is_null()) at_.best_score = json.at("best_score");
    at_.seconds = json.at("seconds");
    std::vector<std::pair<std::string, Tensor>> state;
    for (const std::string& name : file.names()) {
      if (name.starts_with("snapshot.")) {
        snapshots_.push_back(file.tensor_copy(name));
      } else {
        state.emplace_back(name, file.tensor_copy(name));
      }
    }
    optimiser_.restore(at_.step, state);
    trim_metrics(at_.step);
  }

  TrainReport run() {
    started_ = saved_ = Clock::now();
    seconds_before_ = at_.seconds;
    TrainReport::End end = TrainReport::End::done;
    for (; !reached_end(); ++at_.epoch, at_.batch = 0) {
      const auto plan = task_.plan(at_.epoch);
      if (plan.empty()) fail("training: no batches; is the training data empty?");
      const auto batches = static_cast<std::int64_t>(plan.size());
      bool stop = false;
      while (at_.batch < batches && !stop) {
        update(plan);
        const bool epoch_over = at_.batch >= batches;
        if (options_.validate_every > 0 ? at_.step % options_.validate_every == 0 : epoch_over) {
          validate();
        }
        if (g_interrupt_training) {
          end = TrainReport::End::interrupted;
          stop = true;
        } else if (options_.patience > 0 && at_.stale >= options_.patience) {
          end = TrainReport::End::patience;
          stop = true;
        } else if (out_of_time()) {
          end = TrainReport::End::time;
          stop = true;
        } else if (options_.steps > 0 && at_.step >= options_.steps) {
          stop = true;
        } else if (seconds_since(saved_) > 60 * options_.save_minutes) {
          save_state();
        }
      }
      if (stop) break;
    }
    if (end != TrainReport::End::interrupted && at_.validated != at_.step) validate();
    save_state();
    TrainReport report;
    report.end = end;
    report.steps = at_.step;
    report.epochs = at_.epoch;
    report.tokens = at_.tokens;
    report.seconds = elapsed();
    report.best_score = at_.best_score;
    report.best_step = at_.best_step;
    return report;
  }

 private:
  std::filesystem::path state_path() const { return directory_ / "state" / "state.safetensors"; }
  double elapsed() const { return seconds_before_ + seconds_since(started_); }
  bool out_of_time() const { return options_.minutes > 0 && elapsed() >= 60 * options_.minutes; }
  bool reached_end() const {
    return (options_.epochs > 0 && at_.epoch >= options_.epochs) ||
           (options_.steps > 0 && at_.step >= options_.steps) || out_of_time();
  }

  /// One update from the next `accumulate` batches (fewer at the end of an epoch).
  void update(const std::vector<std::vector<std::int64_t>>& plan) {
    const auto first = static_cast<std::size_t>(at_.batch);
    const std::size_t last =
        std::min(plan.size(),
                 first + static_cast<std::size_t>(std::max<std::int64_t>(1, options_.accumulate)));
    std::int64_t tokens = 0;
    for (std::size_t b = first; b < last; ++b) tokens += task_.tokens(plan[b]);
    optimiser_.clear_gradients();
    BatchLoss sum;
    for (std::size_t b = first; b < last; ++b) {
      Tape tape;
      BatchLoss part;
      {
        const Recording on(tape, key_of(options_.seed, at_.step, b - first));
        part = task_.loss(plan[b], 1.0 / static_cast<double>(std::max<std::int64_t>(1, tokens)));
      }
      if (!std::isfinite(part.loss_sum)) {
        fail<NumericError>(
            "step {}: the loss is {}; the last good state is in {} — resume with a lower learning "
            "rate, "
            "a longer warm-up or --clip",
            at_.step + 1, part.loss_sum, state_path().string());
      }
      tape.backward(part.loss);
      sum.loss_sum += part.loss_sum;
      sum.nll_sum += part.nll_sum;
      sum.tokens += part.tokens;
      sum.correct += part.correct;
    }
    const double rate = options_.schedule.at(at_.step + 1);
    const double norm = optimiser_.step(rate);
    ++at_.step;
    at_.batch = static_cast<std::int64_t>(last);
    at_.tokens += sum.tokens;
    report(sum, norm, rate);
  }

  void report(const BatchLoss& sum, double norm, double rate) {
    window_.loss_sum += sum.loss_sum;
    window_.nll_sum += sum.nll_sum;
    window_.tokens += sum.tokens;
    window_.correct += sum.correct;
    const double seconds = seconds_since(window_started_);
    const double speed = seconds > 0 ? static_cast<double>(window_.tokens) / seconds : 0;
    const double tokens = static_cast<double>(std::max<std::int64_t>(1, window_.tokens));
    if (watch_.progress) {
      watch_.progress(
          {.done = at_.step,
           .total = expected_steps(),
           .what = "step",
           .detail = fmt::format("epoch {}  loss {:.3f}  rate {:.2e}  {:.1f}k tok/s", at_.epoch + 1,
                                 window_.loss_sum / tokens, rate, speed / 1000)});
    }
    if (at_.step % options_.report_every != 0) return;
    Json line = {{"step", at_.step},
                 {"epoch", at_.epoch + 1},
                 {"loss", window_.loss_sum / tokens},
                 {"nll", window_.nll_sum / tokens},
                 {"rate", rate},
                 {"gradient_norm", norm},
                 {"tokens_per_second", speed},
                 {"seconds", elapsed()}};
    if (window_.correct >= 0) line["accuracy"] = static_cast<double>(window_.correct) / tokens;
    append_metrics(line);
    window_ = {};
    window_started_ = Clock::now();
  }

  std::int64_t expected_steps() const {
    if (options_.minutes > 0 && at_.step > 0 && options_.steps == 0) {
      return static_cast<std::int64_t>(static_cast<double>(at_.step) * 60 * options_.minutes /
                                       std::max(elapsed(), 1e-3));
    }
    return options_.steps;
  }

  /// The weights that are judged and kept: the mean of the last validations', the moving average,
  /// or the weights themselves.
  Tensor judged() {
    if (options_.average_last > 0) {
      snapshots_.push_back(optimiser_.snapshot());
      if (static_cast<std::int64_t>(snapshots_.size()) > options_.average_last)
        snapshots_.pop_front();
      Tensor mean = Tensor::zeros(snapshots_.front().shape());
      const float share = 1.0f / static_cast<float>(snapshots_.size());
      for (const Tensor& s : snapshots_) {
        kernels::axpby(mean.count(), share, s.data(), 1.0f, mean.data());
      }
      return mean;
    }
    return optimiser_.has_average() ? optimiser_.average() : Tensor();
  }

  void validate() {
    const Clock::time_point began = Clock::now();
    release_pool();  // decoding wants other sizes: what training keeps for itself would stand
                     // beside them
    const Tensor candidate = judged();
    const Tensor trained = candidate.defined() ? optimiser_.snapshot() : Tensor();
    if (candidate.defined()) optimiser_.set_weights(candidate);
    const Validation v = task_.validate();
    const bool better = v.score > at_.best_score;
    if (better) {
      at_.best_score = v.score;
      at_.best_step = at_.step;
      at_.stale = 0;
      task_.save();
    } else {
      ++at_.stale;
    }
    if (trained.defined()) optimiser_.set_weights(trained);
    release_pool();
    Json line = v.metrics.empty() ? Json::object() : Json::parse(v.metrics);
    line["step"] = at_.step;
    line["epoch"] = at_.epoch + 1;
    line["valid_loss"] = v.loss;
    line["valid_score"] = v.score;
    line["best"] = better;
    line["seconds"] = elapsed();
    append_metrics(line);
    if (watch_.line) {
      watch_.line(fmt::format("step {:>6}  epoch {:>3}  valid {}{}  ({:.0f} s)", at_.step,
                              at_.epoch + 1, v.text, better ? "  best" : "", seconds_since(began)));
    }
    at_.validated = at_.step;
    window_started_ = Clock::now();
    window_ = {};
    save_state();
  }

  void save_state() {
    at_.seconds = elapsed();
    std::filesystem::create_directories(directory_ / "state");
    const Json position = {
        {"step", at_.step},
        {"epoch", at_.epoch},
        {"batch", at_.batch},
        {"tokens", at_.tokens},
        {"best_step", at_.best_step},
        {"stale", at_.stale},
        {"validated", at_.validated},
        {"best_score", std::isfinite(at_.best_score) ? Json(at_.best_score) : Json()},
        {"seconds", at_.seconds}};
    std::vector<NamedTensor> tensors;
    for (auto& [name, tensor] : optimiser_.state()) tensors.push_back({name, tensor});
    for (std::size_t i = 0; i < snapshots_.size(); ++i) {
      tensors.push_back({fmt::format("snapshot.{:03}", i), snapshots_[i]});
    }
    save_safetensors(state_path(), tensors, {{"qkv.position", position.dump()}});
    saved_ = Clock::now();
  }

  void append_metrics(const Json& line) const { append_jsonl(directory_ / "metrics.jsonl", line); }

  /// Lines after the resumed step belong to work that is done again.
  void trim_metrics(std::int64_t step) const {
    const std::filesystem::path path = directory_ / "metrics.jsonl";
    if (!std::filesystem::exists(path)) return;
    std::string kept;
    for (const Json& line : read_jsonl(path)) {
      if (line.value("step", std::int64_t{0}) <= step) kept += line.dump() + "\n";
    }
    write_file(path, kept);
  }

  const TrainTask& task_;
  Optimiser& optimiser_;
  const TrainOptions& options_;
  std::filesystem::path directory_;
  const TrainWatch& watch_;
  Position at_;
  std::deque<Tensor> snapshots_;
  BatchLoss window_;
  Clock::time_point started_, saved_, window_started_ = Clock::now();
  double seconds_before_ = 0;
};

}  // namespace

TrainReport train(const TrainTask& task, Optimiser& optimiser, const TrainOptions& options,
                  const std::filesystem::path& directory, bool resume, const TrainWatch& watch) {
  if (options.steps <= 0 && options.epochs <= 0 && options.minutes <= 0 && options.patience <= 0) {
    fail("training would never end: give steps, epochs, minutes or patience");
  }
  std::filesystem::create_directories(directory);
  Run run(task, optimiser, options, directory, watch);
  if (resume) run.resume();
  return run.run();
}

}  // namespace qkv

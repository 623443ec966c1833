#include "qkv/train/loop.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <tuple>
#include <utility>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/train/run_directory.h"
#include "qkv/train/state.h"

namespace qkv {

std::atomic<int> g_interrupt_training = 0;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// With what follows from the number of updates, where steps or epochs tell it.
Schedule whole_schedule(const TrainOptions& o, const TrainTask& task) {
  Schedule s = o.schedule;
  if (s.steps == 0 && (s.falls_to_an_end() || s.warm_up_share > 0)) {
    s.steps = o.steps;
    if (s.steps == 0) {
      const auto batches = static_cast<std::int64_t>(task.plan(0).size());
      s.steps = o.epochs * ((batches + o.accumulate - 1) / o.accumulate);
    }
  }
  if (s.warm_up_share > 0) {
    s.warm_up = std::llround(s.warm_up_share * static_cast<double>(s.steps));
  }
  return s;
}

class Run {
 public:
  Run(const TrainTask& task, Optimiser& optimiser, const TrainOptions& options,
      const std::filesystem::path& directory, bool resume, const TrainWatch& watch)
      : task_(task),
        optimiser_(optimiser),
        options_(options),
        schedule_(whole_schedule(options, task)),
        directory_(directory, resume, task.keep),
        watch_(watch) {
    if (!resume) return;
    const std::filesystem::path path = directory_.state_file();
    if (!std::filesystem::exists(path)) {
      fail("{}: no saved state to resume from; train without --resume", path.string());
    }
    at_ = load_state(path, optimiser_, snapshots_, task.held);
    if (task.restored) task.restored(at_.step);
    saved_step_ = at_.step;
    directory_.trim_metrics(at_.step);
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
      const auto judge = [&] {
        const bool due = options_.validate_every > 0 ? at_.step % options_.validate_every == 0
                                                     : at_.batch >= batches;
        if (due && at_.step > 0 && at_.validated != at_.step) validate();
      };
      judge();  // where a state was saved just before a validation
      while (at_.batch < batches && !stop) {
        update(plan);
        judge();
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
          save_due_ = true;
        }
      }
      if (stop) break;
    }
    if (end != TrainReport::End::interrupted && at_.validated != at_.step) validate();
    save_state();
    return {.end = end,
            .steps = at_.step,
            .epochs = at_.epoch,
            .tokens = at_.tokens,
            .seconds = elapsed(),
            .best_score = at_.best_score,
            .best_step = at_.best_step};
  }

 private:
  /// What went wrong, and what to do about it.
  [[noreturn]] void diverged(std::int64_t step, std::string_view what) const {
    constexpr std::string_view kAdvice = "with a lower learning rate, a longer warm-up or --clip";
    const std::string path = directory_.state_file().string();
    if (saved_step_ < 0) {
      fail<NumericError>("step {}: {}; no state was saved yet, train again {}", step, what,
                         kAdvice);
    }
    if (saved_step_ == at_.step && step > at_.step) {
      fail<NumericError>("step {}: {}; the state in {} leads to it again, train anew {}", step,
                         what, path, kAdvice);
    }
    fail<NumericError>("step {}: {}; the last good state is in {} — resume {}", step, what, path,
                       kAdvice);
  }
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
        std::min(plan.size(), first + static_cast<std::size_t>(options_.accumulate));
    const double rate = schedule_.at(at_.step + 1);
    // What is held moves from here on, ahead of the state that may be saved below.
    const Held before = save_due_ ? copies(task_.held) : Held();
    const double other = opponent(plan[first], rate);
    BatchLoss sum = gradients(plan, first, last);
    if (task_.opponent) sum.nll_sum = other * static_cast<double>(sum.tokens);
    double norm = 0;
    try {
      norm = optimiser_.check_gradients();
    } catch (const NumericError& e) {
      diverged(at_.step + 1, e.what());
    }
    // A state that is due waits until its weights have been good for a step: one that leads to NaN
    // must not replace one that does not.
    if (save_due_) save_state(before);
    optimiser_.update(rate, norm);
    ++at_.step;
    at_.batch = static_cast<std::int64_t>(last);
    at_.tokens += sum.tokens;
    report(sum, norm, rate);
  }

  double opponent(std::span<const std::int64_t> examples, double rate) const {
    if (!task_.opponent) return 0;
    try {
      return task_.opponent(examples, at_.step + 1, rate);
    } catch (const NumericError& e) {
      diverged(at_.step + 1, e.what());
    }
  }

  /// Forward and backward of the batches from `first` to `last`.
  BatchLoss gradients(const std::vector<std::vector<std::int64_t>>& plan, std::size_t first,
                      std::size_t last) {
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
        diverged(at_.step + 1, fmt::format("the loss is {}", part.loss_sum));
      }
      tape.backward(part.loss);
      sum += part;
    }
    return sum;
  }

  void report(const BatchLoss& sum, double norm, double rate) {
    window_ += sum;
    const double seconds = seconds_since(window_started_);
    const double speed = seconds > 0 ? static_cast<double>(window_.tokens) / seconds : 0;
    const double tokens = static_cast<double>(std::max<std::int64_t>(1, window_.tokens));
    if (watch_.progress) {
      watch_.progress({.done = at_.step,
                       .total = expected_steps(),
                       .what = "step",
                       .detail = fmt::format("epoch {}  {}  rate {:.2e}  {}", at_.epoch + 1,
                                             losses(tokens), rate, speed_text(speed))});
    }
    if (at_.step % options_.report_every != 0) return;
    Json line = {
        {"step", at_.step},
        {"epoch", at_.epoch + 1},
        {task_.words.loss, window_.loss_sum / tokens},
        {task_.words.second.empty() ? "nll" : task_.words.second, window_.nll_sum / tokens},
        {"rate", rate},
        {"gradient_norm", norm},
        {task_.words.counted + "_per_second", speed},
        {"seconds", elapsed()}};
    if (window_.correct >= 0) line["accuracy"] = static_cast<double>(window_.correct) / tokens;
    directory_.metrics(std::move(line));
    window_ = {};
    window_started_ = Clock::now();
  }

  std::string losses(double tokens) const {
    const TrainWords& words = task_.words;
    std::string text = fmt::format("{} {:.3f}", words.loss, window_.loss_sum / tokens);
    if (!words.second.empty()) {
      text += fmt::format("  {} {:.3f}", words.second, window_.nll_sum / tokens);
    }
    return text;
  }
  std::string speed_text(double speed) const {
    if (task_.words.counted == "tokens") return fmt::format("{:.1f}k tok/s", speed / 1000);
    return fmt::format("{:.0f} {}/s", speed, task_.words.counted);
  }

  std::int64_t expected_steps() const {
    if (options_.minutes > 0 && at_.step > 0 && options_.steps == 0) {
      return static_cast<std::int64_t>(static_cast<double>(at_.step) * 60 * options_.minutes /
                                       std::max(elapsed(), 1e-3));
    }
    return options_.steps > 0 ? options_.steps : schedule_.steps;
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
      for (const Tensor& s : snapshots_) add_scaled(static_cast<double>(share), s, mean);
      return mean;
    }
    return optimiser_.has_average() ? optimiser_.average() : Tensor();
  }

  /// The task's judgement, which must be numbers.
  Validation judgement() const {
    Validation v;
    try {
      v = task_.validate();
    } catch (const NumericError& e) {
      diverged(at_.step, fmt::format("validation: {}", e.what()));
    }
    for (const auto& [name, value] : {std::pair{"loss", v.loss}, std::pair{"score", v.score},
                                      std::pair{"second score", v.second.value_or(0)}}) {
      if (std::isfinite(value)) continue;
      diverged(at_.step, fmt::format("the validation's {} is {}", name, value));
    }
    return v;
  }

  void validate() {
    const Clock::time_point began = Clock::now();
    // Decoding wants other sizes: what training keeps for itself would stand beside them.
    if (!task_.often) release_pool();
    const Tensor candidate = judged();
    const Tensor trained = candidate.defined() ? optimiser_.snapshot() : Tensor();
    if (candidate.defined()) optimiser_.set_weights(candidate);
    const Validation v = judgement();
    const Verdict verdict = compare(v);
    if (!directory_.has_state()) {
      // The state of an older run goes before its model does. This validation is done again by who
      // resumes from here, so its weights must not be among those of the last ones yet.
      if (trained.defined()) optimiser_.set_weights(trained);
      const Tensor newest = options_.average_last > 0 ? snapshots_.back() : Tensor();
      if (newest.defined()) snapshots_.pop_back();
      save_state();
      if (newest.defined()) snapshots_.push_back(newest);
      if (candidate.defined()) optimiser_.set_weights(candidate);
    }
    if (verdict.keep) {
      at_.best_step = at_.step;
      if (task_.often) {
        best_ = optimiser_.snapshot();
      } else {
        task_.save(directory_.path());
      }
    }
    at_.stale = verdict.fresh ? 0 : at_.stale + 1;
    at_.best_score = std::max(at_.best_score, v.score);
    if (v.second) at_.best_second = std::max(at_.best_second, *v.second);
    if (trained.defined()) optimiser_.set_weights(trained);
    if (!task_.often) release_pool();
    Json line = v.metrics.empty() ? Json::object() : Json::parse(v.metrics);
    line["step"] = at_.step;
    line["epoch"] = at_.epoch + 1;
    line["valid_loss"] = v.loss;
    line["valid_score"] = v.score;
    line["best"] = verdict.keep;
    line["seconds"] = elapsed();
    directory_.metrics(std::move(line));
    if (!task_.often || at_.step % options_.report_every == 0) {
      watch_.say(fmt::format("step {:>6}  epoch {:>3}  valid {}{}  ({:.0f} s)", at_.step,
                             at_.epoch + 1, v.text, verdict.keep ? "  best" : "",
                             seconds_since(began)));
    }
    at_.validated = at_.step;
    window_started_ = Clock::now();
    window_ = {};
    save_due_ = !task_.often;
  }

  /// Whether the model is to be kept, and whether the patience begins anew.
  struct Verdict {
    bool keep, fresh;
  };
  Verdict compare(const Validation& v) const {
    if (!v.second) return {v.score > at_.best_score, v.score > at_.best_score};
    const bool first = v.score >= at_.best_score, second = *v.second >= at_.best_second;
    return {first && second, first || second};
  }

  /// Writes the best model where it waits in memory.
  void write_best() {
    if (!best_.defined()) return;
    const Tensor trained = optimiser_.snapshot();
    optimiser_.set_weights(best_);
    task_.save(directory_.path());
    optimiser_.set_weights(trained);
    best_ = {};
  }

  using Held = std::vector<std::pair<std::string, Tensor>>;
  static Held copies(const Held& held) {
    Held copied;
    for (const auto& [name, tensor] : held) copied.emplace_back(name, tensor.clone());
    return copied;
  }

  void save_state() { save_state(task_.held); }
  void save_state(const Held& held) {
    write_best();
    at_.seconds = elapsed();
    try {
      directory_.save_state([&](const std::filesystem::path& file) {
        qkv::save_state(file, at_, optimiser_, snapshots_, held);
      });
    } catch (const NumericError& e) {
      diverged(at_.step, e.what());
    }
    saved_ = Clock::now();
    saved_step_ = at_.step;
    save_due_ = false;
  }

  const TrainTask& task_;
  Optimiser& optimiser_;
  const TrainOptions& options_;
  const Schedule schedule_;
  RunDirectory directory_;
  const TrainWatch& watch_;
  Position at_;
  std::int64_t saved_step_ = -1;  // of the state that is saved; −1: none of this run
  bool save_due_ = false;
  Tensor best_;  // weights of the best model that is not written yet (TrainTask::often)
  std::deque<Tensor> snapshots_;
  BatchLoss window_;
  Clock::time_point started_, saved_, window_started_ = Clock::now();
  double seconds_before_ = 0;
};

}  // namespace

BatchLoss& BatchLoss::operator+=(const BatchLoss& part) {
  loss_sum += part.loss_sum;
  nll_sum += part.nll_sum;
  tokens += part.tokens;
  correct += part.correct;
  return *this;
}

BatchLoss batch_loss(const CrossEntropyResult& r) {
  return {.loss_sum = r.loss_sum,
          .nll_sum = r.nll_sum,
          .tokens = r.tokens,
          .correct = r.correct,
          .loss = r.loss};
}

void TrainOptions::check() const {
  optimiser.check();
  schedule.check();
  for (const auto& [name, value, least] :
       {std::tuple{"steps", steps, 0}, std::tuple{"epochs", epochs, 0},
        std::tuple{"accumulate", accumulate, 1}, std::tuple{"validate_every", validate_every, 0},
        std::tuple{"patience", patience, 0}, std::tuple{"average_last", average_last, 0},
        std::tuple{"report_every", report_every, 1}}) {
    if (value < least) fail("training: {} is {}, must be at least {}", name, value, least);
  }
  for (const auto& [name, value] :
       {std::pair{"minutes", minutes}, std::pair{"save_minutes", save_minutes}}) {
    if (!(value >= 0)) fail("training: {} is {}, must not be negative", name, value);
  }
  if (schedule.warm_up_share > 0 && steps == 0 && epochs == 0 && schedule.steps == 0) {
    fail("training: warm_up_share is a share of all updates; give steps or epochs");
  }
  if (steps == 0 && epochs == 0 && minutes == 0 && patience == 0) {
    fail("training would never end: give steps, epochs, minutes or patience");
  }
}

TrainReport train(const TrainTask& task, Optimiser& optimiser, const TrainOptions& options,
                  const std::filesystem::path& directory, bool resume, const TrainWatch& watch) {
  options.check();
  Run run(task, optimiser, options, directory, resume, watch);
  return run.run();
}

}  // namespace qkv

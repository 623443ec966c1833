#include "app/train/training.h"

#include <vector>

#include "app/command.h"
#include "app/process.h"
#include <fmt/core.h>

#include "qkv/base/file.h"
#include "qkv/io/directory.h"
#include "qkv/view/curve.h"

namespace qkv::app {
namespace {

void write_curve(const std::filesystem::path& directory,
                 std::pair<std::string_view, std::string_view> score) {
  Series train{.name = "train", .points = {}}, valid{.name = "valid", .points = {}},
      judged{.name = std::string(score.second), .points = {}, .second_axis = true};
  if (!std::filesystem::exists(directory / kMetricsFile))
    return;  // interrupted before the first line
  for (const auto& line : read_jsonl(directory / kMetricsFile)) {
    // JSON has no NaN: what was not finite is null and gets no point.
    const auto number = [&line](std::string_view name) -> std::optional<double> {
      if (!line.is_object() || !line.contains(name) || !line[name].is_number()) return {};
      return line[name].get<double>();
    };
    const double step = number("step").value_or(0);
    for (auto [name, series] :
         {std::pair{std::string_view("nll"), &train},
          std::pair{std::string_view("valid_loss"), &valid}, std::pair{score.first, &judged}}) {
      if (const auto y = number(name); y) series->points.push_back({step, *y});
    }
  }
  std::vector<Series> all;
  for (Series* s : {&train, &valid, &judged}) {
    if (!s->points.empty()) all.push_back(std::move(*s));
  }
  if (all.empty()) return;
  write_file(directory / "curve.svg",
             curve_svg(all, {.title = "training", .x_label = "update", .y_label = "nats a token"}));
}

}  // namespace

void add_run_options(CLI::App& command, RunSettings& s, const char* group) {
  CLI::App* c = &command;
  c->add_option("--steps", s.steps, "Updates")->group(group);
  c->add_option("--epochs", s.epochs, "Passes over the data")->group(group);
  c->add_option("--minutes", s.minutes, "Time; the end then depends on the machine")->group(group);
  c->add_option("--accumulate", s.accumulate, "Batches an update")->group(group);
  c->add_option("--rate", s.rate, "Peak learning rate")->group(group);
  c->add_option("--warm-up", s.warm_up, "Updates until the peak")->group(group);
  c->add_option("--schedule", s.schedule, "inverse_sqrt, cosine, linear or constant")->group(group);
  c->add_option("--optimiser", s.optimiser, "adam (AdamW with --decay) or sgd")->group(group);
  c->add_option("--beta2", s.beta2, "Adam's second decay")->group(group);
  c->add_option("--momentum", s.momentum, "For sgd")->group(group);
  c->add_option("--decay", s.decay, "Weight decay")->group(group);
  c->add_option("--clip", s.clip, "Largest gradient norm (0: none)")->group(group);
  c->add_option("--ema", s.ema, "Decay of a moving average of the weights (0: none)")->group(group);
  c->add_option("--average", s.average, "Keep the mean of the weights at the last n validations")
      ->group(group);
  c->add_option("--validate-every", s.validate_every,
                "Updates between validations (0: once an epoch)")
      ->group(group);
  c->add_option("--patience", s.patience,
                "Stop after so many validations without a better one (0: never)")
      ->group(group);
  c->add_option("--seed", s.seed, "Of weights, order and dropout")
      ->group(group)
      ->capture_default_str();
  c->add_option("--save-minutes", s.save_minutes, "Time between saves of the state")
      ->group(group)
      ->capture_default_str();
  c->add_flag("--resume", s.resume, "Go on from the state in the model directory")->group(group);
  c->add_flag("--overwrite", s.overwrite, "Start again where a model or a run is already")
      ->group(group);
}

void set_run(const RunSettings& s, TrainOptions& t) {
  if (s.steps || s.epochs || s.minutes) {  // the user's end replaces the preset's
    t.steps = s.steps.value_or(0);
    t.epochs = s.epochs.value_or(0);
    t.minutes = s.minutes.value_or(0);
  }
  set(s.accumulate, t.accumulate);
  set(s.rate, t.schedule.rate);
  set(s.warm_up, t.schedule.warm_up);
  if (!s.schedule.empty()) {
    t.schedule.kind = static_cast<Schedule::Kind>(
        detail::choice_of(s.schedule, names_of<Schedule::Kind>(), {}, "--schedule"));
  }
  t.schedule.steps = t.steps;
  if (t.schedule.kind == Schedule::Kind::cosine || t.schedule.kind == Schedule::Kind::linear) {
    if (t.steps <= 0)
      fail("--schedule {} ends at a known step: give --steps", name_of(t.schedule.kind));
  }
  if (s.optimiser == "sgd") {
    t.optimiser.kind = OptimiserOptions::Kind::sgd;
  } else if (!s.optimiser.empty() && s.optimiser != "adam") {
    fail("--optimiser '{}' is not one of adam, sgd", s.optimiser);
  }
  set(s.beta2, t.optimiser.beta2);
  set(s.momentum, t.optimiser.momentum);
  set(s.decay, t.optimiser.decay);
  set(s.clip, t.optimiser.clip_norm);
  set(s.ema, t.optimiser.ema);
  set(s.average, t.average_last);
  if (s.ema && *s.ema > 0 && !s.average) t.average_last = 0;  // one kind of average at a time
  set(s.validate_every, t.validate_every);
  set(s.patience, t.patience);
  t.seed = s.seed;
  t.save_minutes = s.save_minutes;
}

void set_cell(const std::string& word, Cell& cell) {
  set_choice("--cell", word,
             {std::pair{"gru", Cell::gru}, std::pair{"gru_reset_before", Cell::gru_reset_before},
              std::pair{"lstm", Cell::lstm}},
             cell);
}

TrainReport run_training(const TrainTask& task, Optimiser& optimiser, const TrainOptions& options,
                         const std::filesystem::path& directory, bool resume,
                         std::pair<std::string_view, std::string_view> score, Console& console) {
  const TrainWatch watch{.progress = console.progress(),
                         .line = [&console](const std::string& text) { console.line(text); }};
  const StopSignals signals(g_interrupt_training);
  const TrainReport report = qkv::train(task, optimiser, options, directory, resume, watch);
  console.clear();
  write_curve(directory, score);
  const char* ends[] = {"done", "no better model for a while", "time is up", "interrupted"};
  console.line(fmt::format("{}: {} updates, {} tokens in {}; best at step {} in {}",
                           ends[static_cast<int>(report.end)], report.steps, grouped(report.tokens),
                           duration_text(report.seconds), report.best_step, directory.string()));
  if (report.end == TrainReport::End::interrupted) {
    console.line("the state is saved; go on with the same command and --resume");
    throw Interrupted{};
  }
  return report;
}

}  // namespace qkv::app

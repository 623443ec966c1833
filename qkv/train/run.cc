#include "qkv/train/run.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/directory.h"
#include "qkv/view/curve.h"

namespace qkv {
namespace {

/// Where the number is finite.
void add_point(const Json& line, const std::string& field, double step, Series& series) {
  if (field.empty() || !line.contains(field) || !line[field].is_number()) return;
  const double value = line[field].get<double>();
  if (std::isfinite(value)) series.points.push_back({step, value});
}

void write_curve(const std::filesystem::path& directory,
                 const std::pair<std::string, std::string>& score) {
  Series train{.name = "train", .points = {}}, valid{.name = "valid", .points = {}},
      judged{.name = score.second, .points = {}, .second_axis = true};
  if (!std::filesystem::exists(directory / kMetricsFile)) return;  // interrupted before a line
  for (const Json& line : read_jsonl(directory / kMetricsFile)) {
    if (!line.is_object() || !line.contains("step") || !line["step"].is_number()) continue;
    const double step = line["step"].get<double>();
    add_point(line, "nll", step, train);
    add_point(line, "valid_loss", step, valid);
    add_point(line, score.first, step, judged);
  }
  std::vector<Series> all;
  for (Series* s : {&train, &valid, &judged}) {
    if (!s->points.empty()) all.push_back(std::move(*s));
  }
  if (all.empty()) return;
  write_file(directory / kCurveFile,
             curve_svg(all, {.title = "training", .x_label = "update", .y_label = "nats a token"}));
}

}  // namespace

TrainingRun::TrainingRun(RunOptions options)
    : options_(std::move(options)), directory_(options_.model) {
  (void)begin_of(directory_, options_.resume, options_.overwrite);
  if (options_.resume) begun_ = RunRecord::load(state());
}

std::filesystem::path TrainingRun::state() const { return directory_ / kStateFolder; }

TrainReport TrainingRun::train(Optimiser& optimiser, TrainTask task, const TrainOptions& options,
                               const TrainWatch& watch) const {
  if (options_.resume) require_same_data(begun_, record, directory_);
  if (task.keep) {
    task.keep = [this, keep = task.keep](const std::filesystem::path& folder) {
      keep(folder);
      record.save(folder);
    };
  }
  const TrainReport report =
      qkv::train(task, optimiser, options, directory_, options_.resume, watch);
  write_curve(directory_, curve_score);
  if (watch.line) {
    const char* ends[] = {"done", "no better model for a while", "time is up", "interrupted"};
    watch.line(fmt::format("{}: {} updates, {} tokens in {}; best at step {} in {}",
                           ends[static_cast<int>(report.end)], report.steps, grouped(report.tokens),
                           duration_text(report.seconds), report.best_step, directory_.string()));
    if (report.end == TrainReport::End::interrupted) {
      watch.line("the state is saved; go on with the same command and --resume");
    }
  }
  return report;
}

std::vector<bool> held_out(std::size_t size, std::size_t every, const char* what) {
  const std::size_t step = std::max(every, size / 1000);
  std::vector<bool> out(size, false);
  bool any = false;
  for (std::size_t i = step - 1; i < size; i += step) any = out[i] = true;
  if (!any) fail("too few {} to hold some out; give --valid", what);
  return out;
}

std::vector<std::string> hold_out_tail(std::vector<std::string>& train, std::size_t count) {
  if (count == 0 || count >= train.size()) fail("too few lines to hold some out; give --valid");
  const auto kept = static_cast<std::ptrdiff_t>(train.size() - count);
  std::vector<std::string> valid(train.begin() + kept, train.end());
  train.resize(static_cast<std::size_t>(kept));
  return valid;
}

}  // namespace qkv

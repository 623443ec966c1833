#include "qkv/train/run.h"

#include <fmt/format.h>

#include "qkv/base/file.h"
#include "qkv/io/directory.h"

namespace qkv {

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
  const TrainWords words = task.words;
  const TrainReport report =
      qkv::train(task, optimiser, options, directory_, options_.resume, watch);
  if (std::filesystem::exists(directory_ / kMetricsFile)) {  // else interrupted before a line
    const std::string drawn =
        metrics_curve(read_jsonl(directory_ / kMetricsFile), curve_score, curve);
    if (!drawn.empty()) write_file(directory_ / kCurveFile, drawn);
  }
  const char* ends[] = {"done", "no better model for a while", "time is up", "interrupted"};
  watch.say(fmt::format("{}: {} updates, {} {} in {}; best at step {} in {}",
                        ends[static_cast<int>(report.end)], report.steps, grouped(report.tokens),
                        words.counted, duration_text(report.seconds), report.best_step,
                        directory_.string()));
  if (report.end == TrainReport::End::interrupted) {
    watch.say("the state is saved; go on with the same command and --resume");
  }
  return report;
}

}  // namespace qkv

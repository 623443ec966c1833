#include "app/train/noun.h"

#include "app/process.h"

#include "qkv/base/error.h"

namespace qkv::app {

void add_run(Command& command, RunOptions& run, const char* text_footer) {
  command.footer(std::string(text_footer) +
                 "\nEvery option can also stand in a file: --config F.toml with lines `option = "
                 "value`.\nCtrl-C saves the state; the same command with --resume goes on to the "
                 "same bits.");
  command.options(run, "Run");
  command.preset_options<TrainOptions>("Training");
}

void add_tuning(Command& command) {
  command.preset_options<FineTuning>("Fine-tuning (with --init)");
}

void Recipes::set_tuning(FineTuning& tuning, const std::string& init) {
  if (!init.empty()) return set(tuning);
  for (const OptionField& f : fields_of(tuning)) {
    if (command_.given(f.flag)) throw UsageError("--" + f.flag + " is for --init");
  }
}

void Recipes::refuse(std::initializer_list<const char*> flags) const {
  for (const char* flag : flags) {
    if (command_.given(flag)) throw UsageError(std::string("--") + flag + " comes with --init");
  }
}

void Recipes::set_loop(TrainOptions& t) {
  new_end_ = command_.given("steps") || command_.given("epochs") || command_.given("minutes");
  const auto without_end = [&t] {
    t.steps = t.epochs = 0;
    t.minutes = 0;
  };
  if (given("steps") || given("epochs") || given("minutes")) without_end();
  begin(t);
  if (new_end_) without_end();
  if (command_.given("ema") && !command_.given("average")) t.average_last = 0;  // one at a time
  if (given("warm-up")) t.schedule.warm_up_share = 0;                           // likewise
  command_.lay_over(t);
  keep(t);
  t.schedule.steps = t.steps;
  if (t.schedule.falls_to_an_end() && t.steps <= 0 && t.epochs <= 0) {
    throw UsageError("--schedule " + std::string(name_of(t.schedule.kind)) +
                     " ends at a known step: give --steps or --epochs");
  }
}

void Recipes::finish(TrainingRun& run, const std::string& why) {
  command_.refuse_rest(why);
  run.record.options = std::move(record_.options);
}

TrainReport watched(Program& program, const std::function<TrainReport(const TrainWatch&)>& train) {
  Console& console = program.console;
  const TrainWatch watch{.progress = console.progress(),
                         .line = [&console](const std::string& text) { console.line(text); }};
  const StopSignals signals(g_interrupt_training);
  const TrainReport report = train(watch);
  console.clear();
  if (report.end == TrainReport::End::interrupted) throw Interrupted{};
  return report;
}

}  // namespace qkv::app

// What the nouns of `qkv train` share: the options of a run, laid over a preset's recipe or taken
// from the run that is resumed, and the console's eyes on it.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>

#include "app/command.h"

#include "qkv/train/fine_tuning.h"
#include "qkv/train/run.h"

namespace qkv::app {

/// What every noun's settings begin with.
struct NounSettings {
  RunOptions run;
  std::string preset;
};

/// --model, --resume, --overwrite and the list of TrainOptions.
void add_run(Command& command, RunOptions& run, const char* text_footer);

/// The list of FineTuning.
void add_tuning(Command& command);

/// A recipe's options: those of the run that is resumed, else the preset's, then what was given.
class Recipes {
 public:
  Recipes(Command& command, const TrainingRun& run) : command_(command), run_(run) {}

  /// Sets the fields of `options`, whose list was registered with preset_options(). Throws
  /// UsageError with both values for an option that contradicts the run that is resumed.
  template <class Options>
  void set(Options& options) {
    begin(options);
    command_.lay_over(options);
    keep(options);
  }
  /// Whether a changeable option was given, now or when the run that is resumed was begun.
  bool given(const std::string& flag) const {
    return command_.given(flag) ||
           (run_.resumes() && run_.begun().options.contains(flag) && !(new_end_ && is_end(flag)));
  }
  /// The loop's options, where an end that is given replaces the preset's.
  void set_loop(TrainOptions& options);
  /// Throws UsageError for options that were given although a model to go on from settles them.
  void refuse(std::initializer_list<const char*> flags) const;
  /// Those of fine-tuning, which are refused without a model to go on from.
  void set_tuning(FineTuning& tuning, const std::string& init);
  /// What stands behind the options of the network, where a model is made anew or gone on from:
  /// fine-tuning, the loop, and that nothing was given that has no use. Then the recipe is checked.
  template <class Recipe, class Kind>
  void settle(Recipe& recipe, const Kind& kind, TrainingRun& run) {
    set_tuning(recipe.tuning, kind.init);
    if (recipe.tuning.lora.rank > 0) raise_rate(recipe.train);
    set_loop(recipe.train);
    finish(run, kind.init.empty()
                    ? "is for another --arch than " + std::string(name_of(kind.architecture))
                    : "comes with --init");
    recipe.check();
  }
  /// Refuses options that nothing took, and hands the record over.
  void finish(TrainingRun& run, const std::string& why);

 private:
  static bool is_end(std::string_view flag) {
    return flag == "steps" || flag == "epochs" || flag == "minutes";
  }
  template <class Options>
  void begin(Options& options) {
    if (run_.resumes())
      command_.go_on_with(options, run_.begun().options, run_.directory().string());
  }
  template <class Options>
  void keep(const Options& options) {
    keep_options(
        options, [this](const std::string& flag) { return given(flag); }, record_);
  }

  Command& command_;
  const TrainingRun& run_;
  bool new_end_ = false;  // another end than the one of the run that is resumed
  RunRecord record_;
};

/// Progress and lines on the console; Ctrl-C and SIGTERM ask the loop to stop. Throws Interrupted
/// after a saved interruption.
TrainReport watched(Program& program, const std::function<TrainReport(const TrainWatch&)>& train);

}  // namespace qkv::app

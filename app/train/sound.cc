// qkv train sound: recordings with labels, stretches or texts in, a model directory out.
#include "app/command.h"
#include "app/output.h"
#include "app/train/noun.h"

#include "qkv/train/sounds.h"

namespace qkv::app {
namespace {

/// What the recipe begins with.
struct Kind {
  SoundTask task = SoundTask::clip;

  template <class Self, class Visit>
  static void each(Self& k, Visit&& visit) {
    visit({"task", "clip: a label a recording; frame: labels over time; text: what is said"},
          k.task);
  }
};

struct Settings {
  RunOptions run;
  SoundFiles files;
};

void refuse_what_has_no_use(const Command& command, const SoundNetwork::Config& c) {
  const bool text = c.task == SoundTask::text;
  const auto refuse = [&](bool wrong, std::initializer_list<const char*> flags, const char* why) {
    for (const char* flag : flags) {
      if (wrong && command.given(flag)) {
        throw UsageError(std::string("--") + flag + " is for " + why);
      }
    }
  };
  refuse(!text, {"method", "unit", "decoder-layers"}, "--task text");
  refuse(c.task != SoundTask::frame, {"rest", "crop"}, "--task frame");
  refuse(!c.spells(), {"decoder-layers"}, "--method attention or joint");
  refuse(c.method != SpeechMethod::joint, {"ctc-share"}, "--method joint");
  refuse(c.positions != SoundPositions::sine, {"first-positions"}, "--positions sine");
}

void train_sound(Command& command, const Settings& s, Program& program) {
  TrainingRun run(s.run);
  Recipes recipes(command, run);
  Kind kind;
  recipes.set(kind);
  SoundRecipe r = sound_recipe(kind.task);
  recipes.set(r.network);
  recipes.set(r);
  refuse_what_has_no_use(command, r.network);
  if (r.network.positions != SoundPositions::sine) r.first_positions = 0;
  recipes.set_loop(r.train);
  recipes.finish(run, "is no option of models of sounds");
  r.check();
  SoundData data =
      read_sound_files(s.files, kind.task == SoundTask::frame, kind.task == SoundTask::clip);
  const LabelledSounds test = std::move(data.test);
  watched(program,
          [&](const TrainWatch& watch) { return train_sounds(r, std::move(data), run, watch); });
  if (test.size() == 0) return;
  write_output(score_sounds(load_sound_model(run.directory()), test, program.json));
}

}  // namespace

void add_train_sound(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("train sound", "Train a model of sounds: labels, stretches, texts");
  add_run(c, s->run,
          "Sounds are WAV, FLAC, Ogg, Opus, MP3, AIFF, of any rate. --test files score the best "
          "model in the end.");
  c.options(s->files, "Data");
  c.preset_options<Kind>("Model");
  c.preset_options<SoundNetwork::Config>("Model");
  c.preset_options<SoundRecipe>("Training");
  program.add_json(c, "With --test: print the scores as JSON");
  program.add_threads(c);
  c.action([s, &c, &program] { train_sound(c, *s, program); });
}

}  // namespace qkv::app

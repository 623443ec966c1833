// qkv train action: clips of skeletons in, a model directory out.
#include "qkv/train/action.h"

#include "app/command.h"
#include "app/output.h"
#include "app/train/noun.h"

namespace qkv::app {
namespace {

/// What the recipe begins with.
struct Kind {
  std::string preset = "act-micro";

  template <class Self, class Visit>
  static void each(Self& k, Visit&& visit) {
    visit({"preset", "act-micro (default), act-small, act-medium or act-large"}, k.preset);
  }
};

struct Settings {
  RunOptions run;
  ActionFiles files;
};

/// The published rates, unless the user asks for others.
void settle(const Recipes& recipes, ActionRecipe& r) {
  if (recipes.given("schedule")) {
    r.highest_rate = 0;
    return;
  }
  if (recipes.given("rate")) r.highest_rate = r.train.schedule.rate;
  if (recipes.given("warm-up")) r.warm_up = r.train.schedule.warm_up;
}

void train_action(Command& command, const Settings& s, Program& program) {
  TrainingRun run(s.run);
  Recipes recipes(command, run);
  Kind kind;
  recipes.set(kind);
  ActionRecipe r = action_recipe(kind.preset);
  recipes.set(r.network);
  recipes.set(r.poses);
  recipes.set(r);
  recipes.set_loop(r.train);
  recipes.finish(run, "is no option of models of actions");
  settle(recipes, r);
  r.check();
  const ActionClips clips = read_action_clips(s.files);
  watched(program,
          [&](const TrainWatch& watch) { return qkv::train_action(r, clips, run, watch); });
  if (clips.test.empty()) return;
  const auto best = ActionRecogniser::load(run.directory());
  const ClassReport report = score_clips(clips.test, best.recognise(clips.test));
  write_output(program.json ? report.json() + "\n" : report.text());
}

}  // namespace

void add_train_action(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("train action", "Train a model of actions from clips of skeletons");
  add_run(c, s->run,
          "Files may be gzipped: clip ID LABEL NAME [FIELD ...] FRAMES JOINTS VALUES, then a line\n"
          "a frame.");
  c.options(s->files, "Data");
  c.preset_options<PoseOptions>("Poses");
  c.preset_options<Kind>("Model");
  c.preset_options<ActionNetwork::Config>("Model");
  c.preset_options<ActionRecipe>("Training");
  program.add_json(c, "With --test: print the scores as JSON");
  program.add_threads(c);
  c.action([s, &c, &program] { train_action(c, *s, program); });
}

}  // namespace qkv::app

// qkv train gan: pictures in, a generator of such pictures out.
#include "qkv/train/gan.h"

#include "app/command.h"
#include "app/train/noun.h"

#include "qkv/media/media_sets.h"

namespace qkv::app {
namespace {

struct Data {
  std::vector<std::string> train;
  bool skip_broken = false;

  template <class Self, class Visit>
  static void each(Self& d, Visit&& visit) {
    visit({.name = "train",
           .help = "Pictures: a folder of class folders, IDX (MNIST), CIFAR's .bin, or a list of "
                   "label TAB path; several become one set",
           .bounds = at_least(1),
           .required = true},
          d.train);
    visit({"skip_broken", "Leave out pictures that cannot be read, and count them"}, d.skip_broken);
  }
};

struct Settings {
  RunOptions run;
  Data data;
};

void train_gan(Command& command, const Settings& s, Program& program) {
  TrainingRun run(s.run);
  Recipes recipes(command, run);
  GanRecipe r = gan_recipe();
  recipes.set(static_cast<GanDesign&>(r));
  recipes.set(r);
  recipes.set_loop(r.train);
  recipes.finish(run, "is no option of generators of pictures");
  r.check();
  const PictureSet set = read_pictures({s.data.train.begin(), s.data.train.end()},
                                       {.picture = {}, .skip_broken = s.data.skip_broken});
  const GanPictures pictures = gan_pictures(set, r);
  watched(program,
          [&](const TrainWatch& watch) { return qkv::train_gan(r, pictures, run, watch); });
}

}  // namespace

void add_train_gan(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("train gan", "Train a generator of pictures (SAGAN)");
  add_run(c, s->run,
          "Two networks play against each other, one update of each a step; lines show both "
          "losses.\nAt each validation a sheet of samples goes to MODEL/samples; the newest model "
          "is kept.");
  c.options(s->data, "Data");
  c.preset_options<GanDesign>("Model");
  c.preset_options<GanRecipe>("Training");
  program.add_threads(c);
  c.action([s, &c, &program] { train_gan(c, *s, program); });
}

}  // namespace qkv::app

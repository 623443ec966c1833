// qkv train picture: labelled pictures in, a model directory out.
#include "app/command.h"
#include "app/output.h"
#include "app/train/noun.h"

#include "qkv/base/error.h"
#include "qkv/systems/picture_classifier.h"
#include "qkv/train/pictures.h"

namespace qkv::app {
namespace {

/// What the recipe begins with.
struct Kind {
  PictureKind kind = PictureKind::vit;

  template <class Self, class Visit>
  static void each(Self& k, Visit&& visit) {
    visit({"kind", "vit, mixer, cnn or quadratic (attention by relative position alone)"}, k.kind);
  }
};

/// The sizes of all kinds.
struct Sizes {
  PictureNetwork::Config network;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({"side", "Pixels of the square that pictures are resized to (0: their own)",
           between(0, 4096)},
          s.network.side);
    PictureNetwork::Config::sizes(s.network, visit,
                                  [](std::initializer_list<PictureKind>) { return true; });
  }
};

struct Settings {
  RunOptions run;
  PictureFiles files;
};

void train_picture(Command& command, const Settings& s, Program& program) {
  TrainingRun run(s.run);
  Recipes recipes(command, run);
  Kind kind;
  recipes.set(kind);
  PictureRecipe r = picture_recipe(kind.kind);
  recipes.set(r.network);
  recipes.set(r);
  recipes.set_loop(r.train);
  recipes.finish(run, "is for another --kind than " + std::string(name_of(kind.kind)));
  r.check();
  if (!s.files.valid.empty() && (command.given("hold-out") || command.given("split-seed"))) {
    throw UsageError("--hold-out and --split-seed have no use beside --valid");
  }
  const PictureSets sets = read_picture_sets(s.files);
  watched(program,
          [&](const TrainWatch& watch) { return qkv::train_pictures(r, sets, run, watch); });
  if (sets.test.pictures.empty()) return;
  const ClassReport report = PictureClassifier::load(run.directory()).score(sets.test);
  write_output(program.json ? report.json() + "\n" : report.text());
}

}  // namespace

void add_train_picture(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("train picture", "Train a model that classifies pictures");
  add_run(
      c, s->run,
      "Lists, IDX and CIFAR files may be gzipped. Pictures are resized to the side of the model "
      "(bicubic).");
  c.options(s->files, "Data");
  c.preset_options<Kind>("Model");
  c.preset_options<Sizes>("Model");
  c.preset_options<PictureRecipe>("Training");
  program.add_json(c, "With --test: print the scores as JSON");
  program.add_threads(c);
  c.action([s, &c, &program] { train_picture(c, *s, program); });
}

}  // namespace qkv::app

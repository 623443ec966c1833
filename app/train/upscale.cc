// qkv train upscale: pictures in, a model that enlarges or cleans them out.
#include "app/command.h"
#include "app/output.h"
#include "app/train/noun.h"

#include "qkv/train/upscaling.h"

namespace qkv::app {
namespace {

struct Settings {
  RunOptions run;
  std::vector<std::string> train, valid, test;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "train", .help = "Folders or files of pictures", .required = true}, s.train);
    visit({.name = "valid", .help = "The same to judge by", .required = true}, s.valid);
    visit({"test", "The same to score the best model on in the end"}, s.test);
  }
};

void train_upscale(Command& command, const Settings& s, Program& program) {
  TrainingRun run(s.run);
  Recipes recipes(command, run);
  UpscaleKind kind;
  recipes.set(kind);
  if (!kind.init.empty()) recipes.refuse({"variant", "job", "scale", "grey"});
  UpscaleRecipe r = upscale_recipe(kind);
  if (kind.init.empty()) recipes.set(r.network);
  recipes.set(r);
  recipes.set_loop(r.train);
  recipes.finish(run, "comes with --init");
  r.check();
  const auto train = read_picture_files(s.train), valid = read_picture_files(s.valid);
  watched(program,
          [&](const TrainWatch& watch) { return train_upscaler(r, train, valid, run, watch); });
  if (s.test.empty()) return;
  const UpscaleModel best = load_upscale_model(run.directory());
  const PictureReport report = psnr_restored(best, restore_pairs(best, read_picture_files(s.test)));
  write_output(program.json ? report.json() + "\n" : report.text());
}

}  // namespace

void add_train_upscale(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c =
      program.command("train upscale", "Train a model that enlarges pictures, or cleans them");
  add_run(
      c, s->run,
      "Pictures are shrunk by MATLAB's bicubic (or get noise, or are written as JPEG), and the "
      "model\nlearns the way back, on crops that are turned and mirrored. PSNR on whole pictures "
      "judges.");
  c.options(*s, "Data");
  c.preset_options<UpscaleKind>("Model");
  c.preset_options<SwinIr::Config>("Model");
  c.preset_options<UpscaleRecipe>("Training");
  program.add_json(c, "With --test: print the scores as JSON");
  program.add_threads(c);
  c.action([s, &c, &program] { train_upscale(c, *s, program); });
}

}  // namespace qkv::app

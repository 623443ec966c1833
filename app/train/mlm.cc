// qkv train mlm: text in, a BERT out.
#include <algorithm>

#include "app/command.h"
#include "app/train/noun.h"

#include "qkv/train/masked_language.h"

namespace qkv::app {
namespace {

/// What the recipe begins with.
struct Kind {
  std::string preset = "tiny";

  template <class Self, class Visit>
  static void each(Self& k, Visit&& visit) {
    visit({"preset", "tiny, mini, small or base"}, k.preset);
  }
};

struct Settings {
  RunOptions run;
  std::vector<std::string> train, valid;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "train", .help = "Text, one or several files", .required = true}, s.train);
    visit({"valid", "Text for validation; default: the last fiftieth of the lines"}, s.valid);
  }
};

void train_mlm(Command& command, const Settings& s, Program& program) {
  TrainingRun run(s.run);
  Recipes recipes(command, run);
  Kind kind;
  recipes.set(kind);
  MaskedRecipe r = masked_recipe(kind.preset);
  BertConfig wished = r.network;
  command.lay_over(wished);
  if (command.given("width")) r.network.intermediate_size = 4 * wished.hidden_size;
  recipes.set(r.network);
  recipes.set(r.masks);
  recipes.set(r);
  recipes.set_loop(r.train);
  if (!recipes.given("warm-up") && r.train.steps > 0) {  // a tenth of a short run
    r.train.schedule.warm_up = std::min(r.train.schedule.warm_up, r.train.steps / 10);
  }
  recipes.finish(run, "has no use here");
  r.check();
  watched(program, [&](const TrainWatch& watch) {
    return train_masked(r, read_masked_texts(s.train, s.valid), run, watch);
  });
}

}  // namespace

void add_train_mlm(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("train mlm", "Train a BERT: find the words that were hidden");
  add_run(
      c, s->run,
      "A line is a sentence, a blank line ends a document. Files may be gzipped. The model with "
      "the\nlowest validation loss is kept, in the form of Hugging Face.");
  c.options(*s, "Data");
  c.preset_options<Kind>("Model");
  c.preset_options<MaskedRecipe>("Text and batches");
  c.preset_options<BertConfig>("Model");
  c.preset_options<MaskedTextOptions>("What is hidden");
  program.add_threads(c);
  c.action([s, &c, &program] { train_mlm(c, *s, program); });
}

}  // namespace qkv::app

// qkv train lm: text in, a language model out.
#include "app/command.h"
#include "app/train/noun.h"

#include "qkv/train/language.h"

namespace qkv::app {
namespace {

/// What the recipe begins with.
struct Kind {
  std::string preset = "char-tiny";
  LanguageKind architecture = LanguageKind::transformer;

  template <class Self, class Visit>
  static void each(Self& k, Visit&& visit) {
    visit({"preset", "char-tiny, char-small, words or base"}, k.preset);
    visit({"arch", "transformer (MPT), linear (MPT with linear attention) or rnn (LSTM or GRU)"},
          k.architecture);
  }
};

struct Settings {
  RunOptions run;
  std::vector<std::string> train, valid;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "train", .help = "Text, one or several files", .required = true}, s.train);
    visit({"valid", "Text for validation; default: the last tenth of the lines"}, s.valid);
  }
};

void train_lm(Command& command, const Settings& s, Program& program) {
  TrainingRun run(s.run);
  Recipes recipes(command, run);
  Kind kind;
  recipes.set(kind);
  LanguageRecipe r = language_recipe(kind.preset, kind.architecture);
  std::visit(
      [&](auto& config) {
        recipes.set(config);
        auto words = words_of(config);
        recipes.set(words);
        words.apply(config);
      },
      r.network);
  LanguageRecipe wished = r;
  command.lay_over(wished);  // a preset's vocabulary is for its own kind of tokens
  if (wished.tokeniser.kind != r.tokeniser.kind) r.tokeniser.vocabulary_size = 0;
  recipes.set(r);
  recipes.set_loop(r.train);
  recipes.finish(run, "is for another --arch than " + std::string(name_of(kind.architecture)));
  r.check();
  watched(program, [&](const TrainWatch& watch) {
    return train_language(r, read_language_texts(s.train, s.valid), run, watch);
  });
}

}  // namespace

void add_train_lm(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("train lm", "Train a language model on text");
  add_run(c, s->run, "Files may be gzipped. The model with the lowest validation loss is kept.");
  c.options(*s, "Data");
  c.preset_options<Kind>("Model");
  c.preset_options<LanguageRecipe>("Text and batches");
  c.preset_options<Mpt::Config>("Model");
  c.preset_options<MptWords>("Model");
  c.preset_options<RnnLanguage::Config>("Model (--arch rnn)");
  c.preset_options<RnnLanguageWords>("Model (--arch rnn)");
  program.add_threads(c);
  c.action([s, &c, &program] { train_lm(c, *s, program); });
}

}  // namespace qkv::app

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
  std::string init;

  template <class Self, class Visit>
  static void each(Self& k, Visit&& visit) {
    visit({"preset", "char-tiny, char-small, words or base"}, k.preset);
    visit({"arch", "transformer (MPT), linear (MPT with linear attention) or rnn (LSTM or GRU)"},
          k.architecture);
    visit({"init",
           "A language model to go on from (qkv train lm, or of another program): its tokeniser, "
           "network and weights"},
          k.init);
  }
};

/// Of the recipe what a model to go on from leaves open.
struct Open : LanguageRecipe {
  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    visit({"context", "Tokens of a training window", between(0, 1 << 24)}, r.context);
    LanguageRecipe::each(r, [&](const About& about, auto& field) {
      for (const std::string_view name : {"by_line", "batch_tokens", "smoothing"}) {
        if (name == about.name) visit(about, field);
      }
    });
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

LanguageRecipe fresh_recipe(Command& command, Recipes& recipes, const Kind& kind) {
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
  return r;
}

LanguageRecipe tuned_recipe(Recipes& recipes, const Kind& kind) {
  recipes.refuse({"preset", "arch"});
  Open r{tuned_language_recipe(kind.init)};
  recipes.set(r);
  return r;
}

void train_lm(Command& command, const Settings& s, Program& program) {
  TrainingRun run(s.run);
  Recipes recipes(command, run);
  Kind kind;
  recipes.set(kind);
  LanguageRecipe r =
      kind.init.empty() ? fresh_recipe(command, recipes, kind) : tuned_recipe(recipes, kind);
  recipes.settle(r, kind, run);
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
  add_tuning(c);
  c.preset_options<Mpt::Config>("Model");
  c.preset_options<MptWords>("Model");
  c.preset_options<RnnLanguage::Config>("Model (--arch rnn)");
  c.preset_options<RnnLanguageWords>("Model (--arch rnn)");
  program.add_threads(c);
  c.action([s, &c, &program] { train_lm(c, *s, program); });
}

}  // namespace qkv::app

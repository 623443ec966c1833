// qkv train translate: two text files in, a model directory out.
#include "app/command.h"
#include "app/train/noun.h"

#include "qkv/base/error.h"
#include "qkv/train/translation.h"

namespace qkv::app {
namespace {

/// What the recipe begins with.
struct Kind {
  std::string preset = "tiny";
  Architecture architecture = Architecture::transformer;
  std::string init;

  template <class Self, class Visit>
  static void each(Self& k, Visit&& visit) {
    visit({"preset", "tiny, small, base or page"}, k.preset);
    visit({"arch", "transformer, or rnn (GRU or LSTM)"}, k.architecture);
    visit({"init",
           "A translator to go on from (qkv train translate, or of another program): its "
           "tokenisers, network and weights"},
          k.init);
  }
};

/// Of the recipe what a model to go on from leaves open.
struct Open : TranslationRecipe {
  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    visit({"source_language", "With --init, of models for several languages"}, r.source_language);
    visit({"target_language", "With --init, of models for several languages"}, r.target_language);
    TranslationRecipe::each(r, [&](const About& about, auto& field) {
      for (const std::string_view name : {"max_length", "max_ratio", "batch_tokens", "smoothing",
                                          "smoothing_form", "valid_bleu", "bleu_tokeniser"}) {
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
    visit({.name = "train",
           .help = "Source and target text, or one TSV",
           .bounds = between(1, 2),
           .required = true},
          s.train);
    visit({"valid", "The same for validation; default: every 50th training pair, at most 1000",
           between(1, 2)},
          s.valid);
  }
};

/// What follows from options that were given.
void settle(const Command&, Transformer::Config&) {}
void settle(const Command& command, RnnTranslator::Config& c) {
  if (command.given("width")) c.attention_width = 0;  // as wide as the cells
  if (command.given("window") && c.local == RnnLocal::none) {
    throw UsageError("--window is for --local monotonic or predictive");
  }
}

TranslationRecipe fresh_recipe(Command& command, Recipes& recipes, const Kind& kind) {
  for (const char* flag : {"source-language", "target-language"}) {
    if (command.given(flag)) throw UsageError(std::string("--") + flag + " is for --init");
  }
  TranslationRecipe r = translation_recipe(kind.preset, kind.architecture);
  std::visit(
      [&](auto& config) {
        recipes.set(config);
        settle(command, config);
      },
      r.network);
  recipes.set(r);
  return r;
}

TranslationRecipe tuned_recipe(Recipes& recipes, const Kind& kind) {
  recipes.refuse({"preset", "arch"});
  Open r{tuned_translation_recipe(kind.init)};
  recipes.set(r);
  return r;
}

void train_translate(Command& command, const Settings& s, Program& program) {
  TrainingRun run(s.run);
  Recipes recipes(command, run);
  Kind kind;
  recipes.set(kind);
  TranslationRecipe r =
      kind.init.empty() ? fresh_recipe(command, recipes, kind) : tuned_recipe(recipes, kind);
  recipes.settle(r, kind, run);
  watched(program, [&](const TrainWatch& watch) {
    return train_translator(r, read_pair_split(s.train, s.valid), run, watch);
  });
}

}  // namespace

void add_train_translate(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("train translate", "Train a translator from two line-aligned files");
  add_run(c, s->run,
          "Files may be gzipped. One file instead of two is a table: source TAB target.");
  c.options(*s, "Data");
  c.preset_options<Kind>("Model");
  c.preset_options<TranslationRecipe>("Text and batches");
  c.preset_options<Open>("Text and batches");
  add_tuning(c);
  c.preset_options<Transformer::Config>("Model");
  c.preset_options<RnnTranslator::Config>("Model (--arch rnn)");
  program.add_threads(c);
  c.action([s, &c, &program] { train_translate(c, *s, program); });
}

}  // namespace qkv::app

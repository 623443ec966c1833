// qkv train embed: pairs of texts in, a sentence encoder out.
#include "app/command.h"
#include "app/output.h"
#include "app/train/noun.h"

#include "qkv/base/error.h"
#include "qkv/systems/pair_scores.h"
#include "qkv/train/embedding.h"

namespace qkv::app {
namespace {

struct Settings {
  RunOptions run;
  std::vector<std::string> train, valid, test;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "train",
           .help = "Pairs: text TAB text; a third column holds a text that does not belong to the "
                   "first, or how near the two are",
           .bounds = between(1, 1),
           .required = true},
          s.train);
    visit({"valid", "The same for validation; default: every 10th training pair, at most 1000",
           between(1, 1)},
          s.valid);
    visit({"test", "The same to score the best model on in the end", between(1, 1)}, s.test);
  }
};

void train_embed(Command& command, const Settings& s, Program& program) {
  TrainingRun run(s.run);
  Recipes recipes(command, run);
  EmbeddingRecipe r = embedding_recipe();
  recipes.set(r);
  recipes.set_tuning(r.tuning, r.init);
  if (r.tuning.lora.rank > 0 || r.tuning.keeps_encoder()) raise_rate(r.train);
  recipes.set_loop(r.train);
  recipes.finish(run, "has no use here");
  r.check();
  SentencePairs test;
  watched(program, [&](const TrainWatch& watch) {
    const Split<SentencePairs> pairs = read_sentence_pair_split(s.train, s.valid);
    if (!s.test.empty()) test = read_sentence_pairs(s.test.front());
    return train_embedding(r, pairs, run, watch);
  });
  if (s.test.empty()) return;
  const PairScores scores = score_pairs(load_bert_model(run.directory()), test);
  program.console.line("test: " + test.summary());
  write_output(program.json ? scores.json() + "\n" : scores.text());
}

}  // namespace

void add_train_embed(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("train embed",
                               "Train a sentence encoder: texts that belong together lie together");
  add_run(c, s->run,
          "Files may be gzipped. The directory is one for qkv embed, which pools and normalises as "
          "it\nwas trained.");
  c.options(*s, "Data");
  c.preset_options<EmbeddingRecipe>("Model");
  add_tuning(c);
  program.add_json(c, "With --test: print the scores as JSON");
  program.add_threads(c);
  c.action([s, &c, &program] { train_embed(c, *s, program); });
}

}  // namespace qkv::app

// qkv train tag, classify, intent: labelled text in, a model directory out.
#include <algorithm>
#include <utility>

#include "app/command.h"
#include "app/output.h"
#include "app/train/noun.h"

#include "qkv/base/error.h"
#include "qkv/data/label_files.h"
#include "qkv/train/labelling.h"

namespace qkv::app {
namespace {

/// What the recipe begins with.
struct Kind {
  std::string preset = "small";
  LabelEncoder encoder = LabelEncoder::rnn;
  std::string init;
  bool fresh = false;

  template <class Self, class Visit>
  static void each(Self& k, Visit&& visit) {
    visit({"preset", "tiny or small"}, k.preset);
    visit({"encoder",
           "fc: each position by itself; linear: attention of linear cost; default: rnn, to "
           "classify cnn"},
          k.encoder);
    visit({"init",
           "A BERT as encoder (qkv train mlm, or of Hugging Face): its sizes, pieces and weights"},
          k.init);
    visit({"fresh", "With --init: its sizes and pieces, but fresh weights"}, k.fresh);
  }
};

struct Settings {
  LabelTask task = LabelTask::tag;
  RunOptions run;
  std::vector<std::string> train, valid, test;
  LabelFiles files;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    const Bounds files = between(1, s.task == LabelTask::intent ? 3 : 1);
    visit({.name = "train", .help = "Labelled text", .bounds = files, .required = true}, s.train);
    visit({"valid", "The same for validation; default: every 10th training sentence, at most 1000",
           files},
          s.valid);
    visit({"test", "The same to score the best model on in the end", files}, s.test);
  }
};

bool among(std::string_view name, std::initializer_list<std::string_view> all) {
  return std::find(all.begin(), all.end(), name) != all.end();
}

/// Whether the task has a use for the option.
bool is_for(LabelTask task, std::string_view name) {
  if (among(name, {"crf", "scheme"})) return task != LabelTask::classify;
  if (name == "pooling") return task != LabelTask::tag;
  if (among(name, {"words", "answer"})) return task == LabelTask::classify;
  if (among(name, {"interaction", "prior", "prior_way", "prior_least", "class_weight"})) {
    return task == LabelTask::intent;
  }
  return true;
}

/// Those of a list that the task has a use for.
template <class Options, LabelTask task>
struct ForTask : Options {
  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    Options::each(o, [&](const About& about, auto& field) {
      if (is_for(task, about.name)) visit(about, field);
    });
  }
};

/// What the recipe says of the network.
struct Interplay : LabellingRecipe {
  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    LabellingRecipe::each(r, [&](const About& about, auto& field) {
      if (among(about.name, {"interaction", "prior_least"})) visit(about, field);
    });
  }
};

/// What a BERT brings along cannot be chosen, and it has no use for the rest.
void check_given(const Command& command, const Kind& kind) {
  if (command.given("lower") && command.given("cased")) {
    throw UsageError("--lower and --cased: give one of them");
  }
  if (kind.init.empty()) return;
  for (const char* flag :
       {"encoder", "embedding", "width", "layers", "kernel", "cell", "heads", "feed-forward",
        "character-filters", "shape-embedding", "min-count", "embedding-dropout",
        "attention-dropout", "word-dropout", "lower", "cased", "zero-digits"}) {
    if (!command.given(flag)) continue;
    throw UsageError(std::string("--") + flag +
                     ": --init brings the encoder and how words are read: leave out --encoder, "
                     "sizes, --lower, --cased, --zero-digits, --min-count and dropout but "
                     "--dropout");
  }
}

void score(const std::filesystem::path& directory, LabelledText test, Program& program) {
  const LabellerModel best = load_labeller_model(directory);
  cut_texts(test, best.word_options.cut);
  const LabelScores scores = score_labelled(test, label_sentences(best, test.words));
  program.console.line("test: " + test.report.summary());
  write_output(program.json ? scores.json() + "\n" : scores.text());
}

void train_labels(Command& command, const Settings& s, Program& program) {
  TrainingRun run(s.run);
  Recipes recipes(command, run);
  Kind kind{.encoder = s.task == LabelTask::classify ? LabelEncoder::cnn : LabelEncoder::rnn};
  recipes.set(kind);
  check_given(command, kind);
  if (!kind.init.empty()) kind.encoder = LabelEncoder::bert;
  LabellingRecipe r = kind.init.empty() || kind.fresh
                          ? labelling_recipe(kind.preset, s.task, kind.encoder)
                          : tuned_labelling_recipe(kind.preset, s.task, kind.init);
  r.init = kind.init;
  r.fresh = kind.fresh;
  recipes.set(r.network);
  recipes.set(r);
  recipes.set_tuning(r.tuning, kind.init);
  if (r.tuning.lora.rank > 0 || r.tuning.keeps_encoder()) raise_rate(r.train);
  recipes.set_loop(r.train);
  recipes.finish(run, "has no use here");
  r.check();
  LabelledText test;
  watched(program, [&](const TrainWatch& watch) {
    LabelFiles files = s.files;
    files.table = r.table();
    Split<LabelledText> texts = read_labelling_texts(s.train, s.valid, files, s.task);
    if (!s.test.empty()) test = read_labelled(s.test, files, s.task);
    return train_labeller(r, std::move(texts), run, watch);
  });
  if (!s.test.empty()) score(run.directory(), std::move(test), program);
}

template <LabelTask task>
void add_noun(Program& program, const char* about) {
  auto s = std::make_shared<Settings>();
  s->task = task;
  Command& c = program.command("train " + std::string(name_of(task)), about);
  add_run(c, s->run, "Files may be gzipped.");
  c.options(*s, "Data");
  if (task == LabelTask::tag) {
    c.options(s->files, "Data");
  } else if (task == LabelTask::classify) {
    c.option({.name = "format",
              .help = "table (label TAB text, of pairs label TAB text TAB text) or slots (a folder "
                      "with seq.in, seq.out, label); "
                      "default: by name"},
             s->files.format, "Data");
  }
  c.preset_options<Kind>("Model");
  c.preset_options<ForTask<Labeller::Config, task>>("Model");
  if (task == LabelTask::intent) c.preset_options<Interplay>("Model");
  c.preset_options<ForTask<LabellingRecipe, task>>("Text and batches");
  add_tuning(c);
  program.add_json(c, "With --test: print the scores as JSON");
  program.add_threads(c);
  c.action([s, &c, &program] { train_labels(c, *s, program); });
}

}  // namespace

void add_train_labels(Program& program) {
  add_noun<LabelTask::tag>(program, "Train a tagger: a label for every word");
  add_noun<LabelTask::classify>(program, "Train a classifier: a label for every text");
  add_noun<LabelTask::intent>(
      program, "Train intents and slots together: a label for every sentence and every word");
}

}  // namespace qkv::app

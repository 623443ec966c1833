// qkv train vectors: text in, word vectors out.
#include "qkv/train/vectors.h"

#include <filesystem>

#include "app/command.h"
#include "app/train/training.h"
#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/data/text_stream.h"
#include "qkv/io/directory.h"
#include "qkv/train/run_directory.h"

namespace qkv::app {
namespace {

struct TrainVectors {
  std::vector<std::string> train;
  std::string directory, text, task = "cbow", context = "mean", loss = "negative", words = "word";
  bool lower = false, zero_digits = false, overwrite = false;
  std::int64_t width = 100, min_count = 5;
  VectorOptions options;
};

void train_vectors(const TrainVectors& s, Program& program) {
  Console& console = program.console;
  (void)begin_of(s.directory, s.overwrite);
  VectorNetwork::Config config;
  config.width = s.width;
  set_choice("--task", s.task,
             {std::pair{"cbow", VectorTask::cbow}, std::pair{"skip-gram", VectorTask::skip_gram}},
             config.task);
  set_choice("--context", s.context,
             {std::pair{"mean", ContextSum::mean}, std::pair{"sum", ContextSum::sum}},
             config.context);
  set_choice("--loss", s.loss,
             {std::pair{"negative", VectorLoss::negative},
              std::pair{"hierarchical", VectorLoss::hierarchical}},
             config.loss);
  WordOptions words{.lowercase = s.lower, .zero_digits = s.zero_digits};
  set_choice("--words", s.words,
             {std::pair{"space", WordCut::space}, std::pair{"word", WordCut::word},
              std::pair{"character", WordCut::character}},
             words.cut);
  VectorModel model;
  const VectorCorpus corpus = make_vector_corpus(read_text(s.train), words, s.min_count, model);
  config.words = static_cast<std::int64_t>(corpus.counts.size());
  model.vectors = VectorNetwork::make(config, Initialiser(s.options.seed));
  console.line(fmt::format(
      "text: {} words in {} lines, {} more too rare; vocabulary {}; {} numbers",
      grouped(static_cast<std::int64_t>(corpus.ids.size())),
      grouped(static_cast<std::int64_t>(corpus.sentences.size()) - 1), grouped(corpus.left_out),
      grouped(config.words), grouped(parameter_count(model))));
  const VectorReport report =
      qkv::train_vectors(model.vectors, corpus, s.options, console.progress());
  console.clear();
  save_vector_model(model, s.directory);
  forget_run(s.directory);
  if (!s.text.empty()) write_vector_text(model, s.text);
  console.line(
      fmt::format("done: {} words in {}, {:.0f}k words/s; {} examples, loss {:.4f}",
                  grouped(report.words), duration_text(report.seconds),
                  static_cast<double>(report.words) / 1000 / std::max(report.seconds, 1e-9),
                  grouped(report.examples), report.loss));
}

}  // namespace

void add_train_vectors(CLI::App& train, Program& program) {
  auto settings = std::make_shared<TrainVectors>();
  TrainVectors& s = *settings;
  CLI::App* c = train.add_subcommand("vectors", "Train word vectors: CBOW or skip-gram (word2vec)");
  c->footer(
      "One thread, one word after the other, so that a seed gives the same numbers everywhere.\n"
      "qkv similar shows neighbours and analogies.");
  const char* data = "Data";
  c->add_option("--train", s.train, "Text, a sentence a line; may be gzipped")
      ->required()
      ->expected(1, 1000)
      ->group(data);
  c->add_option("--model", s.directory, "Model directory to write")->required()->group(data);
  c->add_flag("--overwrite", s.overwrite, "Write over a model that is there already")->group(data);
  c->add_option("--text", s.text, "Also write the vectors as word2vec's text")->group(data);
  c->add_option("--words", s.words, "How lines are cut: space, word or character")
      ->group(data)
      ->capture_default_str();
  c->add_flag("--lower", s.lower, "Read words in lower case")->group(data);
  c->add_flag("--zero-digits", s.zero_digits, "Read every digit as 0")->group(data);
  c->add_option("--min-count", s.min_count, "Rarer words are left out")
      ->group(data)
      ->capture_default_str();
  const char* model = "Model";
  c->add_option("--task", s.task,
                "cbow (a word from those around) or skip-gram (each of them alone)")
      ->group(model)
      ->capture_default_str();
  c->add_option("--context", s.context, "cbow: mean or sum of the vectors around")
      ->group(model)
      ->capture_default_str();
  c->add_option("--loss", s.loss, "negative (sampling) or hierarchical (softmax over a tree)")
      ->group(model)
      ->capture_default_str();
  c->add_option("--width", s.width, "Numbers of a vector")->group(model)->capture_default_str();
  const char* run = "Training";
  c->add_option("--window", s.options.window, "Words on either side, at most")
      ->group(run)
      ->capture_default_str();
  c->add_option("--negatives", s.options.negatives, "Words drawn beside the right one")
      ->group(run)
      ->capture_default_str();
  c->add_option("--sample", s.options.sample, "Sub-sampling of frequent words (0: none)")
      ->group(run)
      ->capture_default_str();
  c->add_option("--rate", s.options.rate,
                "Learning rate at the start; default: 0.05 for cbow, 0.025 for skip-gram")
      ->group(run);
  c->add_option("--epochs", s.options.epochs, "Passes over the text")
      ->group(run)
      ->capture_default_str();
  c->add_option("--seed", s.options.seed, "Of vectors and draws")
      ->group(run)
      ->capture_default_str();
  c->add_option("--config", "Options from a TOML file");  // replaced before parsing
  c->callback([settings, &program] { train_vectors(*settings, program); });
}

}  // namespace qkv::app

// qkv train mlm: text in, a BERT out.
#include <filesystem>
#include <optional>
#include <utility>

#include "app/command.h"
#include "app/train/training.h"
#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/data/text_stream.h"
#include "qkv/io/directory.h"
#include "qkv/train/masked_language.h"
#include "qkv/train/run_directory.h"

namespace qkv::app {
namespace {

/// An unset option leaves the preset's value.
struct TrainMlm {
  std::vector<std::string> train, valid;
  std::string directory, preset = "tiny", pieces, activation;
  bool by_line = false, cased = false, pairs = false, whole_words = false;
  std::optional<int> vocabulary, min_count;
  std::optional<std::int64_t> width, layers, heads, feed_forward, length;
  std::optional<double> dropout, attention_dropout;
  std::optional<double> share, short_sequences;
  std::optional<std::int64_t> most, duplicates, batch_tokens;
  RunSettings run;
};

MaskedPreset with_settings(const TrainMlm& s) {
  MaskedPreset p = masked_preset(s.preset);
  BertConfig& m = p.model;
  set(s.width, m.hidden_size);
  if (s.width) m.intermediate_size = 4 * *s.width;
  set(s.layers, m.num_hidden_layers);
  set(s.heads, m.num_attention_heads);
  set(s.feed_forward, m.intermediate_size);
  set(s.dropout, m.hidden_dropout_prob);
  set(s.attention_dropout, m.attention_probs_dropout_prob);
  set_choice("--activation", s.activation,
             {std::pair{"gelu", Activation::gelu}, std::pair{"gelu_new", Activation::gelu_tanh},
              std::pair{"relu", Activation::relu}},
             m.hidden_act);
  m.check();
  set(s.length, p.masks.max_length);
  set(s.share, p.masks.share);
  set(s.most, p.masks.most);
  set(s.short_sequences, p.masks.short_sequences);
  set(s.duplicates, p.masks.duplicates);
  p.masks.pairs = s.pairs;
  p.masks.whole_words = s.whole_words;
  p.masks.seed = s.run.seed;
  p.masks.check();
  set(s.vocabulary, p.pieces.vocabulary_size);
  set(s.min_count, p.pieces.min_count);
  p.pieces.lower = !s.cased;
  set(s.batch_tokens, p.batch_tokens);
  if (p.batch_tokens < 1) fail("--batch-tokens must be positive");
  set_run(s.run, p.train);
  if (!s.run.warm_up && p.train.steps > 0) {  // a tenth of a short run
    p.train.schedule.warm_up = std::min(p.train.schedule.warm_up, p.train.steps / 10);
  }
  return p;
}

/// Without validation text: the last fiftieth of the lines, taken out of the training text.
std::vector<std::string> hold_out(std::vector<std::string>& train) {
  const auto kept = static_cast<std::ptrdiff_t>(train.size() - (train.size() + 49) / 50);
  std::vector<std::string> valid(train.begin() + kept, train.end());
  if (kept == 0) fail("too few lines to hold some out; give --valid");
  train.resize(static_cast<std::size_t>(kept));
  return valid;
}

void train_mlm(const TrainMlm& s, Console& console) {
  const MaskedPreset preset = with_settings(s);
  const std::filesystem::path directory = s.directory;
  (void)begin_of(directory, s.run.resume, s.run.overwrite);
  std::vector<std::string> train_lines = read_text(s.train);
  const std::vector<std::string> valid_lines =
      s.valid.empty() ? hold_out(train_lines) : read_text(s.valid);
  BertModel model;
  if (s.run.resume) {
    model = load_bert_model(directory / kStateFolder);
  } else {
    const WordPiece pieces = s.pieces.empty() ? WordPiece::train(preset.pieces, train_lines)
                                              : WordPiece::load(s.pieces, preset.pieces.lower);
    pieces.require_words(s.pieces.empty() ? "the training text" : s.pieces);
    model = make_bert(preset, pieces, s.run.seed);
  }
  if (model.network.parts().next != preset.masks.pairs) {
    fail("{}: was begun {} --nsp; resume with the same command", s.directory,
         preset.masks.pairs ? "without" : "with");
  }
  const auto encode = [&](std::string_view line) { return model.pieces.encode(line); };
  const Documents train = make_documents(train_lines, encode, s.by_line, model.pieces.unk());
  const Documents valid = make_documents(valid_lines, encode, s.by_line, model.pieces.unk());
  console.line(fmt::format("vocabulary: {} pieces ({})", grouped(model.pieces.size()),
                           model.pieces.lower() ? "lower case" : "cased"));
  console.line("train: " + train.summary());
  console.line("valid: " + valid.summary());
  console.line(
      fmt::format("model: {} parameters ({})", grouped(parameter_count(model)), model.preset));

  const MaskedTraining training{.train = train,
                                .valid = valid,
                                .masks = preset.masks,
                                .batch_tokens = preset.batch_tokens,
                                .seed = s.run.seed};
  const TrainTask task = masked_task(model, training, directory);
  Optimiser optimiser(model, preset.train.optimiser);
  run_training(task, optimiser, preset.train, directory, s.run.resume, {}, console);
}

void add_model_options(CLI::App& c, TrainMlm& s) {
  const char* model = "Model";
  c.add_option("--preset", s.preset, "tiny, mini, small or base")
      ->group(model)
      ->capture_default_str();
  c.add_option("--width", s.width, "hidden_size")->group(model);
  c.add_option("--layers", s.layers, "num_hidden_layers")->group(model);
  c.add_option("--heads", s.heads, "num_attention_heads")->group(model);
  c.add_option("--feed-forward", s.feed_forward, "intermediate_size; default: 4 times the width")
      ->group(model);
  c.add_option("--activation", s.activation, "gelu, gelu_new (by tanh) or relu")->group(model);
  c.add_option("--dropout", s.dropout, "Of embeddings and between layers")->group(model);
  c.add_option("--attention-dropout", s.attention_dropout, "Of attention weights")->group(model);

  const char* masks = "What is hidden";
  c.add_option("--mask-share", s.share, "Share of the tokens that are hidden")->group(masks);
  c.add_option("--most", s.most, "Hidden tokens of a sequence, at most (0: no limit)")
      ->group(masks);
  c.add_flag("--whole-word", s.whole_words, "All pieces of a word or none")->group(masks);
  c.add_flag("--nsp", s.pairs,
             "Pairs of segments, and whether the second follows (next sentence prediction)")
      ->group(masks);
  c.add_option("--length", s.length,
               "Tokens of a sequence, [CLS] and [SEP] included; the model's "
               "positions")
      ->group(masks);
  c.add_option("--short", s.short_sequences, "Share of sequences of a random, smaller length")
      ->group(masks);
  c.add_option("--duplicates", s.duplicates,
               "Epochs until the same words are hidden again (0: never)")
      ->group(masks);
}

}  // namespace

void add_train_mlm(CLI::App& train, Program& program) {
  auto settings = std::make_shared<TrainMlm>();
  TrainMlm& s = *settings;
  CLI::App* c = train.add_subcommand("mlm", "Train a BERT: find the words that were hidden");
  c->footer(
      "A line is a sentence, a blank line ends a document. Files may be gzipped. The model with "
      "the\n"
      "lowest validation loss is kept, in the form of Hugging Face.\n"
      "Every option can also stand in a file: --config F.toml with lines `option = value`.\n"
      "Ctrl-C saves the state; the same command with --resume goes on to the same bits.");
  const char* data = "Data";
  c->add_option("--train", s.train, "Text, one or several files")->required()->group(data);
  c->add_option("--valid", s.valid, "Text for validation; default: the last fiftieth of the lines")
      ->group(data);
  c->add_option("--model", s.directory, "Model directory to write")->required()->group(data);
  c->add_flag("--by-line", s.by_line, "Every line is a document of its own")->group(data);
  const char* text = "Text";
  c->add_option("--vocabulary", s.vocabulary, "Largest number of pieces to learn")->group(text);
  c->add_option("--min-count", s.min_count, "Rarer pairs of pieces are not joined")->group(text);
  c->add_option("--pieces", s.pieces, "A vocab.txt to use instead of learning one")->group(text);
  c->add_flag("--cased", s.cased, "Keep capitals and accents")->group(text);
  add_model_options(*c, s);
  const char* run = "Training";
  add_run_options(*c, s.run, run);
  c->add_option("--batch-tokens", s.batch_tokens, "Tokens of a batch")->group(run);
  add_threads(*c, program);
  c->add_option("--config",
                "Options from a TOML file");  // replaced before parsing; here for --help
  c->callback([settings, &program] {
    apply_threads(program);
    train_mlm(*settings, program.console);
  });
}

}  // namespace qkv::app

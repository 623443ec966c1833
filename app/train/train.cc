// qkv train translate: two text files in, a model directory out.
#include <csignal>
#include <filesystem>

#include "app/action.h"
#include "app/command.h"
#include "app/train/labels.h"
#include "app/train/translate.h"
#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace qkv::app {

void add_train(Program& program) {
  CLI::App* train = program.cli.add_subcommand("train", "Train a model from text");
  train->require_subcommand(1);
  auto settings = std::make_shared<TrainTranslate>();
  TrainTranslate& s = *settings;
  CLI::App* c =
      train->add_subcommand("translate", "Train a translator from two line-aligned files");
  c->footer(
      "Files may be gzipped. One file instead of two is a table: source TAB target.\n"
      "Every option can also stand in a file: --config F.toml with lines `option = value`.\n"
      "Ctrl-C saves the state; the same command with --resume goes on to the same bits.");

  const char* data = "Data";
  c->add_option("--train", s.train, "Source and target text, or one TSV")
      ->expected(1, 2)
      ->group(data);
  c->add_option("--valid", s.valid,
                "The same for validation; default: every 50th training pair, at most 1000")
      ->expected(1, 2)
      ->group(data);
  c->add_option("--model", s.directory, "Model directory to write")->required()->group(data);
  c->add_option("--max-length", s.max_length,
                "Drop pairs longer than this many tokens (0: keep all)")
      ->group(data);
  c->add_option("--max-ratio", s.max_ratio,
                "Drop pairs whose lengths differ by more than this factor")
      ->group(data);

  const char* text = "Text";
  c->add_option("--tokeniser", s.tokeniser, "bpe, unigram, word, character or page")->group(text);
  c->add_option("--target-tokeniser", s.target_tokeniser, "Another one for the target side")
      ->group(text);
  c->add_option("--vocabulary", s.vocabulary, "Largest number of tokens")->group(text);
  c->add_option("--min-count", s.min_count, "Rarer words are unknown (word, character, page)")
      ->group(text);
  c->add_flag("--separate", s.separate, "One vocabulary a side instead of a joint one")
      ->group(text);
  c->add_flag("--lower", s.lower, "Lower-case both sides")->group(text);
  c->add_flag("--nfkc", s.nfkc, "Unicode normalisation NFKC on both sides")->group(text);

  const char* model = "Model";
  c->add_option("--preset", s.preset, "tiny, small, base or page")
      ->group(model)
      ->capture_default_str();
  c->add_option("--arch", s.architecture, "transformer or rnn (GRU or LSTM)")
      ->group(model)
      ->capture_default_str();
  c->add_option("--width", s.width, "Width of the model")->group(model);
  c->add_option("--heads", s.heads, "Attention heads")->group(model);
  c->add_option("--feed-forward", s.feed_forward, "Width inside the feed-forward blocks")
      ->group(model);
  c->add_option("--layers", s.layers, "Encoder and decoder layers")->group(model);
  c->add_option("--norm", s.norm, "post or pre")->group(model);
  c->add_option("--positions", s.positions, "sinusoidal, learned or none")->group(model);
  c->add_option("--dropout", s.dropout, "On embeddings and sub-layers")->group(model);
  c->add_option("--attention-dropout", s.attention_dropout, "On attention weights")->group(model);
  c->add_option("--activation-dropout", s.activation_dropout, "Inside feed-forward blocks")
      ->group(model);

  const char* rnn = "Model (--arch rnn)";
  c->add_option("--embedding", s.embedding, "Width of the embeddings")->group(rnn);
  c->add_option("--cell", s.cell, "gru, gru_reset_before or lstm")->group(rnn);
  c->add_option("--attention", s.attention,
                "bahdanau (asked before the cell), luong (after it) or none")
      ->group(rnn);
  c->add_option("--score", s.score, "additive (Luong's concat), dot or general")->group(rnn);
  c->add_option("--local", s.local,
                "Attend to a window around the target's place (monotonic) or one that the model "
                "predicts (predictive)")
      ->group(rnn);
  c->add_option("--window", s.window, "How far the window reaches to both sides (default 10)")
      ->group(rnn);
  c->add_flag("--bidirectional", s.bidirectional, "Encode in both directions")->group(rnn);
  c->add_flag("--input-feeding", s.input_feeding, "The cell reads what attention gave before")
      ->group(rnn);

  const char* run = "Training";
  add_run_options(*c, s, run);
  c->add_option("--batch-tokens", s.batch_tokens, "Tokens of either side in a batch")->group(run);
  c->add_option("--smoothing", s.smoothing, "Label smoothing")->group(run);
  c->add_option("--smoothing-form", s.smoothing_form,
                "uniform (epsilon/V) or off_target (epsilon/(V-1))")
      ->group(run);
  c->add_option("--valid-bleu", s.valid_bleu,
                "Decode this many validation pairs for BLEU (0: judge by loss)")
      ->group(run)
      ->capture_default_str();
  c->add_option("--bleu-tokeniser", s.bleu_tokeniser,
                "13a, zh, char or none; default by the target's script")
      ->group(run);
  add_threads(*c, program);
  c->add_option("--config",
                "Options from a TOML file");  // replaced before parsing; here for --help
  c->callback([settings, &program] {
    apply_threads(program);
    train_translate(*settings, program.console);
  });
  add_train_labels(*train, program);
  add_train_lm(*train, program);
  add_train_vectors(*train, program);
  add_train_action(*train, program);
  add_train_mlm(*train, program);
}

}  // namespace qkv::app

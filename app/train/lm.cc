// qkv train lm: text in, a language model out.
#include <filesystem>
#include <optional>
#include <utility>

#include "app/command.h"
#include "app/train/training.h"
#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/train/language.h"
#include "qkv/train/run_directory.h"

namespace qkv::app {
namespace {

/// An unset option leaves the preset's value.
struct TrainLm {
  std::vector<std::string> train, valid;
  std::string directory, preset = "char-tiny", architecture = "transformer";
  bool by_line = false, lower = false, nfkc = false;
  std::string tokeniser;
  std::optional<int> vocabulary, min_count;
  std::optional<std::int64_t> width, layers, context;
  std::optional<double> dropout, attention_dropout;
  std::optional<std::int64_t> heads, kv_heads, expansion;
  std::string positions, logit_scale;
  std::optional<double> clip_qkv, softmax_scale, alibi_max, embedding_fraction;
  bool qk_norm = false, bias = false, prefix = false;
  std::optional<std::int64_t> embedding;
  std::string cell;
  bool untied = false;
  std::optional<std::int64_t> batch_tokens;
  std::optional<double> floor, smoothing;
  RunSettings run;
};

void set_network(const TrainLm& s, RnnLanguage::Config& m) {
  if (s.heads || s.kv_heads || s.expansion || s.attention_dropout || !s.positions.empty() ||
      !s.logit_scale.empty() || s.clip_qkv || s.softmax_scale || s.alibi_max ||
      s.embedding_fraction || s.qk_norm || s.bias || s.prefix) {
    fail(
        "--heads, --kv-heads, --expansion, --attention-dropout, --positions, --clip-qkv, "
        "--qk-norm, --softmax-scale, --alibi-max, --logit-scale, --embedding-fraction, --bias and "
        "--prefix are for --arch transformer and linear");
  }
  set(s.width, m.width);
  set(s.layers, m.layers);
  set(s.embedding, m.embedding);
  if (s.dropout) m.embedding_dropout = m.dropout = m.output_dropout = *s.dropout;
  set_cell(s.cell, m.cell);
  if (s.untied) m.tie_output = false;
  RnnLanguage::Config sizes = m;  // what can be checked before the text is read
  sizes.vocab_size = 1;
  sizes.check();
}

void set_positions(const std::string& word, Mpt::Config& m) {
  if (word.empty()) return;
  if (word != "alibi" && word != "learned" && word != "rotary") {
    fail("--positions '{}' is not one of alibi, learned, rotary", word);
  }
  m.attn_config.alibi = word == "alibi";
  m.learned_pos_emb = word == "learned";
  m.attn_config.rope = word == "rotary";
}

void set_network(const TrainLm& s, Mpt::Config& m) {
  if (s.embedding || !s.cell.empty() || s.untied) {
    fail("--embedding, --cell and --untied are for --arch rnn");
  }
  set(s.width, m.d_model);
  set(s.layers, m.n_layers);
  set(s.heads, m.n_heads);
  set(s.kv_heads, m.attn_config.kv_n_heads);
  set(s.expansion, m.expansion_ratio);
  set(s.dropout, m.resid_pdrop);
  set(s.dropout, m.emb_pdrop);
  set(s.attention_dropout, m.attn_config.attn_pdrop);
  set(s.clip_qkv, m.attn_config.clip_qkv);
  set(s.softmax_scale, m.attn_config.softmax_scale);
  set(s.alibi_max, m.attn_config.alibi_bias_max);
  set(s.embedding_fraction, m.embedding_fraction);
  if (s.qk_norm) m.attn_config.qk_ln = true;
  if (s.bias) m.no_bias = false;
  if (s.prefix) m.attn_config.prefix_lm = true;
  set_positions(s.positions, m);
  if (s.logit_scale == "inv_sqrt_d_model") {
    m.logit_scale_inv_sqrt_d_model = true;
  } else if (!s.logit_scale.empty()) {
    std::size_t used = 0;
    try {
      m.logit_scale = std::stod(s.logit_scale, &used);
    } catch (const std::exception&) {
      used = 0;
    }
    if (used != s.logit_scale.size()) {
      fail("--logit-scale '{}' is neither a number nor inv_sqrt_d_model", s.logit_scale);
    }
  }
  Mpt::Config sizes = m;  // what can be checked before the text is read
  sizes.vocab_size = 1;
  sizes.check();
}

LanguagePreset with_settings(const TrainLm& s) {
  LanguageKind kind = LanguageKind::transformer;
  set_choice("--arch", s.architecture,
             {std::pair{"transformer", LanguageKind::transformer},
              std::pair{"linear", LanguageKind::linear}, std::pair{"rnn", LanguageKind::rnn}},
             kind);
  LanguagePreset p = language_preset(s.preset, kind);
  set(s.context, p.context);
  set(s.batch_tokens, p.batch_tokens);
  set(s.smoothing, p.smoothing);
  if (p.context < 1) fail("--context must be positive");
  if (p.batch_tokens < 1) fail("--batch-tokens must be positive");
  p.mpt.max_seq_len = p.context;
  if (kind == LanguageKind::rnn) {
    set_network(s, p.rnn);
  } else {
    set_network(s, p.mpt);
  }
  set_run(s.run, p.train);
  set(s.floor, p.train.schedule.floor);
  if (!s.tokeniser.empty()) {
    const TokeniserOptions::Kind named = kind_of(s.tokeniser);
    if (named != p.tokeniser.kind) p.tokeniser.vocabulary_size = 0;
    p.tokeniser.kind = named;
  }
  set(s.vocabulary, p.tokeniser.vocabulary_size);
  set(s.min_count, p.tokeniser.min_count);
  p.tokeniser.normalise.lower = s.lower;
  p.tokeniser.normalise.nfkc = s.nfkc;
  return p;
}

/// Without validation text: the last tenth of the lines, taken out of the training text.
std::vector<std::string> hold_out(std::vector<std::string>& train) {
  const auto kept = static_cast<std::ptrdiff_t>(train.size() - train.size() / 10);
  std::vector<std::string> valid(train.begin() + kept, train.end());
  if (valid.empty()) fail("too few lines to hold some out; give --valid");
  train.resize(static_cast<std::size_t>(kept));
  return valid;
}

LanguageModel fresh_model(const TrainLm& s, const LanguagePreset& p,
                          const std::vector<std::string>& lines) {
  LanguageModel model;
  model.preset = s.preset;
  model.by_line = s.by_line;
  model.context = p.context;
  model.tokeniser = train_language_tokeniser(p.tokeniser, lines);
  if (p.kind == LanguageKind::rnn) {
    RnnLanguage::Config c = p.rnn;
    c.vocab_size = model.tokeniser.size();
    model.network = RnnLanguage::make(c, s.run.seed);
  } else {
    Mpt::Config c = p.mpt;
    c.vocab_size = model.tokeniser.size();
    model.network = Mpt::make(c, s.run.seed);
  }
  return model;
}

void train_lm(const TrainLm& s, Console& console) {
  const LanguagePreset preset = with_settings(s);
  const std::filesystem::path directory = s.directory;
  (void)begin_of(directory, s.run.resume, s.run.overwrite);
  std::vector<std::string> train_lines = read_text(s.train);
  const std::vector<std::string> valid_lines =
      s.valid.empty() ? hold_out(train_lines) : read_text(s.valid);
  LanguageModel model;
  if (s.run.resume) {
    model = load_language_model(directory / kStateFolder);
  } else {
    model = fresh_model(s, preset, train_lines);
  }
  const TextStream train = make_stream(train_lines, model.encoder(), model.format());
  const TextStream valid = make_stream(valid_lines, model.encoder(), model.format());
  console.line(fmt::format("vocabulary: {} tokens ({})", grouped(model.vocabulary()),
                           name_of(model.tokeniser.kind())));
  console.line("train: " + train.summary());
  console.line("valid: " + valid.summary());
  console.line(
      fmt::format("model: {} parameters ({})", grouped(parameter_count(model)), model.preset));

  LanguageTraining training{.train = train, .valid = valid};
  training.loss.smoothing = preset.smoothing;
  training.context = model.context;
  training.batch_tokens = preset.batch_tokens;
  training.seed = s.run.seed;
  const TrainTask task = language_task(model, training, directory);
  Optimiser optimiser(model, preset.train.optimiser);
  run_training(task, optimiser, preset.train, directory, s.run.resume, {}, console);
}

void add_model_options(CLI::App& c, TrainLm& s) {
  const char* model = "Model";
  c.add_option("--preset", s.preset, "char-tiny, char-small, words or base")
      ->group(model)
      ->capture_default_str();
  c.add_option("--arch", s.architecture,
               "transformer (MPT), linear (MPT with linear attention) or rnn (LSTM or GRU)")
      ->group(model)
      ->capture_default_str();
  c.add_option("--width", s.width, "Width of the model")->group(model);
  c.add_option("--layers", s.layers, "Layers")->group(model);
  c.add_option("--context", s.context, "Tokens of a training window")->group(model);
  c.add_option("--dropout", s.dropout, "On embeddings and between layers")->group(model);

  const char* mpt = "Model (--arch transformer or linear)";
  c.add_option("--heads", s.heads, "Attention heads")->group(mpt);
  c.add_option("--kv-heads", s.kv_heads, "Heads of keys and values; 1: multi-query")->group(mpt);
  c.add_option("--expansion", s.expansion, "Width of the feed-forward blocks over --width")
      ->group(mpt);
  c.add_option("--positions", s.positions, "alibi, learned or rotary")->group(mpt);
  c.add_option("--alibi-max", s.alibi_max, "alibi_bias_max")->group(mpt);
  c.add_option("--clip-qkv", s.clip_qkv, "Queries, keys and values within this bound (0: none)")
      ->group(mpt);
  c.add_flag("--qk-norm", s.qk_norm, "LayerNorm on queries and keys (qk_ln)")->group(mpt);
  c.add_option("--softmax-scale", s.softmax_scale, "Factor of the scores")->group(mpt);
  c.add_option("--attention-dropout", s.attention_dropout, "On attention weights")->group(mpt);
  c.add_option("--logit-scale", s.logit_scale, "A number or inv_sqrt_d_model")->group(mpt);
  c.add_option("--embedding-fraction", s.embedding_fraction,
               "Share of the gradient that embeddings get")
      ->group(mpt);
  c.add_flag("--bias", s.bias, "Biases in products and norms")->group(mpt);
  c.add_flag("--prefix", s.prefix,
             "What is given sees all of itself, also ahead: up to half of a training window, the "
             "prompt of generate (prefix_lm)")
      ->group(mpt);

  const char* rnn = "Model (--arch rnn)";
  c.add_option("--cell", s.cell, "lstm, gru or gru_reset_before")->group(rnn);
  c.add_option("--embedding", s.embedding, "Width of the embeddings")->group(rnn);
  c.add_flag("--untied", s.untied, "An output matrix of its own")->group(rnn);
}

}  // namespace

void add_train_lm(CLI::App& train, Program& program) {
  auto settings = std::make_shared<TrainLm>();
  TrainLm& s = *settings;
  CLI::App* c = train.add_subcommand("lm", "Train a language model on text");
  c->footer(
      "Files may be gzipped. The model with the lowest validation loss is kept.\n"
      "Every option can also stand in a file: --config F.toml with lines `option = value`.\n"
      "Ctrl-C saves the state; the same command with --resume goes on to the same bits.");
  const char* data = "Data";
  c->add_option("--train", s.train, "Text, one or several files")->required()->group(data);
  c->add_option("--valid", s.valid, "Text for validation; default: the last tenth of the lines")
      ->group(data);
  c->add_option("--model", s.directory, "Model directory to write")->required()->group(data);
  c->add_flag("--by-line", s.by_line, "Every line is a text of its own")->group(data);
  const char* text = "Text";
  c->add_option("--tokeniser", s.tokeniser,
                "character, space (words as they stand), word, bpe or unigram")
      ->group(text);
  c->add_option("--vocabulary", s.vocabulary, "Largest number of tokens")->group(text);
  c->add_option("--min-count", s.min_count, "Rarer words and characters are unknown")->group(text);
  c->add_flag("--lower", s.lower, "Lower-case the text")->group(text);
  c->add_flag("--nfkc", s.nfkc, "Unicode normalisation NFKC")->group(text);
  add_model_options(*c, s);
  const char* run = "Training";
  add_run_options(*c, s.run, run);
  c->add_option("--batch-tokens", s.batch_tokens, "Tokens of a batch")->group(run);
  c->add_option("--floor", s.floor, "The rate where cosine and linear end")->group(run);
  c->add_option("--smoothing", s.smoothing, "Label smoothing")->group(run);
  add_threads(*c, program);
  c->add_option("--config",
                "Options from a TOML file");  // replaced before parsing; here for --help
  c->callback([settings, &program] {
    apply_threads(program);
    train_lm(*settings, program.console);
  });
}

}  // namespace qkv::app

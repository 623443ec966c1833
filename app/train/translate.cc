#include "app/train/translate.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/core.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/eval/bleu.h"
#include "qkv/io/directory.h"
#include "qkv/train/run_directory.h"

namespace qkv::app {
namespace {

TextPairs read(const std::vector<std::string>& files) {
  return files.size() == 2 ? read_pairs(files[0], files[1]) : read_pairs(files[0]);
}

/// Without validation files: every 50th training pair, at most 1,000, taken out of the training
/// text.
TextPairs hold_out(TextPairs& train) {
  TextPairs valid, rest;
  const std::size_t every =
      std::max<std::size_t>(2, std::max<std::size_t>(50, train.source.size() / 1000));
  for (std::size_t i = 0; i < train.source.size(); ++i) {
    TextPairs& to = i % every == every - 1 ? valid : rest;
    to.source.push_back(std::move(train.source[i]));
    to.target.push_back(std::move(train.target[i]));
  }
  if (valid.source.empty()) fail("too few pairs to hold some out; give --valid");
  valid.report.read = valid.report.kept = static_cast<std::int64_t>(valid.source.size());
  rest.report = train.report;
  rest.report.kept -= valid.report.kept;
  train = std::move(rest);
  return valid;
}

bool has_han(const std::vector<std::string>& lines) {
  // The CJK ideographs of the basic plane are U+4E00 … U+9FFF: three bytes from E4 B8 80 on.
  std::size_t han = 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(lines.size(), 200); ++i) {
    for (char c : lines[i]) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0xE4 && byte <= 0xE9) ++han;
    }
  }
  return han > 200;
}

TokeniserOptions side_options(const TokeniserOptions& preset, const std::string& kind) {
  TokeniserOptions o = preset;
  if (kind.empty()) return o;
  o.kind = kind_of(kind);
  const bool words =
      o.kind != TokeniserOptions::Kind::bpe && o.kind != TokeniserOptions::Kind::unigram;
  if (words && preset.kind != o.kind) o.vocabulary_size = 0;
  return o;
}

void make_tokenisers(const TrainTranslate& s, const TranslationPreset& p, const TextPairs& text,
                     TranslationModel& model, Console& console) {
  const TokeniserOptions source = side_options(p.tokeniser, s.tokeniser);
  const TokeniserOptions target =
      side_options(p.tokeniser, s.target_tokeniser.empty() ? s.tokeniser : s.target_tokeniser);
  model.joint = p.joint && s.target_tokeniser.empty();
  if (model.joint) {
    std::vector<std::string> both = text.source;
    both.insert(both.end(), text.target.begin(), text.target.end());
    model.source = model.target = Tokeniser::train(source, both);
    console.line(fmt::format("vocabulary: {} tokens ({}, joint)", grouped(model.source.size()),
                             name_of(source.kind)));
  } else {
    model.source = Tokeniser::train(source, text.source);
    model.target = Tokeniser::train(target, text.target);
    console.line(fmt::format("vocabulary: {} source tokens ({}), {} target tokens ({})",
                             grouped(model.source.size()), name_of(source.kind),
                             grouped(model.target.size()), name_of(target.kind)));
  }
  const UnknownReport us = model.source.unknown_report(text.source);
  const UnknownReport ut = model.target.unknown_report(text.target);
  console.line(fmt::format("unknown: {:.2f} % of the source tokens, {:.2f} % of the target tokens",
                           100 * us.rate(), 100 * ut.rate()));
}

void set_network(const TrainTranslate& s, RnnTranslator::Config& m) {
  if (s.heads || s.feed_forward || s.activation_dropout || !s.norm.empty() ||
      !s.positions.empty()) {
    fail(
        "--heads, --feed-forward, --activation-dropout, --norm and --positions are for --arch "
        "transformer");
  }
  set(s.embedding, m.embedding);
  set(s.width, m.width);
  set(s.layers, m.layers);
  if (s.dropout) m.dropout = m.embedding_dropout = *s.dropout;
  set(s.attention_dropout, m.attention_dropout);
  set_cell(s.cell, m.cell);
  set_choice("--attention", s.attention,
             {std::pair{"none", RnnContext::fixed}, std::pair{"bahdanau", RnnContext::before},
              std::pair{"luong", RnnContext::after}},
             m.context);
  set_choice("--score", s.score,
             {std::pair{"additive", RnnScore::additive}, std::pair{"dot", RnnScore::dot},
              std::pair{"general", RnnScore::general}},
             m.score);
  set_choice(
      "--local", s.local,
      {std::pair{"monotonic", RnnLocal::monotonic}, std::pair{"predictive", RnnLocal::predictive}},
      m.local);
  set(s.window, m.local_width);
  if (s.window && s.local.empty()) fail("--window is for --local monotonic or predictive");
  if (s.width) m.attention_width = 0;  // as wide as the cells
  if (s.bidirectional) m.bidirectional = true;
  m.input_feeding = s.input_feeding;
  RnnTranslator::Config sizes = m;  // what can be checked before the text is read
  sizes.source_vocabulary = sizes.target_vocabulary = 1;
  sizes.check();
}

void set_network(const TrainTranslate& s, Transformer::Config& m) {
  if (s.embedding || !s.cell.empty() || !s.attention.empty() || !s.score.empty() ||
      !s.local.empty() || s.window || s.bidirectional || s.input_feeding) {
    fail(
        "--embedding, --cell, --attention, --score, --local, --window, --bidirectional and "
        "--input-feeding are for --arch rnn");
  }
  set(s.width, m.width);
  set(s.heads, m.heads);
  set(s.feed_forward, m.feed_forward);
  set(s.layers, m.encoder_layers);
  set(s.layers, m.decoder_layers);
  set(s.dropout, m.dropout);
  set(s.attention_dropout, m.attention_dropout);
  set(s.activation_dropout, m.activation_dropout);
  if (s.norm == "pre") {
    m.norm = NormPlacement::pre;
    m.final_norm = true;
  } else if (s.norm == "post") {
    m.norm = NormPlacement::post;
  } else if (!s.norm.empty()) {
    fail("--norm '{}' is not one of post, pre", s.norm);
  }
  if (s.positions == "learned") {
    m.positions = PositionKind::learned;
  } else if (s.positions == "none") {
    m.positions = PositionKind::none;
  } else if (s.positions == "sinusoidal") {
    m.positions = PositionKind::sinusoidal;
  } else if (!s.positions.empty()) {
    fail("--positions '{}' is not one of sinusoidal, learned, none", s.positions);
  }
  Transformer::Config sizes = m;  // what can be checked before the text is read
  sizes.source_vocabulary = sizes.target_vocabulary = 1;
  sizes.check();
}

}  // namespace

TranslationPreset with_settings(const TrainTranslate& s) {
  Architecture architecture = Architecture::transformer;
  set_choice(
      "--arch", s.architecture,
      {std::pair{"transformer", Architecture::transformer}, std::pair{"rnn", Architecture::rnn}},
      architecture);
  TranslationPreset p = translation_preset(s.preset, architecture);
  if (architecture == Architecture::rnn) {
    set_network(s, p.rnn);
  } else {
    set_network(s, p.model);
  }
  set_run(s, p.train);
  set(s.batch_tokens, p.batch_tokens);
  set(s.smoothing, p.smoothing);
  set(s.max_length, p.max_length);
  if (s.vocabulary) p.tokeniser.vocabulary_size = *s.vocabulary;
  if (s.min_count) p.tokeniser.min_count = *s.min_count;
  p.tokeniser.normalise.lower = s.lower;
  p.tokeniser.normalise.nfkc = s.nfkc;
  if (s.separate || !s.target_tokeniser.empty()) p.joint = false;
  if (!p.joint) p.model.share_embeddings = false;
  if (p.batch_tokens < 1) fail("--batch-tokens must be positive");
  return p;
}

TrainReport train_on_texts(const TrainTranslate& s, const TranslationPreset& preset,
                           TranslationTexts texts, Console& console) {
  const std::filesystem::path directory = s.directory;
  (void)begin_of(directory, s.resume, s.overwrite);
  TranslationModel model;
  TrainOptions options = preset.train;
  if (s.resume) {
    model = load_translation_model(directory / kStateFolder);
  } else {
    make_tokenisers(s, preset, texts.train, model, console);
    model.preset = s.preset;
    model.architecture = preset.architecture;
    const auto made = [&](auto config) {
      config.source_vocabulary = model.source.size();
      config.target_vocabulary = model.target.size();
      return config;
    };
    if (model.architecture == Architecture::rnn) {
      model.rnn = RnnTranslator::make(made(preset.rnn), s.seed);
    } else {
      model.transformer = Transformer::make(made(preset.model), s.seed);
    }
  }
  // Whatever the user allows, a sequence with its <eos> must fit the model's positions.
  const std::int64_t longest = model.max_length() - 1;
  PairLimits limits = {.max_length = longest, .max_ratio = s.max_ratio.value_or(0)};
  if (preset.max_length > 0) limits.max_length = std::min(longest, preset.max_length);
  const auto encode = [](const Tokeniser& t) {
    return [&t](std::string_view line) { return t.encode(line); };
  };
  const TokenPairs train =
      encode_pairs(texts.train, encode(model.source), encode(model.target), limits);
  // Nothing is left out here: pair i must stay beside reference i.
  const TokenPairs valid = encode_pairs(
      texts.valid, encode(model.source), encode(model.target),
      {.max_length = longest, .too_long = PairLimits::TooLong::cut, .drop_empty = false});
  console.line("train: " + train.report.summary());
  console.line("valid: " + valid.report.summary());

  TranslationTraining training{.train = train, .valid = valid};
  training.valid_references = texts.valid.target;
  training.loss.smoothing = preset.smoothing;
  if (s.smoothing_form == "off_target") {
    training.loss.form = Smoothing::off_target;
  } else if (!s.smoothing_form.empty() && s.smoothing_form != "uniform") {
    fail("--smoothing-form '{}' is not one of uniform, off_target", s.smoothing_form);
  }
  training.batches = {.max_tokens = preset.batch_tokens, .seed = s.seed};
  training.decode_pairs = s.valid_bleu;
  training.bleu_lower = s.lower;
  training.bleu_tokeniser =
      !s.bleu_tokeniser.empty() ? s.bleu_tokeniser : (has_han(texts.valid.target) ? "zh" : "13a");

  if (options.validate_every == 0) {
    // Twice an epoch would be too often for short epochs and too seldom for long ones; once is the
    // rule.
    options.report_every = 50;
  }
  const MemoryEstimate memory = training_memory(model, options, preset.batch_tokens, train.size());
  console.line(fmt::format(
      "model: {} parameters ({}); memory: about {} MiB ({} parameters and moments, "
      "{} activations, {} loss, {} program and text)",
      grouped(parameter_count(model)), model.preset, memory.total() >> 20, memory.parameters >> 20,
      memory.activations >> 20, memory.loss >> 20, memory.program >> 20));
  Optimiser optimiser(model, options.optimiser);
  const TrainTask task = translation_task(model, training, directory);
  return run_training(task, optimiser, options, directory, s.resume, {"bleu", "BLEU"}, console);
}

void train_translate(const TrainTranslate& s, Console& console) {
  const TranslationPreset preset = with_settings(s);
  if (s.train.empty()) fail("--train SOURCE TARGET is missing");
  TranslationTexts texts;
  texts.train = read(s.train);
  texts.valid = s.valid.empty() ? hold_out(texts.train) : read(s.valid);
  train_on_texts(s, preset, std::move(texts), console);
}

}  // namespace qkv::app

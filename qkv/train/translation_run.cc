// Texts in, a trained translator out.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/train/translation.h"

namespace qkv {
namespace {

TextPairs read(const std::vector<std::string>& files) {
  return files.size() == 2 ? read_pairs(files[0], files[1]) : read_pairs(files[0]);
}

TextPairs hold_out(TextPairs& train) {
  const std::vector<bool> out = held_out(train.source.size(), 50, "pairs");
  TextPairs valid, rest;
  for (std::size_t i = 0; i < out.size(); ++i) {
    TextPairs& to = out[i] ? valid : rest;
    to.source.push_back(std::move(train.source[i]));
    to.target.push_back(std::move(train.target[i]));
  }
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

TokeniserOptions side_options(const TranslationRecipe& r, TokeniserOptions::Kind kind) {
  const bool subwords =
      kind == TokeniserOptions::Kind::bpe || kind == TokeniserOptions::Kind::unigram;
  TokeniserOptions o{.kind = kind, .min_count = r.min_count};
  o.vocabulary_size = r.vocabulary.value_or(subwords ? r.subwords : 0);
  o.normalise.lower = r.lower;
  o.normalise.nfkc = r.nfkc;
  return o;
}

std::string fingerprint_of(const TextPairs& pairs) {
  return fingerprint(std::vector<std::vector<std::string>>{pairs.source, pairs.target});
}

Transformer network_of(Transformer::Config c, bool joint, std::uint64_t seed) {
  if (!joint) c.share_embeddings = false;
  if (c.norm == NormPlacement::pre) c.final_norm = true;
  return Transformer::make(seed, c);
}
RnnTranslator network_of(const RnnTranslator::Config& c, bool, std::uint64_t seed) {
  return RnnTranslator::make(seed, c);
}

void say(const TrainWatch& watch, const std::string& text) {
  if (watch.line) watch.line(text);
}

}  // namespace

TranslationTexts read_translation_texts(const std::vector<std::string>& train,
                                        const std::vector<std::string>& valid) {
  TranslationTexts texts;
  texts.train = read(train);
  texts.valid = valid.empty() ? hold_out(texts.train) : read(valid);
  return texts;
}

TranslationModel make_translator(const TranslationRecipe& r, const TextPairs& text,
                                 const TrainWatch& watch) {
  TranslationModel model;
  model.preset = r.preset;
  model.joint = r.joint();
  const TokeniserOptions source = side_options(r, r.tokeniser);
  if (model.joint) {
    std::vector<std::string> both = text.source;
    both.insert(both.end(), text.target.begin(), text.target.end());
    model.source = model.target = Tokeniser::train(source, both);
    say(watch, fmt::format("vocabulary: {} tokens ({}, joint)", grouped(model.source.size()),
                           name_of(source.kind)));
  } else {
    const TokeniserOptions target = side_options(r, r.target_tokeniser.value_or(r.tokeniser));
    model.source = Tokeniser::train(source, text.source);
    model.target = Tokeniser::train(target, text.target);
    say(watch, fmt::format("vocabulary: {} source tokens ({}), {} target tokens ({})",
                           grouped(model.source.size()), name_of(source.kind),
                           grouped(model.target.size()), name_of(target.kind)));
  }
  say(watch, fmt::format("unknown: {:.2f} % of the source tokens, {:.2f} % of the target tokens",
                         100 * model.source.unknown_report(text.source).rate(),
                         100 * model.target.unknown_report(text.target).rate()));
  std::visit(
      [&](auto config) {
        config.source_vocabulary = model.source.size();
        config.target_vocabulary = model.target.size();
        model.network = network_of(config, model.joint, r.train.seed);
      },
      r.network);
  return model;
}

TrainReport train_translator(const TranslationRecipe& r, TranslationTexts texts, TrainingRun& run,
                             const TrainWatch& watch) {
  run.record.data = {{"train", fingerprint_of(texts.train)},
                     {"valid", fingerprint_of(texts.valid)}};
  TranslationModel model =
      run.resumes() ? load_translation_model(run.state()) : make_translator(r, texts.train, watch);
  // Whatever the user allows, a sequence with its <eos> must fit the model's positions.
  const std::int64_t longest = model.max_length() - 1;
  PairLimits limits = {.max_length = longest, .max_ratio = r.max_ratio};
  if (r.max_length > 0) limits.max_length = std::min(longest, r.max_length);
  const auto encode = [](const Tokeniser& t) {
    return [&t](std::string_view line) { return t.encode(line); };
  };
  const TokenPairs train =
      encode_pairs(texts.train, encode(model.source), encode(model.target), limits);
  // Nothing is left out here: pair i must stay beside reference i.
  const TokenPairs valid = encode_pairs(
      texts.valid, encode(model.source), encode(model.target),
      {.max_length = longest, .too_long = PairLimits::TooLong::cut, .drop_empty = false});
  say(watch, "train: " + train.report.summary());
  say(watch, "valid: " + valid.report.summary());

  TranslationTraining training{.train = train, .valid = valid};
  training.valid_references = texts.valid.target;
  training.loss = {.smoothing = r.smoothing, .form = r.smoothing_form};
  training.batches = {.max_tokens = r.batch_tokens, .seed = r.train.seed};
  training.decode_pairs = r.valid_bleu;
  training.bleu_lower = r.lower;
  training.bleu_tokeniser = !r.bleu_tokeniser.empty()     ? r.bleu_tokeniser
                            : has_han(texts.valid.target) ? "zh"
                                                          : "13a";
  const MemoryEstimate memory = training_memory(model, r.train, r.batch_tokens, train.size());
  say(watch,
      fmt::format("model: {} parameters ({}); memory: about {} MiB ({} parameters and moments, "
                  "{} activations, {} loss, {} program and text)",
                  grouped(parameter_count(model)), model.preset, memory.total() >> 20,
                  memory.parameters >> 20, memory.activations >> 20, memory.loss >> 20,
                  memory.program >> 20));
  run.curve_score = {"bleu", "BLEU"};
  return run.train(model, translation_task(model, training, run.directory()), r.train, watch);
}

}  // namespace qkv

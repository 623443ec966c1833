// Texts in, a trained translator out.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/notice.h"
#include "qkv/eval/tokenise.h"
#include "qkv/systems/translation_tokens.h"
#include "qkv/train/translation.h"

namespace qkv {
namespace {

std::string fingerprint_of(const TextPairs& pairs) {
  return fingerprint(std::vector<std::vector<std::string>>{pairs.source, pairs.target});
}

/// The translator to go on from, told its languages.
TranslationModel begun_from(const TranslationRecipe& r) {
  TranslationModel model = load_translation_model(r.init);
  for (const std::string& note : model.notes) notice(note);
  if (!r.source_language.empty()) model.defaults.source_language = r.source_language;
  if (!r.target_language.empty()) model.defaults.target_language = r.target_language;
  (void)target_begin(model, model.defaults);  // throws for a language that it does not know
  if (r.tuning.lora.rank > 0) begin_adapter(model, r.init, r.tuning.lora, r.train.seed);
  return model;
}

TranslationModel model_of(const TranslationRecipe& r, const TextPairs& text, const TrainingRun& run,
                          const TrainWatch& watch) {
  if (run.resumes()) return load_translation_model(run.state(), Adapters::apart);
  if (!r.init.empty()) return begun_from(r);
  return make_translator(r, text, r.train.seed,
                         [&watch](const std::string& line) { watch.say(line); });
}

/// Targets as the network is to write them, with what all of them begin with.
TextEncoder target_encoder(const TranslationModel& model) {
  return [&model, begin = target_begin(model, model.defaults)](std::string_view line) {
    std::vector<std::int32_t> ids = model.target.encode(line);
    if (!ids.empty()) ids.insert(ids.begin(), begin.begin(), begin.end());
    return ids;
  };
}

}  // namespace

TrainReport train_translator(const TranslationRecipe& r, Split<TextPairs> texts, TrainingRun& run,
                             const TrainWatch& watch) {
  run.record.data = {{"train", fingerprint_of(texts.train)},
                     {"valid", fingerprint_of(texts.valid)}};
  TranslationModel model = model_of(r, texts.train, run, watch);
  const Trainable trainable = trainable_of(r.tuning, model);
  // Whatever the user allows, a sequence with its <eos> must fit the model's positions.
  const std::int64_t longest = model.max_length() - 1;
  PairLimits limits = {.max_length = longest, .max_ratio = r.max_ratio};
  if (r.max_length > 0) limits.max_length = std::min(longest, r.max_length);
  const TextEncoder source = [&model](std::string_view line) {
    return encode_source(model, line, model.defaults);
  };
  const TextEncoder target = target_encoder(model);
  const TokenPairs train = encode_pairs(texts.train, source, target, limits);
  // Nothing is left out here: pair i must stay beside reference i.
  const TokenPairs valid = encode_pairs(
      texts.valid, source, target,
      {.max_length = longest, .too_long = PairLimits::TooLong::cut, .drop_empty = false});
  watch.say("train: " + train.report.summary());
  watch.say("valid: " + valid.report.summary());

  TranslationTraining training{.train = train, .valid = valid};
  training.valid_references = texts.valid.target;
  training.loss = {.smoothing = r.smoothing, .form = r.smoothing_form};
  training.batches = {.max_tokens = r.batch_tokens, .seed = r.train.seed};
  training.decode_pairs = r.valid_bleu;
  training.bleu_lower = model.target.normalisation().lower;
  training.bleu_tokeniser =
      r.bleu_tokeniser.empty() ? name_of(bleu_tokeniser_of(texts.valid.target)) : r.bleu_tokeniser;
  const MemoryEstimate memory =
      training_memory(model, r.train, r.batch_tokens, train.size(), trainable);
  watch.say(fmt::format(
      "model: {} parameters ({}); memory: about {} MiB ({} parameters and moments, "
      "{} activations, {} loss, {} program and text)",
      grouped(parameter_count(model)), model.preset, memory.total() >> 20, memory.parameters >> 20,
      memory.activations >> 20, memory.loss >> 20, memory.program >> 20));
  say_trained(model, trainable, watch);
  run.curve_score = {"bleu", "BLEU"};
  return run.train(model, translation_task(model, training), r.train, watch, trainable);
}

}  // namespace qkv

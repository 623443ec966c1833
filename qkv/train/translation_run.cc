// Texts in, a trained translator out.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/eval/tokenise.h"
#include "qkv/train/translation.h"

namespace qkv {
namespace {

std::string fingerprint_of(const TextPairs& pairs) {
  return fingerprint(std::vector<std::vector<std::string>>{pairs.source, pairs.target});
}

}  // namespace

TrainReport train_translator(const TranslationRecipe& r, Split<TextPairs> texts, TrainingRun& run,
                             const TrainWatch& watch) {
  run.record.data = {{"train", fingerprint_of(texts.train)},
                     {"valid", fingerprint_of(texts.valid)}};
  TranslationModel model =
      run.resumes() ? load_translation_model(run.state())
                    : make_translator(r, texts.train, r.train.seed,
                                      [&watch](const std::string& text) { watch.say(text); });
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
  watch.say("train: " + train.report.summary());
  watch.say("valid: " + valid.report.summary());

  TranslationTraining training{.train = train, .valid = valid};
  training.valid_references = texts.valid.target;
  training.loss = {.smoothing = r.smoothing, .form = r.smoothing_form};
  training.batches = {.max_tokens = r.batch_tokens, .seed = r.train.seed};
  training.decode_pairs = r.valid_bleu;
  training.bleu_lower = r.lower;
  training.bleu_tokeniser =
      r.bleu_tokeniser.empty() ? name_of(bleu_tokeniser_of(texts.valid.target)) : r.bleu_tokeniser;
  const MemoryEstimate memory = training_memory(model, r.train, r.batch_tokens, train.size());
  watch.say(fmt::format(
      "model: {} parameters ({}); memory: about {} MiB ({} parameters and moments, "
      "{} activations, {} loss, {} program and text)",
      grouped(parameter_count(model)), model.preset, memory.total() >> 20, memory.parameters >> 20,
      memory.activations >> 20, memory.loss >> 20, memory.program >> 20));
  run.curve_score = {"bleu", "BLEU"};
  return run.train(model, translation_task(model, training), r.train, watch);
}

}  // namespace qkv

#include "qkv/train/translation.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/eval/bleu.h"
#include "qkv/systems/translation_decoding.h"
#include "qkv/systems/translation_tokens.h"

namespace qkv {
namespace {

std::int64_t target_length(const TokenPairs& pairs, std::int64_t i) {
  return static_cast<std::int64_t>(pairs.target[static_cast<std::size_t>(i)].size()) + 1;  // <eos>
}

std::vector<ExampleLength> lengths_of(const TokenPairs& pairs) {
  std::vector<ExampleLength> lengths;
  for (std::int64_t i = 0; i < pairs.size(); ++i) {
    const auto source = static_cast<std::int64_t>(pairs.source[static_cast<std::size_t>(i)].size());
    lengths.push_back({.source = source + 1, .target = target_length(pairs, i)});
  }
  return lengths;
}

Validation validate_translation(const TranslationModel& model, const TranslationTraining& t) {
  const BatchLoss loss = evaluate_loss(model, t.valid, t.loss, t.batches.max_tokens);
  const double tokens = static_cast<double>(std::max<std::int64_t>(1, loss.tokens));
  Validation v;
  v.loss = loss.nll_sum / tokens;
  v.score = -v.loss;
  v.text = fmt::format("loss {:.4f}  accuracy {:.1f} %", v.loss,
                       100 * static_cast<double>(loss.correct) / tokens);
  const auto count = static_cast<std::size_t>(std::min(t.decode_pairs, t.valid.size()));
  if (count == 0) return v;
  const std::vector<std::string> output =
      translate_tokens(model, std::span(t.valid.source).first(count),
                       {.search = {.beam = 1, .begin = target_begin(model, model.defaults)}});
  const BleuReport bleu =
      corpus_bleu(output, std::span<const std::string>(t.valid_references).first(count),
                  {.tokeniser = bleu_tokeniser(t.bleu_tokeniser), .lower = t.bleu_lower});
  v.score = bleu.score;
  v.text += fmt::format("  BLEU {:.2f}", bleu.score);
  v.metrics = nlohmann::json{{"bleu", bleu.score}}.dump();
  return v;
}

}  // namespace

BatchLoss evaluate_loss(const TranslationModel& model, const TokenPairs& pairs,
                        const CrossEntropyOptions& options, std::int64_t max_tokens) {
  const NoRecording off;
  const TranslationTokens tokens = model.tokens();
  BatchLoss sum;
  for (const auto& examples : plan_in_order(lengths_of(pairs), max_tokens)) {
    sum += batch_loss(model.loss(pack(pairs, examples, tokens), options));
  }
  return sum;
}

TrainTask translation_task(TranslationModel& model, const TranslationTraining& training) {
  TrainTask task;
  task.plan = [&training, lengths = lengths_of(training.train)](std::int64_t epoch) {
    return plan_epoch(lengths, training.batches, epoch);
  };
  task.tokens = [&training](std::span<const std::int64_t> examples) {
    std::int64_t tokens = 0;
    for (std::int64_t i : examples) tokens += target_length(training.train, i);
    return tokens;
  };
  task.loss = [&model, &training, around = model.tokens()](std::span<const std::int64_t> examples,
                                                           double scale) {
    CrossEntropyOptions options = training.loss;
    options.scale = scale;
    return batch_loss(model.loss(pack(training.train, examples, around), options));
  };
  task.validate = [&model, &training] { return validate_translation(model, training); };
  task.save = task.keep = [&model](const std::filesystem::path& folder) {
    save_translation_model(model, folder);
  };
  return task;
}

MemoryEstimate training_memory(const TranslationModel& model, const TrainOptions& options,
                               std::int64_t batch_tokens, std::int64_t pairs,
                               const Trainable& trainable) {
  const std::int64_t trained = trained_count(model, trainable);
  const std::int64_t frozen = parameter_count(model) - trained;
  const bool adam = options.optimiser.kind == OptimiserOptions::Kind::adam;
  // Weights, gradients, two moments, and the transposed copies for the backward products; then what
  // averaging keeps, with the two copies that live during a validation.
  std::int64_t copies = adam ? 5 : 3;
  if (options.optimiser.ema > 0) copies += 1;
  if (options.average_last > 0) copies += options.average_last + 1;
  if (options.average_last > 0 || options.optimiser.ema > 0) copies += 1;
  MemoryEstimate e;
  e.parameters = 4 * (copies * trained + 2 * frozen);  // these have their transposed copies alone
  std::visit(
      [&](const auto& network) {
        const auto& c = network.config;
        e.activations = 4 * batch_tokens * kept_per_token(c);
        e.loss = (std::int64_t{8} << 20) + 4 * c.target_vocabulary * c.width +
                 4 * batch_tokens * 2 * c.width;
      },
      model.network);
  // Measured: 50 MiB stand before the first pair (oneDNN's generated code, libraries, what training
  // the tokeniser left); a pair of 14 + 14 tokens takes about 400 bytes as text and as numbers.
  e.program = (std::int64_t{50} << 20) + 400 * pairs;
  return e;
}

}  // namespace qkv

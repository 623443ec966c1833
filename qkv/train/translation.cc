#include "qkv/train/translation.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/eval/bleu.h"
#include "qkv/systems/translation_decoding.h"

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

BatchLoss batch_loss(const TranslationModel& model, const TranslationBatch& batch,
                     const CrossEntropyOptions& options) {
  const CrossEntropyResult r = model.loss(batch, options);
  return {.loss_sum = r.loss_sum,
          .nll_sum = r.nll_sum,
          .tokens = r.tokens,
          .correct = r.correct,
          .loss = r.loss};
}

Validation validate_translation(const TranslationModel& model, const TranslationTraining& t,
                                std::int32_t bos, std::int32_t eos) {
  const BatchLoss loss = evaluate_loss(model, t.valid, t.loss, t.batches.max_tokens, bos, eos);
  const double tokens = static_cast<double>(std::max<std::int64_t>(1, loss.tokens));
  Validation v;
  v.loss = loss.nll_sum / tokens;
  v.score = -v.loss;
  v.text = fmt::format("loss {:.4f}  accuracy {:.1f} %", v.loss,
                       100 * static_cast<double>(loss.correct) / tokens);
  const auto count = static_cast<std::size_t>(std::min(t.decode_pairs, t.valid.size()));
  if (count == 0) return v;
  const std::vector<std::string> output =
      translate_tokens(model, std::span(t.valid.source).first(count), {.search = {.beam = 1}});
  const BleuReport bleu =
      corpus_bleu(output, std::span<const std::string>(t.valid_references).first(count),
                  {.tokeniser = bleu_tokeniser(t.bleu_tokeniser), .lower = t.bleu_lower});
  v.score = bleu.score;
  v.text += fmt::format("  BLEU {:.2f}", bleu.score);
  v.metrics = nlohmann::json{{"bleu", bleu.score}}.dump();
  return v;
}

}  // namespace

TranslationBatch pack(const TokenPairs& pairs, std::span<const std::int64_t> index,
                      std::int32_t bos, std::int32_t eos) {
  TranslationBatch batch;
  std::vector<std::int64_t> source_lengths, target_lengths;
  for (std::int64_t i : index) {
    const auto& source = pairs.source[static_cast<std::size_t>(i)];
    const auto& target = pairs.target[static_cast<std::size_t>(i)];
    batch.source.insert(batch.source.end(), source.begin(), source.end());
    batch.source.push_back(eos);
    batch.target_in.push_back(bos);
    batch.target_in.insert(batch.target_in.end(), target.begin(), target.end());
    batch.target_out.insert(batch.target_out.end(), target.begin(), target.end());
    batch.target_out.push_back(eos);
    source_lengths.push_back(static_cast<std::int64_t>(source.size()) + 1);
    target_lengths.push_back(static_cast<std::int64_t>(target.size()) + 1);
  }
  batch.source_segments = Segments(source_lengths);
  batch.target_segments = Segments(target_lengths);
  return batch;
}

BatchLoss evaluate_loss(const TranslationModel& model, const TokenPairs& pairs,
                        const CrossEntropyOptions& options, std::int64_t max_tokens,
                        std::int32_t bos, std::int32_t eos) {
  const NoRecording off;
  BatchLoss sum;
  for (const auto& examples : plan_in_order(lengths_of(pairs), max_tokens)) {
    const BatchLoss part = batch_loss(model, pack(pairs, examples, bos, eos), options);
    sum.loss_sum += part.loss_sum;
    sum.nll_sum += part.nll_sum;
    sum.tokens += part.tokens;
    sum.correct += part.correct;
  }
  return sum;
}

TrainTask translation_task(TranslationModel& model, const TranslationTraining& training,
                           const std::filesystem::path& directory) {
  const std::int32_t bos = model.target.bos(), eos = model.target.eos();
  TrainTask task;
  task.plan = [&training, lengths = lengths_of(training.train)](std::int64_t epoch) {
    return plan_epoch(lengths, training.batches, epoch);
  };
  task.tokens = [&training](std::span<const std::int64_t> examples) {
    std::int64_t tokens = 0;
    for (std::int64_t i : examples) tokens += target_length(training.train, i);
    return tokens;
  };
  task.loss = [&model, &training, bos, eos](std::span<const std::int64_t> examples, double scale) {
    CrossEntropyOptions options = training.loss;
    options.scale = scale;
    return batch_loss(model, pack(training.train, examples, bos, eos), options);
  };
  task.validate = [&model, &training, bos, eos] {
    return validate_translation(model, training, bos, eos);
  };
  task.save = [&model, directory] { save_translation_model(model, directory); };
  task.keep = [&model](const std::filesystem::path& folder) {
    save_translation_model(model, folder);
  };
  return task;
}

namespace {

/// Numbers that the forward pass keeps for each token of a batch, with the gradients beside them.
std::int64_t kept_per_token(const Transformer::Config& c) {
  // In rows of width C. Encoder layer: q, k, v, attention, W_O, sum, norm (7), feed-forward output,
  // sum, norm (3) and the hidden layer; a decoder layer has a cross-attention more, whose k and v
  // are rows of the source. The backward pass holds about one layer's gradients.
  const std::int64_t encoder = c.encoder_layers * (10 * c.width + c.feed_forward);
  const std::int64_t decoder = c.decoder_layers * (17 * c.width + c.feed_forward);
  return encoder + decoder + 10 * c.width + 2 * c.feed_forward;
}

std::int64_t kept_per_token(const RnnTranslator::Config& c) {
  // A layer in one direction: products and gates (G each), inner, hidden and out (3); in the
  // decoder also what the steps hand on (3). Its loop keeps queries, contexts and their products
  // (G + 4). The backward pass holds one layer's products and states.
  const std::int64_t gates = gates_of(c.cell), directions = c.bidirectional ? 2 : 1;
  const std::int64_t encoder = c.layers * directions * (2 * gates + 4) * c.width;
  const std::int64_t decoder = c.layers * (2 * gates + 6) * c.width;
  return encoder + decoder + (2 * gates + 8) * c.width + 4 * c.embedding;
}

}  // namespace

MemoryEstimate training_memory(const TranslationModel& model, const TrainOptions& options,
                               std::int64_t batch_tokens, std::int64_t pairs) {
  const std::int64_t parameters = parameter_count(model);
  const bool adam = options.optimiser.kind == OptimiserOptions::Kind::adam;
  // Weights, gradients, two moments, and the transposed copies for the backward products; then what
  // averaging keeps, with the two copies that live during a validation.
  std::int64_t copies = adam ? 5 : 3;
  if (options.optimiser.ema > 0) copies += 1;
  if (options.average_last > 0) copies += options.average_last + 1;
  if (options.average_last > 0 || options.optimiser.ema > 0) copies += 1;
  MemoryEstimate e;
  e.parameters = 4 * copies * parameters;
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

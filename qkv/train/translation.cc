#include "qkv/train/translation.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/decode/rnn_decoder.h"
#include "qkv/eval/bleu.h"

namespace qkv {
namespace {

constexpr std::array<std::string_view, 4> kPresets = {"tiny", "small", "base", "page"};

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

std::span<const std::string_view> translation_preset_names() { return kPresets; }

namespace {

/// What recurrent translators have in common here: Adam with a bounded gradient, which is what
/// keeps them from blowing up, and a rate that falls after a short warm-up.
void use_recurrent_recipe(TranslationPreset& p) {
  RnnTranslator::Config& m = p.rnn;
  TrainOptions& t = p.train;
  t.optimiser.clip_norm = 1;
  t.schedule = {.kind = Schedule::Kind::inverse_sqrt, .rate = 2e-3, .warm_up = 1000};
  t.accumulate = 1;
  if (p.name == "tiny") {
    m.embedding = 128;
    m.width = 256;
    m.layers = 1;
    m.bidirectional = true;
    m.dropout = m.embedding_dropout = 0.3;
  } else if (p.name == "small") {
    m.embedding = 256;
    m.width = 512;
    m.bidirectional = true;
    m.dropout = m.embedding_dropout = 0.2;
    t.schedule.rate = 1e-3;
  } else if (p.name == "base") {
    // The sizes of Bahdanau et al. 2015, without maxout.
    m.embedding = 620;
    m.width = m.attention_width = 1000;
    m.layers = 1;
    m.cell = Cell::gru_reset_before;
    m.bidirectional = true;
    m.embedding_dropout = 0.1;
    t.schedule.rate = 5e-4;
    t.schedule.warm_up = 4000;
  } else {
    // The text book's recipe (Dive into Deep Learning): width 32, two layers, rate 0.005.
    m.max_length = 10;
    t.schedule = {.kind = Schedule::Kind::constant, .rate = 5e-3, .warm_up = 0};
    t.epochs = 250;
  }
}

}  // namespace

TranslationPreset translation_preset(std::string_view name, Architecture architecture) {
  TranslationPreset p;
  p.name = name;
  p.architecture = architecture;
  Transformer::Config& m = p.model;
  TrainOptions& t = p.train;
  t.optimiser.eps = 1e-8;
  t.schedule = {.kind = Schedule::Kind::inverse_sqrt, .rate = 5e-3, .warm_up = 2000};
  p.tokeniser = {.kind = TokeniserOptions::Kind::bpe, .vocabulary_size = 10000};
  if (name == "tiny") {
    // The text-only baseline of Wu et al. (ACL 2021) on Multi30k, in fairseq's conventions.
    m.width = 128;
    m.heads = 4;
    m.feed_forward = 256;
    m.encoder_layers = m.decoder_layers = 4;
    m.sinusoid = Sinusoid::blocks;
    m.dropout = 0.3;
    t.optimiser.clip_norm = 25;
    t.accumulate = 2;  // 8192 tokens an update
    t.steps = 8000;
    t.patience = 10;
    t.average_last = 10;
  } else if (name == "small") {
    m.width = 256;
    m.heads = 4;
    m.feed_forward = 1024;
    m.encoder_layers = m.decoder_layers = 3;
    m.dropout = 0.2;
    t.optimiser.clip_norm = 5;
    t.schedule.rate = 2e-3;
    t.schedule.warm_up = 4000;
    t.steps = 20000;
    t.patience = 10;
    t.average_last = 5;
  } else if (name == "base") {
    // Vaswani et al. 2017, base: rate = 512^{−½}·4000^{−½}.
    m.width = 512;
    m.heads = 8;
    m.feed_forward = 2048;
    m.encoder_layers = m.decoder_layers = 6;
    m.dropout = 0.1;
    t.optimiser.eps = 1e-9;
    t.schedule.rate = 6.987712e-4;
    t.schedule.warm_up = 4000;
    t.accumulate = 6;  // about 25k tokens an update
    t.steps = 100000;
    t.average_last = 5;
    p.tokeniser.vocabulary_size = 32000;
  } else if (name == "page") {
    // The walk-through's recipe (systems.md S5b): words, at most 10 of them, no W_O.
    m.width = 512;
    m.heads = 8;
    m.feed_forward = 2048;
    m.encoder_layers = m.decoder_layers = 6;
    m.positions = PositionKind::learned;
    m.max_length = 10;
    m.norm_eps = 1e-8;
    m.dropout = 0.1;
    m.attention_dropout = 0.1;
    m.share_embeddings = false;
    m.tie_output = false;
    m.output_bias = true;
    m.attention_output = false;
    m.relu_projections = true;
    t.schedule = {.kind = Schedule::Kind::constant, .rate = 1e-4, .warm_up = 0};
    t.epochs = 20;
    p.tokeniser = TokeniserOptions::page_variant();
    p.joint = false;
    p.batch_tokens = 320;  // 32 pairs of at most 10
    p.max_length = 9;      // 10 with </S>
  } else {
    fail("preset '{}' is not one of tiny, small, base, page", name);
  }
  if (architecture == Architecture::rnn) use_recurrent_recipe(p);
  return p;
}

std::vector<std::string> translate_tokens(const TranslationModel& model,
                                          std::span<const Tokens> sources,
                                          BatchTranslatorOptions options) {
  set_special_tokens(model, options.search);
  const auto decoder = decoder_of(model, {.source_eos = model.source.eos()});
  std::vector<std::string> lines;
  for (const Decoded& t : BatchTranslator(*decoder, options).translate(sources)) {
    lines.push_back(model.target.decode(t.best.front().tokens));
  }
  return lines;
}

std::unique_ptr<StepModel> decoder_of(const TranslationModel& model,
                                      const TransformerDecoderOptions& options) {
  if (model.architecture == Architecture::rnn) {
    if (options.cache != CacheOptions{}) {
      fail("a recurrent translator keeps states, no cache with a precision or a window");
    }
    return std::make_unique<RnnDecoder>(model.rnn, options.source_eos);
  }
  return std::make_unique<TransformerDecoder>(model.transformer, options);
}

void set_special_tokens(const TranslationModel& model, SearchOptions& options) {
  options.bos = model.target.bos();
  options.eos = model.target.eos();
  options.suppressed = {model.target.pad(), model.target.bos(), model.target.unk()};
}

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
  const std::int64_t gates = kernels::gates_of(c.cell), directions = c.bidirectional ? 2 : 1;
  const std::int64_t encoder = c.layers * directions * (2 * gates + 4) * c.width;
  const std::int64_t decoder = c.layers * (2 * gates + 6) * c.width;
  return encoder + decoder + (2 * gates + 8) * c.width + 4 * c.embedding;
}

}  // namespace

MemoryEstimate training_memory(const TranslationModel& model, const TrainOptions& options,
                               std::int64_t batch_tokens, std::int64_t pairs) {
  const bool rnn = model.architecture == Architecture::rnn;
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
  const std::int64_t width = rnn ? model.rnn.config.width : model.transformer.config.width;
  const std::int64_t vocabulary =
      rnn ? model.rnn.config.target_vocabulary : model.transformer.config.target_vocabulary;
  e.activations =
      4 * batch_tokens *
      (rnn ? kept_per_token(model.rnn.config) : kept_per_token(model.transformer.config));
  e.loss = (std::int64_t{8} << 20) + 4 * vocabulary * width + 4 * batch_tokens * 2 * width;
  // Measured: 50 MiB stand before the first pair (oneDNN's generated code, libraries, what training
  // the tokeniser left); a pair of 14 + 14 tokens takes about 400 bytes as text and as numbers.
  e.program = (std::int64_t{50} << 20) + 400 * pairs;
  return e;
}

}  // namespace qkv

#include "bench/run/train.h"

#include <fmt/core.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/parallel.h"
#include "qkv/kernels/peak.h"
#include "qkv/train/optimiser.h"
#include "qkv/train/translation.h"

namespace qkv::bench {
namespace {

/// The shapes of a training step, as the peer scripts in bench/peers use them.
struct StepShape {
  std::int64_t vocabulary, tokens, length;
};
StepShape shape_of(TranslatorPreset preset) {
  if (preset == TranslatorPreset::base) return {32000, 1024, 32};
  return {10000, 4088, 14};
}

/// Operations of the matrix products of one training step: forward, and twice as many backward.
double step_operations(const Transformer::Config& c, std::int64_t tokens, std::int64_t length) {
  const auto d = static_cast<double>(c.width), f = static_cast<double>(c.feed_forward);
  const auto l = static_cast<double>(length), v = static_cast<double>(c.target_vocabulary);
  const double encoder = 2 * (4 * d * d + 2 * d * f) + 4 * l * d;
  const double decoder = 2 * (8 * d * d + 2 * d * f) + 2 * 4 * l * d;
  return 3 * static_cast<double>(tokens) *
         (static_cast<double>(c.encoder_layers) * encoder +
          static_cast<double>(c.decoder_layers) * decoder + 2 * d * v);
}

}  // namespace

Report train(const TrainOptions& o, const Say&) {
  const StepShape shape = shape_of(o.preset);
  const std::string name(name_of(o.preset));
  const TranslationRecipe recipe = translation_recipe(name);
  auto config = std::get<Transformer::Config>(recipe.network);
  config.source_vocabulary = config.target_vocabulary = shape.vocabulary;
  Transformer model = Transformer::make(1, config);
  Optimiser optimiser(model, recipe.train.optimiser);
  const std::int64_t sentences = shape.tokens / shape.length, tokens = sentences * shape.length;
  const std::vector<std::int64_t> lengths(static_cast<std::size_t>(sentences), shape.length);
  TranslationBatch batch;
  batch.source_segments = batch.target_segments = Segments(lengths);
  std::vector<double> seconds, shares;
  std::int64_t allocations = 0;
  for (int step = 0; step < o.steps + 2; ++step) {
    Philox random(key_of(9, step));
    for (auto* ids : {&batch.source, &batch.target_in, &batch.target_out}) {
      *ids = random_ids(tokens, shape.vocabulary, random);
    }
    const double peak = kernels::measure_fma_peak(threads());
    const std::int64_t allocated = pool_statistics().system_allocations;
    const double taken = seconds_of([&] {
      optimiser.clear_gradients();
      Tape tape;
      Tensor loss;
      {
        const Recording on(tape, key_of(1, step));
        loss =
            model.loss(batch, {.smoothing = 0.1, .scale = 1.0 / static_cast<double>(tokens)}).loss;
      }
      tape.backward(loss);
      optimiser.step(1e-3);
    });
    if (step < 2) continue;
    seconds.push_back(taken);
    shares.push_back(step_operations(config, tokens, shape.length) / taken / peak);
    allocations += pool_statistics().system_allocations - allocated;
  }
  const double s = median(seconds), rate = static_cast<double>(tokens) / s;
  return {.json = {{"bench", "train"},
                   {"preset", name},
                   {"threads", threads()},
                   {"seconds_a_step", s},
                   {"fastest", fastest(seconds)},
                   {"target_tokens_a_second", rate},
                   {"share_of_fma_peak", median(shares)},
                   {"gflop_a_step", step_operations(config, tokens, shape.length) / 1e9},
                   {"parameters", parameter_count(model)},
                   {"tensor_allocations_after_warm_up", allocations},
                   {"peak_tensor_mib", pool_statistics().peak_bytes_in_use >> 20}},
          .text = fmt::format("train {}: {:.3f} s a step, {:.0f} target tokens/s, {:.1f} % of the "
                              "FMA peak, {} threads\n",
                              name, s, rate, 100 * median(shares), threads())};
}

}  // namespace qkv::bench

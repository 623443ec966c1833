// qkv bench: speed as a share of the FMA peak measured in the same run.
#include "app/bench/bench.h"

#include <algorithm>
#include <chrono>

#include "app/action.h"
#include "app/output.h"
#include <nlohmann/json.hpp>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/kernels/peak.h"
#include "qkv/tensor/tensor.h"
#include "qkv/train/optimiser.h"
#include "qkv/train/translation.h"

namespace qkv::app {
namespace {

using Clock = std::chrono::steady_clock;

struct Bench {
  std::string preset = "tiny";
  int steps = 9;
};

/// The shapes of a training step, as the peer scripts in bench/peers use them.
struct Shape {
  std::int64_t vocabulary, tokens, length;
};
Shape shape_of(const std::string& preset) {
  if (preset == "tiny" || preset == "small") return {10000, 4088, 14};
  if (preset == "base") return {32000, 1024, 32};
  fail("bench: preset '{}' is not one of tiny, small, base", preset);
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

void bench_train(const Bench& bench, Program& program) {
  const Shape shape = shape_of(bench.preset);
  TranslationPreset preset = translation_preset(bench.preset);
  preset.model.source_vocabulary = preset.model.target_vocabulary = shape.vocabulary;
  Transformer model = Transformer::make(preset.model, 1);
  Optimiser optimiser(model, preset.train.optimiser);
  const std::int64_t sentences = shape.tokens / shape.length, tokens = sentences * shape.length;
  const std::vector<std::int64_t> lengths(static_cast<std::size_t>(sentences), shape.length);
  TranslationBatch batch;
  batch.source_segments = batch.target_segments = Segments(lengths);
  std::vector<double> seconds, shares;
  std::int64_t allocations = 0;
  for (int step = 0; step < bench.steps + 2; ++step) {
    Philox random(key_of(9, step));
    for (auto* ids : {&batch.source, &batch.target_in, &batch.target_out}) {
      ids->resize(static_cast<std::size_t>(tokens));
      for (std::int32_t& id : *ids) {
        id = static_cast<std::int32_t>(
            4 + random.below(static_cast<std::uint64_t>(shape.vocabulary - 4)));
      }
    }
    const double peak = kernels::measure_fma_peak(threads());
    const std::int64_t allocated = pool_statistics().system_allocations;
    const Clock::time_point start = Clock::now();
    optimiser.clear_gradients();
    Tape tape;
    Tensor loss;
    {
      const Recording on(tape, key_of(1, step));
      loss = model.loss(batch, {.smoothing = 0.1, .scale = 1.0 / static_cast<double>(tokens)}).loss;
    }
    tape.backward(loss);
    optimiser.step(1e-3);
    const double taken = std::chrono::duration<double>(Clock::now() - start).count();
    if (step < 2) continue;
    seconds.push_back(taken);
    shares.push_back(step_operations(preset.model, tokens, shape.length) / taken / peak);
    allocations += pool_statistics().system_allocations - allocated;
  }
  const double s = median(seconds);
  const nlohmann::json result = {
      {"bench", "train"},
      {"preset", bench.preset},
      {"threads", threads()},
      {"seconds_a_step", s},
      {"fastest", *std::min_element(seconds.begin(), seconds.end())},
      {"target_tokens_a_second", static_cast<double>(tokens) / s},
      {"share_of_fma_peak", median(shares)},
      {"gflop_a_step", step_operations(preset.model, tokens, shape.length) / 1e9},
      {"parameters", parameter_count(model)},
      {"tensor_allocations_after_warm_up", allocations},
      {"peak_tensor_mib", pool_statistics().peak_bytes_in_use >> 20}};
  if (program.json) {
    print_output("{}\n", result.dump());
  } else {
    print_output(
        "train {}: {:.3f} s a step, {:.0f} target tokens/s, {:.1f} % of the FMA peak, {} threads\n",
        bench.preset, s, static_cast<double>(tokens) / s, 100 * median(shares), threads());
  }
}

}  // namespace

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void add_bench(Program& program) {
  CLI::App* bench = program.cli.add_subcommand("bench", "Measure speed on this machine");
  bench->require_subcommand(1);
  auto settings = std::make_shared<Bench>();
  CLI::App* c =
      bench->add_subcommand("train", "A training step of a translator on random sentences");
  c->add_option("--preset", settings->preset, "tiny, small or base")->capture_default_str();
  c->add_option("--steps", settings->steps, "Steps measured")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_flag("--json", program.json, "Print JSON");
  add_threads(*c, program);
  c->callback([settings, &program] {
    apply_threads(program);
    bench_train(*settings, program);
  });
  add_bench_action(*bench, program);
  add_bench_additive(*bench, program);
  add_bench_rnn(*bench, program);
  add_bench_decode(*bench, program);
  add_bench_generate(*bench, program);
  add_bench_label(*bench, program);
  add_bench_linear(*bench, program);
  add_bench_attention(*bench, program);
}

}  // namespace qkv::app

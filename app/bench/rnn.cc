// qkv bench rnn: a training step of a GRU translator with Bahdanau attention at the shapes of
// bench/peers/torch_rnn.py, and where its time goes.
#include <algorithm>
#include <chrono>

#include "app/bench/bench.h"
#include "app/output.h"
#include <nlohmann/json.hpp>

#include "qkv/autograd/tape.h"
#include "qkv/base/parallel.h"
#include "qkv/kernels/peak.h"
#include "qkv/models/rnn_translator.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"
#include "qkv/train/optimiser.h"

namespace qkv::app {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchRnn {
  std::int64_t vocabulary = 10000, embedding = 256, width = 512, batch = 64, length = 14;
  int steps = 5;
};

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Operations of the matrix products of a part, forward and backward.
struct Part {
  const char* name;
  double operations;
  std::vector<double> seconds = {};
};

TranslationBatch random_batch(const BenchRnn& b, int step) {
  TranslationBatch batch;
  const std::vector<std::int64_t> lengths(static_cast<std::size_t>(b.batch), b.length);
  batch.source_segments = batch.target_segments = Segments(lengths);
  Philox random(key_of(9, step));
  for (auto* ids : {&batch.source, &batch.target_in, &batch.target_out}) {
    ids->resize(static_cast<std::size_t>(b.batch * b.length));
    for (std::int32_t& id : *ids) {
      id =
          static_cast<std::int32_t>(4 + random.below(static_cast<std::uint64_t>(b.vocabulary - 4)));
    }
  }
  return batch;
}

/// y and the gradients of everything below it, for a gradient of ones above.
template <class F>
double time_of(F&& f) {
  const Clock::time_point start = Clock::now();
  Tape tape;
  Tensor y;
  {
    const Recording on(tape);
    y = f();
  }
  if (y.count() == 1) {
    tape.backward(y);
  } else {
    tape.backward(y, Tensor::full(y.shape(), 1e-3));
  }
  return since(start);
}

void bench_rnn(const BenchRnn& b, Program& program) {
  RnnTranslator model = RnnTranslator::make({.source_vocabulary = b.vocabulary,
                                             .target_vocabulary = b.vocabulary,
                                             .embedding = b.embedding,
                                             .width = b.width,
                                             .layers = 1,
                                             .dropout = 0.0},
                                            1);
  Optimiser optimiser(model, {.clip_norm = 1});
  const auto t = static_cast<double>(b.batch * b.length), e = static_cast<double>(b.embedding);
  const auto h = static_cast<double>(b.width), v = static_cast<double>(b.vocabulary);
  const double three = 3 * 2 * t;  // forward and twice as many backward, two a multiply-add
  Part encoder{"encoder", three * (3 * h * e + 3 * h * h)};
  Part decoder{"decoder", three * (3 * h * e + 3 * h * h + 3 * h * h + 2 * h * h)};
  Part loss{"vocabulary", three * h * v};
  Part update{"update", 0};
  std::vector<double> whole, shares;
  std::vector<double> peaks;
  for (int step = -2; step < b.steps; ++step) {
    const TranslationBatch batch = random_batch(b, step + 2);
    const double scale = 1.0 / t;
    const double peak = kernels::measure_fma_peak(threads());
    optimiser.clear_gradients();
    Clock::time_point start = Clock::now();
    (void)time_of([&] { return model.loss(batch, {.scale = scale}).loss; });
    const double passes = since(start);
    start = Clock::now();
    optimiser.step(1e-3);
    const double updating = since(start);
    optimiser.clear_gradients();
    // The same work in parts; what is above and below a part is given.
    RnnMemory memory = model.encode(batch.source, batch.source_segments);
    const double encoding = time_of([&] {
      const RnnMemory m = model.encode(batch.source, batch.source_segments);
      return m.rows;
    });
    memory.rows = parameter(memory.rows.clone());
    const double decoding =
        time_of([&] { return model.decode(batch.target_in, batch.target_segments, memory); });
    const Tensor hidden =
        parameter(model.decode(batch.target_in, batch.target_segments, memory).clone());
    const double losing = time_of([&] {
      return cross_entropy(hidden, model.output.weight, VocabularyMatrix::projection,
                           model.output.bias, batch.target_out, {.scale = scale})
          .loss;
    });
    if (step < 0) continue;
    whole.push_back(passes + updating);
    peaks.push_back(peak);
    encoder.seconds.push_back(encoding);
    decoder.seconds.push_back(decoding);
    loss.seconds.push_back(losing);
    update.seconds.push_back(updating);
  }
  const double peak = median(peaks), seconds = median(whole);
  const double operations = encoder.operations + decoder.operations + loss.operations;
  nlohmann::json parts = nlohmann::json::array();
  for (const Part* p : {&encoder, &decoder, &loss, &update}) {
    const double s = median(p->seconds);
    parts.push_back({{"part", p->name},
                     {"seconds", s},
                     {"gflop", p->operations / 1e9},
                     {"share_of_fma_peak", p->operations / s / peak}});
  }
  if (program.json) {
    const nlohmann::json result = {{"bench", "rnn"},
                                   {"threads", threads()},
                                   {"embedding", b.embedding},
                                   {"width", b.width},
                                   {"seconds_a_step", seconds},
                                   {"fastest", *std::min_element(whole.begin(), whole.end())},
                                   {"gflop_a_step", operations / 1e9},
                                   {"gflops_peak", peak / 1e9},
                                   {"seconds_at_peak", operations / peak},
                                   {"share_of_fma_peak", operations / seconds / peak},
                                   {"parts", parts},
                                   {"parameters", parameter_count(model)}};
    print_output("{}\n", result.dump());
    return;
  }
  print_output(
      "rnn e{} h{}: {:.1f} ms a step, {:.2f} GFLOP of products, {:.1f} ms at the peak of {:.0f} "
      "GFLOP/s ({:.0f} % of it), {} threads\n",
      b.embedding, b.width, 1e3 * seconds, operations / 1e9, 1e3 * operations / peak, peak / 1e9,
      100 * operations / seconds / peak, threads());
  for (const auto& p : parts) {
    print_output("  {:<11}{:8.1f} ms  {:6.2f} GFLOP  {:3.0f} % of the peak\n",
                 p["part"].get<std::string>(), 1e3 * p["seconds"].get<double>(),
                 p["gflop"].get<double>(), 100 * p["share_of_fma_peak"].get<double>());
  }
}

}  // namespace

void add_bench_rnn(CLI::App& bench, Program& program) {
  auto b = std::make_shared<BenchRnn>();
  CLI::App* c = bench.add_subcommand("rnn", "A training step of a GRU translator with attention");
  c->add_option("--vocabulary", b->vocabulary, "Words on either side")
      ->check(CLI::Range(8, 1'000'000))
      ->capture_default_str();
  c->add_option("--embedding", b->embedding, "Width of the embeddings")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_option("--width", b->width, "Width of the cells")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_option("--batch", b->batch, "Sentences")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_option("--length", b->length, "Tokens a sentence, both sides")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  c->add_option("--steps", b->steps, "Steps measured")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_flag("--json", program.json, "Print JSON");
  add_threads(*c, program);
  c->callback([b, &program] {
    apply_threads(program);
    bench_rnn(*b, program);
  });
}

}  // namespace qkv::app

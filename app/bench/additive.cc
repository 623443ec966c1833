// qkv bench additive: the whole of additive attention at the shapes of
// bench/peers/torch_additive.py: both projections, the scores, softmax and the product with the
// values, forward alone and with the gradients of all inputs and weights.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "app/bench/bench.h"
#include "app/output.h"
#include <nlohmann/json.hpp>

#include "qkv/attention/attend.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/parallel.h"
#include "qkv/base/random.h"
#include "qkv/kernels/peak.h"

namespace qkv::app {
namespace {

using Clock = std::chrono::steady_clock;

/// Sequences, query rows and keys of each; C hidden units, as wide as queries, keys and values.
struct Case {
  std::int64_t batch, queries, keys;
};
// A decoding step; three sizes the peer can hold; one at which it would need 34 GB.
constexpr Case kCases[] = {{64, 1, 50}, {64, 10, 10}, {64, 50, 50}, {8, 256, 256}, {1, 4096, 4096}};

struct BenchAdditive {
  std::int64_t hidden = 256;
  int runs = 9;
};

Tensor random_numbers(const Shape& shape, std::uint64_t key, double size = 1.0) {
  Philox random(key_of(23, key));
  Tensor x = Tensor::empty(shape);
  for (float& value : x.values()) value = static_cast<float>(size * random.normal());
  return parameter(x);
}

struct Timed {
  double seconds = 0, fastest = 0;
  /// What the peak rate of fused multiply-adds could have done meanwhile for each of the
  /// B·Q·K·C hyperbolic tangents of the formula.
  double multiply_adds = 0;
};

template <class Run>
Timed time_of(int runs, double elements, Run&& run) {
  std::vector<double> seconds, multiply_adds;
  for (int i = -2; i < runs; ++i) {
    const double peak = kernels::measure_fma_peak(threads(), 0.004);
    const Clock::time_point start = Clock::now();
    run();
    const double taken = std::chrono::duration<double>(Clock::now() - start).count();
    if (i < 0) continue;
    seconds.push_back(taken);
    multiply_adds.push_back(taken * peak / 2 / elements);
  }
  return {median(seconds), *std::min_element(seconds.begin(), seconds.end()),
          median(multiply_adds)};
}

nlohmann::json to_json(const Timed& t) {
  return {{"seconds", t.seconds},
          {"fastest", t.fastest},
          {"multiply_adds_of_the_peak_an_element", t.multiply_adds}};
}

void bench_additive(const BenchAdditive& b, Program& program) {
  const std::int64_t c = b.hidden;
  const double spread = 1 / std::sqrt(static_cast<double>(c));
  const Tensor query = random_numbers({c, c}, 1, spread), key = random_numbers({c, c}, 2, spread);
  const Tensor weight = random_numbers({c}, 3, spread);
  nlohmann::json rows = nlohmann::json::array();
  for (const Case& s : kCases) {
    const Segments queries(std::vector<std::int64_t>(static_cast<std::size_t>(s.batch), s.queries));
    const Segments keys(std::vector<std::int64_t>(static_cast<std::size_t>(s.batch), s.keys));
    const Attention how{.score = Additive{weight, query, key}, .mask = segments(queries, keys)};
    const Tensor q = random_numbers({s.batch * s.queries, 1, c}, 4);
    const Tensor k = random_numbers({s.batch * s.keys, 1, c}, 5);
    const Tensor v = random_numbers({s.batch * s.keys, 1, c}, 6);
    const Tensor above = random_numbers({s.batch * s.queries, 1, c}, 7);
    const auto elements = static_cast<double>(s.batch * s.queries * s.keys * c);
    const int runs = elements > 1e9 ? std::min(b.runs, 3) : b.runs;
    const Timed forward = time_of(runs, elements, [&] { (void)attend(q, k, v, how); });
    const Timed both = time_of(runs, elements, [&] {
      Tape tape;
      Tensor out;
      {
        const Recording on(tape);
        out = attend(q, k, v, how);
      }
      tape.backward(out, above);
      for (const Tensor& x : {q, k, v, query, key, weight}) clear_gradient(x);
    });
    if (!program.json) {
      print_output(
          "B{} Q{} K{} H{}: forward {:.3f} ms ({:.1f} FMAs of the peak an element), "
          "forward and backward {:.3f} ms ({:.1f})\n",
          s.batch, s.queries, s.keys, c, forward.seconds * 1e3, forward.multiply_adds,
          both.seconds * 1e3, both.multiply_adds);
      flush_output();
    }
    rows.push_back({{"batch", s.batch},
                    {"queries", s.queries},
                    {"keys", s.keys},
                    {"hidden", c},
                    {"forward", to_json(forward)},
                    {"forward_backward", to_json(both)}});
  }
  if (program.json) {
    const nlohmann::json result = {{"bench", "additive"}, {"threads", threads()}, {"cases", rows}};
    print_output("{}\n", result.dump());
  }
}

}  // namespace

void add_bench_additive(CLI::App& bench, Program& program) {
  auto b = std::make_shared<BenchAdditive>();
  CLI::App* c = bench.add_subcommand("additive", "Additive attention, projections and gradients");
  c->add_option("--hidden", b->hidden, "Hidden units, and width of queries, keys and values")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_option("--runs", b->runs, "Runs measured, of which the median counts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_flag("--json", program.json, "Print JSON");
  add_threads(*c, program);
  c->callback([b, &program] {
    apply_threads(program);
    bench_additive(*b, program);
  });
}

}  // namespace qkv::app

// qkv bench linear: what a token costs as sequences grow, under linear attention and under softmax,
// and from which length on the first is cheaper.
#include "qkv/attention/linear.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>

#include "app/bench/bench.h"
#include "app/output.h"
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "qkv/attention/attend.h"
#include "qkv/attention/cache.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/file.h"
#include "qkv/base/parallel.h"
#include "qkv/base/random.h"
#include "qkv/kernels/peak.h"
#include "qkv/view/curve.h"

namespace qkv::app {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchLinear {
  std::int64_t heads = 1, dim = 64;
  std::int64_t longest = 65536, softmax_longest = 4096;
  int runs = 7;
  std::string output;
};

Tensor random_numbers(const Shape& shape, std::uint64_t key) {
  Philox random(key_of(17, key));
  Tensor x = Tensor::empty(shape);
  for (float& value : x.values()) value = static_cast<float>(random.normal());
  return x;
}

/// The ways to compute a token that are compared.
enum Way : std::size_t { linear_all, linear_causal, softmax_all, softmax_causal, kWays };
constexpr const char* kNames[] = {"linear", "linear, causal", "softmax", "softmax, causal"};
bool is_linear(std::size_t way) { return way < softmax_all; }
bool is_causal(std::size_t way) { return way % 2 == 1; }

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();  // not measured

struct Cost {
  double forward = kNone, both = kNone;  // nanoseconds a token and head
  double share = kNone;                  // of the FMA peak, forward
};
struct Row {
  std::int64_t length = 0;
  Cost ways[kWays];
  double step = kNone, cached = kNone;  // nanoseconds a token and head, one token at a time
};

template <class F>
double nanoseconds(F&& f) {
  const Clock::time_point start = Clock::now();
  f();
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

/// Operations of the matrix products of the forward pass, a token and head: what the mathematics
/// needs, not what a kernel does beyond it.
double operations(std::size_t way, double length, double dim) {
  constexpr double kChunk = 64;
  const double visible = is_causal(way) ? (length + 1) / 2 : length;  // keys a row, on average
  if (!is_linear(way)) return 4 * visible * dim;
  const double weights = 2 * (2 * dim + 1), sums = 4 * dim * (dim + 1);  // a key; all of them
  if (length <= kChunk) return std::min(weights * visible, sums);
  return sums + (is_causal(way) ? weights * (kChunk + 1) / 2 : 0);
}

/// All ways at one length, in turns, so that a change of the clock meets all of them.
void costs_of(const BenchLinear& b, Row& row) {
  // Short sequences stand in a batch, as they would in use.
  const std::int64_t count = std::max<std::int64_t>(1, 4096 / row.length);
  const std::int64_t tokens = count * row.length;
  const Segments batch(std::vector<std::int64_t>(static_cast<std::size_t>(count), row.length));
  const Mask masks[2] = {segments(batch), segments(batch) & causal()};
  Tensor x[3];
  for (std::uint64_t i = 0; i < 3; ++i)
    x[i] = parameter(random_numbers({tokens, b.heads, b.dim}, i));
  const Tensor gradient = random_numbers({tokens, b.heads, b.dim}, 4);
  const auto forward = [&](std::size_t way) {
    return is_linear(way)
               ? linear_attend(x[0], x[1], x[2], {.causal = is_causal(way), .segments = batch})
               : attend(x[0], x[1], x[2], {.mask = masks[is_causal(way)]});
  };
  const auto both = [&](std::size_t way) {
    Tape tape;
    Tensor out;
    {
      const Recording on(tape);
      out = forward(way);
    }
    tape.backward(out, gradient);
    for (const Tensor& input : x) clear_gradient(input);
  };
  const auto units = static_cast<double>(tokens * b.heads);
  std::vector<double> alone[kWays], together[kWays], shares[kWays];
  for (int run = -1; run < b.runs; ++run) {  // the first one warms up
    for (std::size_t way = 0; way < kWays; ++way) {
      if (!is_linear(way) && row.length > b.softmax_longest) continue;
      const double peak = kernels::measure_fma_peak(threads(), 0.002);
      const double once = nanoseconds([&] { (void)forward(way); }) / units;
      const double twice = nanoseconds([&] { both(way); }) / units;
      if (run < 0) continue;
      alone[way].push_back(once);
      together[way].push_back(twice);
      shares[way].push_back(
          operations(way, static_cast<double>(row.length), static_cast<double>(b.dim)) / once /
          peak * 1e9);
    }
  }
  for (std::size_t way = 0; way < kWays; ++way) {
    if (alone[way].empty()) continue;
    row.ways[way] = {median(alone[way]), median(together[way]), median(shares[way])};
  }
}

/// A token of each of 4 hypotheses after `length` others: the recurrent state, and softmax over a
/// cache.
void steps_of(const BenchLinear& b, Row& row) {
  constexpr std::int64_t kRows = 4, kSteps = 32;
  const Tensor token = random_numbers({kRows, b.heads, b.dim}, 5);
  const auto units = static_cast<double>(kRows * kSteps * b.heads);
  LinearState state = linear_state(kRows, b.heads, b.dim, b.dim);
  for (std::int64_t i = 0; i < row.length; ++i) (void)linear_step(state, token, token, token);
  KvCache cache({1, b.heads, b.dim, b.dim}, kRows);
  for (std::int64_t i = 0; i < row.length; ++i) {
    cache.begin_step();
    cache.append(0, token, token);
  }
  std::vector<double> step, cached;
  for (int run = 0; run < b.runs; ++run) {
    step.push_back(nanoseconds([&] {
                     for (std::int64_t i = 0; i < kSteps; ++i) {
                       (void)linear_step(state, token, token, token);
                     }
                   }) /
                   units);
    cached.push_back(nanoseconds([&] { (void)cache.attend(0, token); }) / units * kSteps);
  }
  row.step = median(step);
  row.cached = median(cached);
}

/// From which length on linear attention is cheaper: between the last length at which it is not
/// and the next, on a straight line of the logarithms. None: it always is, or never.
std::optional<double> crossover(const std::vector<Row>& rows, Way linear, Way softmax,
                                double Cost::*what) {
  std::optional<double> found;
  for (std::size_t i = 0; i + 1 < rows.size(); ++i) {
    const double here = std::log(rows[i].ways[linear].*what / rows[i].ways[softmax].*what);
    const double next = std::log(rows[i + 1].ways[linear].*what / rows[i + 1].ways[softmax].*what);
    if (here > 0 && next <= 0) {
      const double ratio =
          static_cast<double>(rows[i + 1].length) / static_cast<double>(rows[i].length);
      found = static_cast<double>(rows[i].length) * std::pow(ratio, here / (here - next));
    }
  }
  return found;
}

std::string picture(const std::vector<Row>& rows, const BenchLinear& b) {
  const auto line = [&](std::string name, auto&& value) {
    Series s{std::move(name), {}, false};
    for (const Row& row : rows) {
      s.points.push_back({std::log2(static_cast<double>(row.length)), std::log2(value(row))});
    }
    return s;
  };
  std::vector<Series> series;
  for (std::size_t way = 0; way < kWays; ++way) {
    series.push_back(line(kNames[way], [&](const Row& r) { return r.ways[way].forward; }));
  }
  series.push_back(line("linear, a step", [](const Row& r) { return r.step; }));
  series.push_back(line("softmax, a step with cache", [](const Row& r) { return r.cached; }));
  return curve_svg(series, {.title = fmt::format("What a token costs, D = {}", b.dim),
                            .x_label = "log₂ of the tokens in its sequence",
                            .y_label = "log₂ of nanoseconds a token and head",
                            .width = 960,
                            .height = 480});
}

nlohmann::json to_json(const std::vector<Row>& rows) {
  nlohmann::json table = nlohmann::json::array();
  for (const Row& row : rows) {
    nlohmann::json line = {{"tokens", row.length}, {"step", row.step}, {"cached", row.cached}};
    for (std::size_t way = 0; way < kWays; ++way) {
      const Cost& c = row.ways[way];
      if (std::isnan(c.forward)) continue;
      line[kNames[way]] = {
          {"forward", c.forward}, {"forward_and_backward", c.both}, {"share_of_fma_peak", c.share}};
    }
    table.push_back(std::move(line));
  }
  return table;
}

void print_table(const std::vector<Row>& rows) {
  const auto number = [](double x) { return std::isnan(x) ? "-" : fmt::format("{:.0f}", x); };
  print_output(
      "nanoseconds a token and head: forward (share of the FMA peak) / forward and backward, {} "
      "threads\n{:>7}",
      threads(), "tokens");
  for (const char* name : kNames) print_output("{:>22}", name);
  print_output("{:>9}{:>9}\n", "step", "cached");
  for (const Row& row : rows) {
    print_output("{:>7}", row.length);
    for (const Cost& c : row.ways) {
      print_output("{:>22}", std::isnan(c.forward) ? "-"
                                                   : fmt::format("{:.0f} ({:.0f} %) / {:.0f}",
                                                                 c.forward, 100 * c.share, c.both));
    }
    print_output("{:>9}{:>9}\n", number(row.step), number(row.cached));
  }
}

void bench_linear(const BenchLinear& b, Program& program) {
  std::vector<Row> rows;
  for (std::int64_t length = 16; length <= b.longest; length *= 2) {
    Row row;
    row.length = length;
    costs_of(b, row);
    steps_of(b, row);
    rows.push_back(row);
  }
  if (!b.output.empty()) write_file(b.output, picture(rows, b));
  nlohmann::json crossings;
  std::string text;
  const std::pair<const char*, double Cost::*> kinds[] = {{"forward", &Cost::forward},
                                                          {"forward_and_backward", &Cost::both}};
  for (const auto& [name, what] : kinds) {
    for (const bool causal_rows : {false, true}) {
      const auto at = crossover(rows, causal_rows ? linear_causal : linear_all,
                                causal_rows ? softmax_causal : softmax_all, what);
      const std::string key = fmt::format("{}{}", name, causal_rows ? "_causal" : "");
      crossings[key] = at ? nlohmann::json(std::round(*at)) : nlohmann::json();
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", key,
                          at ? fmt::format("{:.0f}", *at) : "outside");
    }
  }
  if (program.json) {
    const nlohmann::json result = {{"bench", "linear"},     {"threads", threads()},
                                   {"heads", b.heads},      {"dim", b.dim},
                                   {"rows", to_json(rows)}, {"cheaper_from_tokens", crossings}};
    print_output("{}\n", result.dump());
    return;
  }
  print_table(rows);
  print_output("linear is cheaper from this many tokens on: {}\n", text);
}

}  // namespace

void add_bench_linear(CLI::App& bench, Program& program) {
  auto b = std::make_shared<BenchLinear>();
  CLI::App* c = bench.add_subcommand("linear", "Linear attention beside softmax as sequences grow");
  c->add_option("--heads", b->heads, "Heads")->check(CLI::PositiveNumber)->capture_default_str();
  c->add_option("--dim", b->dim, "Width of a head")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_option("--longest", b->longest, "Tokens of the longest sequence")
      ->check(CLI::Range(16, 1 << 24))
      ->capture_default_str();
  c->add_option("--softmax-longest", b->softmax_longest, "The same for softmax")
      ->capture_default_str();
  c->add_option("--runs", b->runs, "Runs measured, of which the median counts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_option("--output", b->output, "Draw the forward costs as an SVG");
  c->add_flag("--json", program.json, "Print JSON");
  add_threads(*c, program);
  c->callback([b, &program] {
    apply_threads(program);
    bench_linear(*b, program);
  });
}

}  // namespace qkv::app

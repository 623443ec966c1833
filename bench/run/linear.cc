#include "bench/run/linear.h"

#include <cmath>
#include <limits>
#include <optional>

#include <fmt/core.h>

#include "qkv/attention/attend.h"
#include "qkv/attention/cache.h"
#include "qkv/attention/linear.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/file.h"
#include "qkv/base/parallel.h"
#include "qkv/kernels/peak.h"
#include "qkv/view/curve.h"

namespace qkv::bench {
namespace {

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
  return 1e9 * seconds_of(f);
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
void costs_of(const LinearOptions& b, Row& row) {
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
void steps_of(const LinearOptions& b, Row& row) {
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

std::string picture(const std::vector<Row>& rows, const LinearOptions& b) {
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

Json json_of(const std::vector<Row>& rows) {
  Json table = Json::array();
  for (const Row& row : rows) {
    Json line = {{"tokens", row.length}, {"step", row.step}, {"cached", row.cached}};
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

std::string table_of(const std::vector<Row>& rows) {
  const auto number = [](double x) { return std::isnan(x) ? "-" : fmt::format("{:.0f}", x); };
  std::string text = fmt::format(
      "nanoseconds a token and head: forward (share of the FMA peak) / forward and backward, {} "
      "threads\n{:>7}",
      threads(), "tokens");
  for (const char* name : kNames) text += fmt::format("{:>22}", name);
  text += fmt::format("{:>9}{:>9}\n", "step", "cached");
  for (const Row& row : rows) {
    text += fmt::format("{:>7}", row.length);
    for (const Cost& c : row.ways) {
      text += fmt::format("{:>22}", std::isnan(c.forward)
                                        ? "-"
                                        : fmt::format("{:.0f} ({:.0f} %) / {:.0f}", c.forward,
                                                      100 * c.share, c.both));
    }
    text += fmt::format("{:>9}{:>9}\n", number(row.step), number(row.cached));
  }
  return text;
}

}  // namespace

Report linear(const LinearOptions& o, const Say& say) {
  std::vector<Row> rows;
  for (std::int64_t length = 16; length <= o.longest; length *= 2) {
    Row row;
    row.length = length;
    costs_of(o, row);
    steps_of(o, row);
    rows.push_back(row);
    say(fmt::format("{} tokens: {:.0f} ns a token, linear", length, row.ways[linear_all].forward));
  }
  if (!o.output.empty()) write_file(o.output, picture(rows, o));
  Json crossings;
  std::string text;
  const std::pair<const char*, double Cost::*> kinds[] = {{"forward", &Cost::forward},
                                                          {"forward_and_backward", &Cost::both}};
  for (const auto& [name, what] : kinds) {
    for (const bool causal_rows : {false, true}) {
      const auto at = crossover(rows, causal_rows ? linear_causal : linear_all,
                                causal_rows ? softmax_causal : softmax_all, what);
      const std::string key = fmt::format("{}{}", name, causal_rows ? "_causal" : "");
      crossings[key] = at ? Json(std::round(*at)) : Json();
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", key,
                          at ? fmt::format("{:.0f}", *at) : "outside");
    }
  }
  return {.json = {{"bench", "linear"},
                   {"threads", threads()},
                   {"heads", o.heads},
                   {"dim", o.dim},
                   {"rows", json_of(rows)},
                   {"cheaper_from_tokens", crossings}},
          .text = table_of(rows) +
                  fmt::format("linear is cheaper from this many tokens on: {}\n", text)};
}

}  // namespace qkv::bench

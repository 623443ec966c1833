// qkv bench attention: the fused kernels over a grid of shapes and masks, forward and backward.
#include <algorithm>
#include <charconv>
#include <chrono>

#include "app/bench/bench.h"
#include "app/output.h"
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "qkv/attention/attend.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/kernels/attention/attend.h"
#include "qkv/kernels/peak.h"

namespace qkv::app {
namespace {

using Clock = std::chrono::steady_clock;

// A shape is written b1-h8/2-n128:1024-d64-causal: sequences, query heads (/ key heads), queries
// (: keys) a sequence, width of a head, and the mask: full, causal, window256 (causal, the last
// 256 keys) or lengths (the first keys of each sequence, a quarter to all of them).
const std::vector<std::string> kLarge = {
    "b1-h8-n1024-d64-full",    "b1-h8-n1024-d64-causal",  "b1-h8-n1024-d128-full",
    "b1-h8-n1024-d128-causal", "b1-h8-n1024-d32-full",    "b1-h8-n1024-d32-causal",
    "b1-h8-n2048-d64-full",    "b1-h8-n2048-d64-causal",  "b1-h8-n2048-d128-full",
    "b1-h8-n2048-d128-causal", "b1-h4-n4096-d64-full",    "b1-h4-n4096-d64-causal",
    "b1-h4-n4096-d128-full",   "b1-h4-n4096-d128-causal", "b1-h4-n4096-d64-window256"};
const std::vector<std::string> kMixed = {
    "b1-h1-n4096-d64-full",     "b1-h1-n4096-d64-causal",   "b1-h8/2-n1024-d64-full",
    "b1-h8/1-n2048-d64-causal", "b8-h8-n256:1024-d64-full", "b16-h8-n256-d64-lengths",
    "b8-h8-n512-d64-lengths",   "b8-h12-n512-d64-full",     "b1-h16-n577-d80-full",
    "b1-h8-n1000-d100-causal",  "b1-h8-n1:65536-d64-full",  "b1-h8/2-n16:16384-d128-full",
    "b64-h8-n1:256-d64-full"};
const std::vector<std::string> kSmall = {
    "b512-h4-n8-d32-full",    "b512-h4-n8-d32-causal",   "b256-h8-n8-d64-full",
    "b292-h4-n14-d32-full",   "b292-h4-n14-d32-causal",  "b128-h8-n16-d64-full",
    "b128-h8-n16-d64-causal", "b128-h8-n16-d128-full",   "b64-h8-n32-d64-full",
    "b64-h8-n32-d64-causal",  "b64-h4-n32-d32-causal",   "b64-h8-n24:40-d64-full",
    "b32-h8-n64-d64-full",    "b32-h8-n64-d64-causal",   "b32-h8-n64-d32-lengths",
    "b16-h8-n128-d64-full",   "b16-h8-n128-d64-causal",  "b16-h8-n128-d128-full",
    "b16-h8-n128-d32-full",   "b16-h8-n128-d64-lengths", "b1-h1-n8-d32-full",
    "b1-h4-n16-d32-causal",   "b1-h8-n128-d64-full"};

struct Shape {
  std::string name;
  std::int64_t batch = 1, heads = 1, kv_heads = 1, queries = 1, keys = 1, dim = 64, window = 0;
  std::string mask = "full";
};

/// The number that `text` begins with, which is cut off.
std::int64_t take_number(std::string_view& text, const std::string& name) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value <= 0) fail("bench attention: cannot read the shape '{}'", name);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

Shape parse(const std::string& name) {
  Shape s;
  s.name = name;
  std::string_view rest = name;
  const auto expect = [&](std::string_view prefix) {
    if (!rest.starts_with(prefix)) fail("bench attention: cannot read the shape '{}'", name);
    rest.remove_prefix(prefix.size());
  };
  const auto second = [&](std::string_view mark, std::int64_t first) {
    if (!rest.starts_with(mark)) return first;
    rest.remove_prefix(1);
    return take_number(rest, name);
  };
  expect("b");
  s.batch = take_number(rest, name);
  expect("-h");
  s.heads = take_number(rest, name);
  s.kv_heads = second("/", s.heads);
  expect("-n");
  s.queries = take_number(rest, name);
  s.keys = second(":", s.queries);
  expect("-d");
  s.dim = take_number(rest, name);
  expect("-");
  s.mask = rest;
  if (rest.starts_with("window")) {
    rest.remove_prefix(6);
    s.window = take_number(rest, name);
  } else if (s.mask != "full" && s.mask != "causal" && s.mask != "lengths") {
    fail("bench attention: mask '{}' is not one of full, causal, window<size>, lengths", s.mask);
  }
  return s;
}

Mask mask_of(const Shape& s) {
  const std::vector<std::int64_t> queries(static_cast<std::size_t>(s.batch), s.queries);
  const std::vector<std::int64_t> keys(static_cast<std::size_t>(s.batch), s.keys);
  const Mask all = segments(Segments(queries), Segments(keys));
  if (s.mask == "full") return all;
  if (s.window > 0) return all & causal() & window(s.window);
  if (s.mask == "causal") return all & causal();
  std::vector<std::int64_t> valid(static_cast<std::size_t>(s.batch));
  for (std::int64_t b = 0; b < s.batch; ++b) {
    valid[static_cast<std::size_t>(b)] = s.keys / 4 + (s.keys - s.keys / 4) * (b * 5 % 8) / 7;
  }
  return all & lengths(std::move(valid));
}

/// Seconds a call: the median of several samples of at least a few milliseconds each, and of their
/// shares of the peak measured beside them.
struct Timing {
  double seconds = 0, gflop = 0, share = 0;
};

template <class Run>
Timing time_of(double operations, double budget, Run&& run) {
  const auto clock = [&](std::int64_t calls) {
    const Clock::time_point start = Clock::now();
    for (std::int64_t i = 0; i < calls; ++i) run();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  clock(1);
  const double one = clock(1);
  const auto calls = static_cast<std::int64_t>(std::clamp(4e-3 / one, 1.0, 1e5));
  const auto samples =
      static_cast<int>(std::clamp(budget / (one * static_cast<double>(calls) + 4e-3), 5.0, 25.0));
  std::vector<double> seconds, shares;
  for (int i = 0; i < samples; ++i) {
    const double peak = kernels::measure_fma_peak(threads(), 4e-3);
    seconds.push_back(clock(calls) / static_cast<double>(calls));
    shares.push_back(operations / seconds.back() / peak);
  }
  return {median(seconds), operations / 1e9, median(shares)};
}

struct Result {
  Shape shape;
  Timing forward, backward, both;
};

Result measure(const Shape& s, double budget) {
  const std::int64_t queries = s.batch * s.queries, keys = s.batch * s.keys;
  std::uint64_t stream = 0;
  const auto random = [&](std::int64_t rows, std::int64_t heads) {
    Tensor t = Tensor::empty({rows, heads, s.dim});
    Philox numbers(key_of(7, stream++));
    for (float& x : t.values()) x = static_cast<float>(numbers.normal());
    return t;
  };
  const Tensor q = parameter(random(queries, s.heads)), k = parameter(random(keys, s.kv_heads)),
               v = parameter(random(keys, s.kv_heads)), dout = random(queries, s.heads);
  const Attention how{.mask = mask_of(s)};
  const auto plan = compile(how.mask, queries, keys);
  double pairs = 0;
  for (const kernels::Interval& x : plan->intervals) pairs += static_cast<double>(x.end - x.begin);
  const double operations = 4 * pairs * static_cast<double>(s.heads) * static_cast<double>(s.dim);

  Result r{.shape = s, .forward = {}, .backward = {}, .both = {}};
  Attended y;
  r.forward = time_of(operations, budget, [&] { y = attend_with_lse(q, k, v, how); });
  Tensor dq = Tensor::empty(q.shape()), dk = Tensor::empty(k.shape()),
         dv = Tensor::empty(v.shape());
  kernels::AttendBackward<float> a{};
  a.plan = plan.get();
  a.heads = s.heads;
  a.kv_heads = s.kv_heads;
  a.dim = a.value_dim = s.dim;
  a.q = q.data();
  a.k = k.data();
  a.v = v.data();
  a.scale = 1.0 / std::sqrt(static_cast<double>(s.dim));
  a.out = y.out.data();
  a.lse = y.lse.data();
  a.dout = dout.data();
  a.dq = dq.data();
  a.dk = dk.data();
  a.dv = dv.data();
  r.backward = time_of(2.5 * operations, budget, [&] { kernels::attend_backward(a); });
  r.both = time_of(3.5 * operations, budget, [&] {
    for (const Tensor* x : {&q, &k, &v}) clear_gradient(*x);
    Tape tape;
    Tensor out;
    {
      const Recording on(tape);
      out = attend(q, k, v, how);
    }
    tape.backward(out, dout);
  });
  return r;
}

/// The same shape without the mask, if it was measured too.
const Result* without_mask(const std::vector<Result>& all, const Result& r) {
  if (r.shape.mask != "causal") return nullptr;
  const std::string name = r.shape.name.substr(0, r.shape.name.rfind('-')) + "-full";
  for (const Result& other : all) {
    if (other.shape.name == name) return &other;
  }
  return nullptr;
}

nlohmann::json to_json(const std::vector<Result>& results) {
  const auto part = [](const Timing& t) -> nlohmann::json {
    return {{"seconds", t.seconds}, {"gflop", t.gflop}, {"share_of_fma_peak", t.share}};
  };
  nlohmann::json shapes = nlohmann::json::array();
  for (const Result& r : results) {
    nlohmann::json x = {{"shape", r.shape.name},
                        {"forward", part(r.forward)},
                        {"backward", part(r.backward)},
                        {"both", part(r.both)}};
    if (const Result* full = without_mask(results, r)) {
      x["forward"]["faster_than_full"] = full->forward.seconds / r.forward.seconds;
      x["backward"]["faster_than_full"] = full->backward.seconds / r.backward.seconds;
    }
    shapes.push_back(std::move(x));
  }
  return {{"bench", "attention"}, {"threads", threads()}, {"shapes", std::move(shapes)}};
}

void print(const std::vector<Result>& results) {
  print_output("{:<28} {:>10} {:>6} {:>6}   {:>10} {:>6} {:>6}   {:>10}\n", "shape", "forward ms",
               "peak", "causal", "backw. ms", "peak", "causal", "both ms");
  for (const Result& r : results) {
    const Result* full = without_mask(results, r);
    const auto ratio = [&](const Timing& masked, const Timing Result::*part) {
      return full ? fmt::format("{:.2f}x", (full->*part).seconds / masked.seconds) : std::string();
    };
    print_output("{:<28} {:>10.4f} {:>5.1f}% {:>6}   {:>10.4f} {:>5.1f}% {:>6}   {:>10.4f}\n",
                 r.shape.name, 1e3 * r.forward.seconds, 100 * r.forward.share,
                 ratio(r.forward, &Result::forward), 1e3 * r.backward.seconds,
                 100 * r.backward.share, ratio(r.backward, &Result::backward),
                 1e3 * r.both.seconds);
  }
}

std::vector<std::string> chosen(const std::vector<std::string>& shapes) {
  std::vector<std::string> names;
  const auto add = [&](const std::vector<std::string>& more) {
    names.insert(names.end(), more.begin(), more.end());
  };
  for (const std::string& s : shapes) {
    if (s == "large" || s == "all") add(kLarge);
    if (s == "mixed" || s == "all") add(kMixed);
    if (s == "small" || s == "all") add(kSmall);
    if (s != "large" && s != "mixed" && s != "small" && s != "all") names.push_back(s);
  }
  return names;
}

}  // namespace

void add_bench_attention(CLI::App& bench, Program& program) {
  struct Settings {
    std::vector<std::string> shapes{"all"};
    double budget = 0.5;
    bool list = false;
  };
  auto b = std::make_shared<Settings>();
  CLI::App* c = bench.add_subcommand("attention", "The attention kernels, forward and backward");
  c->add_option("--shapes", b->shapes,
                "all, large, mixed, small, or shapes such as b1-h8/2-n128:1024-d64-causal "
                "(masks: full, causal, window<size>, lengths), separated by commas")
      ->delimiter(',')
      ->capture_default_str();
  c->add_option("--seconds", b->budget, "About how long to measure each direction of a shape")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_flag("--list", b->list, "Print the names of the shapes only");
  c->add_flag("--json", program.json, "Print JSON");
  add_threads(*c, program);
  c->callback([b, &program] {
    apply_threads(program);
    std::vector<Result> results;
    for (const std::string& name : chosen(b->shapes)) {
      const Shape shape = parse(name);
      if (b->list) {
        print_output("{}\n", name);
        continue;
      }
      results.push_back(measure(shape, b->budget));
      print_error("{}: {:.3f} ms forward, {:.3f} ms backward\n", name,
                  1e3 * results.back().forward.seconds, 1e3 * results.back().backward.seconds);
    }
    if (b->list) return;
    if (program.json) {
      print_output("{}\n", to_json(results).dump());
    } else {
      print(results);
    }
  });
}

}  // namespace qkv::app

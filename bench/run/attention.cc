#include "bench/run/attention.h"

#include <cmath>

#include "bench/run/attention_shapes.h"
#include <fmt/core.h>

#include "qkv/attention/attend.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/parallel.h"
#include "qkv/kernels/attention/attend.h"
#include "qkv/kernels/peak.h"

namespace qkv::bench {
namespace {

/// Seconds a call: the median of several samples of at least a few milliseconds each, and of their
/// shares of the peak measured beside them.
struct Timing {
  double seconds = 0, gflop = 0, share = 0;
};

template <class Run>
Timing time_of(double operations, double budget, Run&& run) {
  const auto clock = [&](std::int64_t calls) {
    return seconds_of([&] {
      for (std::int64_t i = 0; i < calls; ++i) run();
    });
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
  AttentionShape shape;
  Timing forward, backward, both;
};

Result measure(const AttentionShape& s, double budget) {
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

Json json_of(const std::vector<Result>& results) {
  const auto part = [](const Timing& t) -> Json {
    return {{"seconds", t.seconds}, {"gflop", t.gflop}, {"share_of_fma_peak", t.share}};
  };
  Json shapes = Json::array();
  for (const Result& r : results) {
    Json x = {{"shape", r.shape.name},
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

std::string table_of(const std::vector<Result>& results) {
  std::string text =
      fmt::format("{:<28} {:>10} {:>6} {:>6}   {:>10} {:>6} {:>6}   {:>10}\n", "shape",
                  "forward ms", "peak", "causal", "backw. ms", "peak", "causal", "both ms");
  for (const Result& r : results) {
    const Result* full = without_mask(results, r);
    const auto ratio = [&](const Timing& masked, const Timing Result::*part) {
      return full ? fmt::format("{:.2f}x", (full->*part).seconds / masked.seconds) : std::string();
    };
    text += fmt::format(
        "{:<28} {:>10.4f} {:>5.1f}% {:>6}   {:>10.4f} {:>5.1f}% {:>6}   {:>10.4f}\n", r.shape.name,
        1e3 * r.forward.seconds, 100 * r.forward.share, ratio(r.forward, &Result::forward),
        1e3 * r.backward.seconds, 100 * r.backward.share, ratio(r.backward, &Result::backward),
        1e3 * r.both.seconds);
  }
  return text;
}

}  // namespace

Report attention(const AttentionOptions& o, const Say& say) {
  std::vector<AttentionShape> shapes;
  for (const std::string& name : shapes_chosen(o.shapes)) shapes.push_back(shape_named(name));
  if (o.list) {
    Report report{.json = Json::array(), .text = ""};
    for (const AttentionShape& shape : shapes) {
      report.json.push_back(shape.name);
      report.text += shape.name + "\n";
    }
    return report;
  }
  std::vector<Result> results;
  for (const AttentionShape& shape : shapes) {
    results.push_back(measure(shape, o.seconds));
    const Result& r = results.back();
    say(fmt::format("{}: {:.3f} ms forward, {:.3f} ms backward", shape.name,
                    1e3 * r.forward.seconds, 1e3 * r.backward.seconds));
  }
  return {.json = json_of(results), .text = table_of(results)};
}

}  // namespace qkv::bench

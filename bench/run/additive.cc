#include "bench/run/additive.h"

#include <cmath>

#include <fmt/core.h>

#include "qkv/attention/attend.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/parallel.h"
#include "qkv/kernels/peak.h"

namespace qkv::bench {
namespace {

/// Sequences, query rows and keys of each; C hidden units, as wide as queries, keys and values.
struct Case {
  std::int64_t batch, queries, keys;
};
// A decoding step; three sizes the peer can hold; one at which it would need 34 GB.
constexpr Case kCases[] = {{64, 1, 50}, {64, 10, 10}, {64, 50, 50}, {8, 256, 256}, {1, 4096, 4096}};

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
    const double taken = seconds_of(run);
    if (i < 0) continue;
    seconds.push_back(taken);
    multiply_adds.push_back(taken * peak / 2 / elements);
  }
  return {median(seconds), fastest(seconds), median(multiply_adds)};
}

Json json_of(const Timed& t) {
  return {{"seconds", t.seconds},
          {"fastest", t.fastest},
          {"multiply_adds_of_the_peak_an_element", t.multiply_adds}};
}

struct Weights {
  Tensor query, key, weight;
};

struct Result {
  Timed forward, both;
};
Result measure(const Case& s, const Weights& w, int most_runs) {
  const std::int64_t c = w.weight.count();
  const auto rows = [&](std::int64_t each) {
    return Segments(std::vector<std::int64_t>(static_cast<std::size_t>(s.batch), each));
  };
  const Attention how{.score = Additive{w.weight, w.query, w.key},
                      .mask = segments(rows(s.queries), rows(s.keys))};
  const Tensor q = parameter(random_numbers({s.batch * s.queries, 1, c}, 4)),
               k = parameter(random_numbers({s.batch * s.keys, 1, c}, 5)),
               v = parameter(random_numbers({s.batch * s.keys, 1, c}, 6));
  const Tensor above = random_numbers({s.batch * s.queries, 1, c}, 7);
  const auto elements = static_cast<double>(s.batch * s.queries * s.keys * c);
  const int runs = elements > 1e9 ? std::min(most_runs, 3) : most_runs;
  Result r;
  r.forward = time_of(runs, elements, [&] { (void)attend(q, k, v, how); });
  r.both = time_of(runs, elements, [&] {
    Tape tape;
    Tensor out;
    {
      const Recording on(tape);
      out = attend(q, k, v, how);
    }
    tape.backward(out, above);
    for (const Tensor& x : {q, k, v, w.query, w.key, w.weight}) clear_gradient(x);
  });
  return r;
}

}  // namespace

Report additive(const AdditiveOptions& o, const Say& say) {
  const std::int64_t c = o.hidden;
  const double spread = 1 / std::sqrt(static_cast<double>(c));
  const Weights weights{.query = parameter(random_numbers({c, c}, 1, spread)),
                        .key = parameter(random_numbers({c, c}, 2, spread)),
                        .weight = parameter(random_numbers({c}, 3, spread))};
  Report report{.json = {{"bench", "additive"}, {"threads", threads()}, {"cases", Json::array()}},
                .text = ""};
  for (const Case& s : kCases) {
    const Result r = measure(s, weights, o.runs);
    say(fmt::format("B{} Q{} K{}: {:.3f} ms forward", s.batch, s.queries, s.keys,
                    1e3 * r.forward.seconds));
    report.text += fmt::format(
        "B{} Q{} K{} H{}: forward {:.3f} ms ({:.1f} FMAs of the peak an element), "
        "forward and backward {:.3f} ms ({:.1f})\n",
        s.batch, s.queries, s.keys, c, r.forward.seconds * 1e3, r.forward.multiply_adds,
        r.both.seconds * 1e3, r.both.multiply_adds);
    report.json["cases"].push_back({{"batch", s.batch},
                                    {"queries", s.queries},
                                    {"keys", s.keys},
                                    {"hidden", c},
                                    {"forward", json_of(r.forward)},
                                    {"forward_backward", json_of(r.both)}});
  }
  return report;
}

}  // namespace qkv::bench

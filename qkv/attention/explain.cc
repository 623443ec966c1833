#include "qkv/attention/explain.h"

#include <algorithm>
#include <chrono>
#include <functional>

#include <fmt/format.h>

#include "qkv/attention/form.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/parallel.h"
#include "qkv/kernels/attention/general.h"
#include "qkv/kernels/attention/schedule.h"
#include "qkv/kernels/peak.h"

namespace qkv {
namespace {

using kernels::AttendPath;

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

std::string name_of(const Score& score) {
  return std::visit(Overloaded{[](const ScaledDot& s) {
                                 return s.scale == 0.0 ? std::string("scaled_dot")
                                                       : fmt::format("dot, scale {:g}", s.scale);
                               },
                               [](const General&) { return std::string("general"); },
                               [](const Additive& s) {
                                 const auto* leaky = std::get_if<LeakyRelu>(&s.activation);
                                 return leaky
                                            ? fmt::format("additive, leaky_relu {:g}", leaky->slope)
                                            : std::string("additive");
                               },
                               [](const Concat&) { return std::string("concat"); },
                               [](const Cosine&) { return std::string("cosine"); },
                               [](const Gaussian&) { return std::string("gaussian"); },
                               [](const L1&) { return std::string("l1"); },
                               [](const FeatureProduct&) { return std::string("linear"); },
                               [](const PairScore& s) { return "own: " + s.name; }},
                    score);
}

std::string name_of(const Bias& bias) {
  return std::visit(Overloaded{[](const SoftCap& b) { return fmt::format("soft_cap {:g}", b.cap); },
                               [](const Alibi&) { return std::string("alibi"); },
                               [](const DistanceBias&) { return std::string("distance"); },
                               [](const ShawBias&) { return std::string("shaw"); },
                               [](const TensorBias&) { return std::string("tensor"); },
                               [](const FunctionBias& b) { return "own: " + b.name; }},
                    bias);
}

std::string name_of(const Normaliser& norm) {
  return std::visit(Overloaded{[](const Softmax&) { return std::string("softmax"); },
                               [](const SoftmaxSink&) { return std::string("sink"); },
                               [](const Relu&) { return std::string("relu"); },
                               [](const Sigmoid&) { return std::string("sigmoid"); },
                               [](const KernelSum&) { return std::string("kernel_sum"); },
                               [](const Sparsemax&) { return std::string("sparsemax"); },
                               [](const Entmax& n) { return fmt::format("entmax {:g}", n.alpha); },
                               [](const Hard&) { return std::string("hard"); },
                               [](const RowNormaliser& n) { return "own: " + n.name; }},
                    norm);
}

/// As attend() decides it: the definition on request and for double, else what the kernels say.
AttendPath path_of(const AttendCall& call, const Attention& how) {
  if (how.run == Execution::definition || definition_only()) return AttendPath::definition;
  if (call.q.dtype() != DType::f32) return AttendPath::definition;
  const kernels::AttendForm<float> form = call.form<float>();
  return kernels::attend_path(*call.plan, call.plain() ? nullptr : &form, false);
}

/// Sequences that have query rows, and those of them whose forward pass goes by few rows.
struct Sequences {
  std::int64_t all = 0, few = 0;
};
Sequences sequences_of(const AttendCall& call, bool dropout) {
  Sequences n;
  for (const auto& s : call.plan->segments) {
    if (s.q_begin == s.q_end) continue;
    ++n.all;
    n.few += kernels::few_rows(s, dropout) ? 1 : 0;
  }
  return n;
}

std::vector<std::string> slow_parts(const Explanation& e, const Attention& how, DType type) {
  std::vector<std::string> slow;
  if (e.path == AttendPath::definition) {
    const bool asked = how.run == Execution::definition || definition_only();
    slow.push_back(std::string(asked                ? "the definition was asked for"
                               : type != DType::f32 ? "double is computed by the definition"
                                                    : "this call has no tiles") +
                   ": row by row, one thread");
  }
  if (e.path == AttendPath::row_strips) {
    slow.push_back(e.norm + " needs all scores of a row at once: a few rows at a time are held");
  }
  if (std::holds_alternative<PairScore>(how.score)) {
    slow.push_back("the score is a function called once a visible pair and pass");
  }
  for (const Bias& bias : how.bias) {
    if (std::holds_alternative<FunctionBias>(bias)) {
      slow.push_back("a bias is a function called once a visible pair and pass");
    }
  }
  if (std::holds_alternative<RowNormaliser>(how.norm)) {
    slow.push_back("the normaliser is a function called once a row and pass");
  }
  return slow;
}

/// Operations of the score of one pair; a tanh counts as one, a function of one's own as none.
double score_operations(const Score& score, double dim) {
  if (std::holds_alternative<Additive>(score) || std::holds_alternative<Concat>(score)) {
    return 4 * dim;
  }
  if (std::holds_alternative<L1>(score)) return 3 * dim;
  return std::holds_alternative<PairScore>(score) ? 0 : 2 * dim;
}

void count_tiles(const kernels::AttendPlan& plan, Explanation& e) {
  const bool tiled = e.path != AttendPath::definition && e.path != AttendPath::neighbour_rows;
  const bool few = e.path == AttendPath::product_rows;
  e.query_tile = e.path == AttendPath::row_strips ? kernels::kStripRows
                 : few                            ? kernels::kFewRows
                       : kernels::query_tile(std::max(e.dim, e.value_dim));
  e.key_tile = kernels::kKeyTile;
  if (e.path == AttendPath::neighbour_rows) {  // no tiles: their number alone would grow with N²
    for (const kernels::Interval& seen : plan.intervals) e.visible += seen.end - seen.begin;
    e.visited = e.visible;
    e.tile_bytes = 4.0 * static_cast<double>((e.dim + e.value_dim) * e.visible * e.heads);
    return;
  }
  std::int64_t keys_read = 0;
  for (const ScheduledTile& t : tiles_of(plan, e.query_tile, e.key_tile)) {
    e.visible += t.visible;
    if (t.visible == 0) {
      ++e.skipped;
      continue;
    }
    ++(t.visible == t.pairs() ? e.full : e.partial);
    e.visited += t.pairs();
    keys_read += t.keys.end - t.keys.begin;
  }
  if (tiled) {
    for (const auto& s : plan.segments) {
      e.query_tiles += (s.q_end - s.q_begin + e.query_tile - 1) / e.query_tile * e.heads;
    }
  } else {
    e.visited = e.visible;  // row by row: nothing hidden is computed
  }
  // Few rows of all heads that share a key head go by together.
  const std::int64_t heads = few ? e.kv_heads : e.heads;
  e.tile_bytes = 4.0 * static_cast<double>((e.dim + e.value_dim) * keys_read * heads);
}

double seconds_of(const std::function<void()>& run) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> taken;
  double sum = 0;
  for (int n = 0; n < 9 && (n < 2 || sum < 0.5); ++n) {  // the first warms up
    const Clock::time_point start = Clock::now();
    run();
    taken.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    sum += taken.back();
    if (n == 0 && sum > 2.0) break;
  }
  if (taken.size() > 1) taken.erase(taken.begin());
  std::sort(taken.begin(), taken.end());
  return taken[taken.size() / 2];
}

Explanation::Measured measure_call(const Tensor& q, const Tensor& k, const Tensor& v,
                                   const Attention& how) {
  Explanation::Measured m;
  m.threads = threads();
  m.peak = kernels::measure_fma_peak(m.threads);
  {
    const NoRecording quiet;
    m.seconds = seconds_of([&] { attend(q, k, v, how); });
  }
  const Tensor qp = parameter(q.clone()), kp = parameter(k.clone()), vp = parameter(v.clone());
  const double both = seconds_of([&] {
    Tape tape;
    Tensor out;
    {
      const Recording on(tape);
      out = attend(qp, kp, vp, how);
    }
    tape.backward(out, Tensor::full(out.shape(), 1.0, out.dtype()));
  });
  m.backward_seconds = std::max(0.0, both - m.seconds);
  return m;
}

}  // namespace

double Explanation::saved() const {
  return pairs > 0 ? 1.0 - static_cast<double>(visited) / static_cast<double>(pairs) : 0.0;
}

std::vector<ScheduledTile> tiles_of(const kernels::AttendPlan& plan, std::int64_t query_tile,
                                    std::int64_t key_tile) {
  std::vector<ScheduledTile> tiles;
  for (const auto& s : plan.segments) {
    for (std::int64_t first = s.q_begin; first < s.q_end; first += query_tile) {
      const std::int64_t last = std::min(first + query_tile, s.q_end);
      const auto begin = static_cast<std::int64_t>(tiles.size());
      for (std::int64_t k = s.k_begin; k < s.k_end; k += key_tile) {
        tiles.push_back({{first, last}, {k, std::min(k + key_tile, s.k_end)}, 0});
      }
      for (std::int64_t x = plan.row_offsets[static_cast<std::size_t>(first)];
           x < plan.row_offsets[static_cast<std::size_t>(last)]; ++x) {
        const kernels::Interval seen = plan.intervals[static_cast<std::size_t>(x)];
        for (std::int64_t k = seen.begin; k < seen.end;) {
          ScheduledTile& t = tiles[static_cast<std::size_t>(begin + (k - s.k_begin) / key_tile)];
          const std::int64_t end = std::min(seen.end, t.keys.end);
          t.visible += end - k;
          k = end;
        }
      }
    }
  }
  return tiles;
}

Explanation explain(const Tensor& q, const Tensor& k, const Tensor& v, const Attention& how,
                    bool measure) {
  Explanation e;
  const bool dropout = recording() && how.dropout > 0;
  {
    const NoRecording quiet;
    const AttendCall call("explain", q, k, v, how);
    e.queries = call.plan->queries;
    e.keys = call.plan->keys;
    e.heads = call.heads;
    e.kv_heads = call.kv_heads;
    e.dim = call.dim;
    e.value_dim = call.value_dim;
    e.sequences = static_cast<std::int64_t>(call.plan->segments.size());
    e.score = name_of(how.score);
    for (const Bias& bias : how.bias) e.bias += (e.bias.empty() ? "" : ", ") + name_of(bias);
    e.mask = to_string(how.mask);
    e.norm = name_of(how.norm);
    e.path = path_of(call, how);
    if (e.path == AttendPath::product_tiles) {
      const Sequences n = sequences_of(call, dropout);
      e.few = n.few;
      if (n.few > 0 && n.few == n.all) e.path = AttendPath::product_rows;
    }
    e.slow = slow_parts(e, how, q.dtype());
    e.pairs = e.queries * e.keys;
    count_tiles(*call.plan, e);
  }
  const auto dim = static_cast<double>(e.dim), value_dim = static_cast<double>(e.value_dim);
  const double work = static_cast<double>(e.visited) * static_cast<double>(e.heads);
  const double score = score_operations(how.score, dim);
  e.operations = work * (score + 2 * value_dim);
  e.backward_operations = work * (3 * score + 4 * value_dim);
  const double size = q.dtype() == DType::f32 ? 4.0 : 8.0;
  e.bytes = size * static_cast<double>(e.queries * e.heads * (e.dim + e.value_dim + 1) +
                                       e.keys * e.kv_heads * (e.dim + e.value_dim));
  if (measure) e.measured = measure_call(q, k, v, how);
  return e;
}

const char* name_of(AttendPath path) {
  switch (path) {
    case AttendPath::product_tiles:
      return "product tiles: streaming, tuned";
    case AttendPath::product_rows:
      return "product rows: few rows, keys streamed once; backward by product tiles";
    case AttendPath::general_tiles:
      return "general tiles: streaming";
    case AttendPath::neighbour_rows:
      return "neighbour rows: along the lists of the mask; backward by keys too";
    case AttendPath::row_strips:
      return "general tiles: by strips of whole rows";
    case AttendPath::definition:
      return "definition: row by row";
  }
  return "";
}

std::string to_string(const Explanation& e) {
  const auto percent = [](double part, double whole) { return whole > 0 ? 100 * part / whole : 0; };
  std::string text;
  const auto line = [&](std::string_view what, std::string_view rest) {
    text += fmt::format("{:<12} {}\n", what, rest);
  };
  line("attention", fmt::format("{} queries × {} keys, {} heads on {}, D {}, Dv {}, {} sequence{}",
                                e.queries, e.keys, e.heads, e.kv_heads, e.dim, e.value_dim,
                                e.sequences, e.sequences == 1 ? "" : "s"));
  line("score", e.score + (e.bias.empty() ? "" : "; bias " + e.bias) + "; normaliser " + e.norm);
  line("mask", e.mask);
  line("path",
       name_of(e.path) + (e.path == AttendPath::product_tiles && e.few > 0
                              ? fmt::format("; {} of {} sequences by few rows", e.few, e.sequences)
                              : std::string()));
  if (e.path != AttendPath::definition && e.path != AttendPath::neighbour_rows) {
    line("tiles",
         fmt::format("{} queries × {} keys, {} query tiles; a head: {} full, {} partial, {} "
                     "skipped",
                     e.query_tile, e.key_tile, e.query_tiles, e.full, e.partial, e.skipped));
  }
  line("work",
       fmt::format("{} of {} pairs visible ({:.1f} %); {:.1f} % of the work skipped", e.visible,
                   e.pairs, percent(static_cast<double>(e.visible), static_cast<double>(e.pairs)),
                   100 * e.saved()));
  line("operations", fmt::format("{:.3g} G forward, {:.3g} G backward", e.operations / 1e9,
                                 e.backward_operations / 1e9));
  line("memory", fmt::format("{:.3g} MB held and moved once; {} read {:.3g} MB of keys and values",
                             e.bytes / 1e6, e.path == AttendPath::neighbour_rows ? "rows" : "tiles",
                             e.tile_bytes / 1e6));
  if (e.measured) {
    const Explanation::Measured& m = *e.measured;
    const auto share = [&](double operations, double seconds) {
      return percent(operations, seconds * m.peak);
    };
    line("measured",
         fmt::format("forward {:.3g} ms ({:.1f} % of the FMA peak), backward {:.3g} ms "
                     "({:.1f} %), {} thread{}",
                     1e3 * m.seconds, share(e.operations, m.seconds), 1e3 * m.backward_seconds,
                     share(e.backward_operations, m.backward_seconds), m.threads,
                     m.threads == 1 ? "" : "s"));
  }
  for (const std::string& part : e.slow) line("slow", part);
  return text;
}

}  // namespace qkv

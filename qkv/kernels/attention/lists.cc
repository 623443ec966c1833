// Attention along lists of neighbours: row by row over the keys that a row sees, in parallel over
// rows; backward once by rows (dq, and what every pair passes on) and once by keys (dk, dv), each
// in the order of the lists. Work and memory grow with the visible pairs, Tq and Tk, never with
// Tq·Tk. Nothing that a row or a key gets depends on other rows, keys or on the number of threads.
#include <algorithm>
#include <limits>
#include <vector>

#include "qkv/base/parallel.h"
#include "qkv/kernels/attention/rows.h"
#include "qkv/kernels/attention/schedule.h"

namespace qkv::kernels {
namespace {

/// Rows of a task: enough for a thread's wake-up at a handful of keys a row.
constexpr std::int64_t kListRows = 256;
constexpr std::int64_t kListKeys = 256;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

std::vector<Task> tasks_of(const AttendPlan& plan) {
  std::vector<Task> tasks;
  for (std::size_t b = 0; b < plan.segments.size(); ++b) {
    const AttendPlan::Segment& s = plan.segments[b];
    for (std::int64_t first = s.q_begin; first < s.q_end; first += kListRows) {
      tasks.push_back(
          {static_cast<std::int64_t>(b), 0, first, std::min(first + kListRows, s.q_end)});
    }
  }
  return tasks;
}

float dot(std::int64_t n, const float* a, const float* b) {
  float sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

void add_scaled(std::int64_t n, float factor, const float* x, float* y) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

float kept(const Dropout& dropout, const AttendPlan::Segment& segment, std::int64_t j) {
  return dropout_factor(dropout, static_cast<std::uint64_t>(j - segment.k_begin));
}

/// The pairs of a plan, numbered row by row, and for each key those that see it.
struct Pairs {
  struct Seen {
    std::int64_t row, pair;
  };
  std::vector<std::int64_t> first;      // [Tq+1]: number of a row's first pair
  std::vector<std::int64_t> key_first;  // [Tk+1]
  std::vector<Seen> seen;               // by keys, rows ascending

  explicit Pairs(const AttendPlan& plan)
      : first(at(plan.queries) + 1, 0), key_first(at(plan.keys) + 1, 0) {
    each(plan, [&](std::int64_t i, std::int64_t j) {
      ++first[at(i) + 1];
      ++key_first[at(j) + 1];
    });
    for (std::size_t i = 1; i < first.size(); ++i) first[i] += first[i - 1];
    for (std::size_t j = 1; j < key_first.size(); ++j) key_first[j] += key_first[j - 1];
    seen.resize(at(first.back()));
    std::vector<std::int64_t> next(key_first.begin(), key_first.end() - 1);
    std::int64_t pair = 0;
    each(plan, [&](std::int64_t i, std::int64_t j) { seen[at(next[at(j)]++)] = {i, pair++}; });
  }

 private:
  template <class Visit>
  static void each(const AttendPlan& plan, Visit&& visit) {
    for (std::int64_t i = 0; i < plan.queries; ++i) {
      for (std::int64_t x = plan.row_offsets[at(i)]; x < plan.row_offsets[at(i) + 1]; ++x) {
        const Interval& keys = plan.intervals[at(x)];
        for (std::int64_t j = keys.begin; j < keys.end; ++j) visit(i, j);
      }
    }
  }
};

class ListBackward {
 public:
  ListBackward(const AttendBackward<float>& a, const AttendForm<float>& form)
      : a_(a),
        form_(form),
        group_(a.heads / a.kv_heads),
        pairs_(*a.plan),
        passed_(pairs_.seen.size() * at(a.heads)),
        dscores_(pairs_.seen.size() * at(a.heads)) {}

  void run() {
    const std::vector<Task> tasks = tasks_of(*a_.plan);
    const std::int64_t weights = !form_.dweight             ? 0
                                 : form_.weight_stride != 0 ? a_.heads * form_.weight_stride
                                                            : a_.dim;
    const std::int64_t sinks = form_.norm.dsink ? a_.heads : 0;
    // What rows share is added up a task, and those in order.
    std::vector<float> own(tasks.size() * at(weights + sinks), 0.0f);
    const auto by_rows = [&](std::int64_t n, std::int64_t) {
      float* memory = own.data() + n * (weights + sinks);
      rows(tasks[at(n)], weights > 0 ? memory : nullptr, sinks > 0 ? memory + weights : nullptr);
    };
    const auto count = static_cast<std::int64_t>(tasks.size());
    if (shares_bias()) {
      for (std::int64_t n = 0; n < count; ++n) by_rows(n, n + 1);
    } else {
      parallel_for(count, 1, by_rows);
    }
    for (std::int64_t n = 0; n < count; ++n) {
      const float* memory = own.data() + n * (weights + sinks);
      if (weights > 0) add_scaled(weights, 1.0f, memory, form_.dweight);
      if (sinks > 0) add_scaled(sinks, 1.0f, memory + weights, form_.norm.dsink);
    }
    parallel_for(a_.plan->keys, kListKeys,
                 [&](std::int64_t begin, std::int64_t end) { keys(begin, end); });
  }

 private:
  /// Whether rows add to the same numbers of a bias: then one after the other.
  bool shares_bias() const {
    return std::any_of(form_.biases.begin(), form_.biases.end(), [](const BiasTerm<float>& b) {
      return b.gradient && b.kind != BiasTerm<float>::Kind::row_table;
    });
  }

  void rows(const Task& t, float* dweight, float* dsink) {
    const AttendPlan::Segment& segment = a_.plan->segments[at(t.segment)];
    AttendForm<float> form = form_;
    form.dweight = dweight;
    form.norm.dsink = dsink;
    AttendRow<float> row({a_.plan, a_.heads, a_.kv_heads, a_.dim, a_.q, a_.k, a_.scale, &form});
    std::vector<float> dweights, unused(at(a_.dim));
    for (std::int64_t i = t.first; i < t.last; ++i) {
      row.find(i, segment, 0);
      if (row.keys.empty()) continue;
      for (std::int64_t h = 0; h < a_.heads; ++h) {
        const std::int64_t here = i * a_.heads + h;
        row.take_head(h);
        row.score();
        row.bias();
        row.weigh();
        const float* dout = a_.dout + here * a_.value_dim;
        const Dropout dropout = attend_dropout(a_.dropout, here);
        dweights.resize(row.keys.size());
        float* passed = passed_.data() + pairs_.first[at(i)] * a_.heads + h;
        for (std::size_t n = 0; n < row.keys.size(); ++n, passed += a_.heads) {
          const float factor = kept(dropout, segment, row.keys[n]);
          *passed = factor * row.weights[n];
          dweights[n] = factor == 0 ? 0.0f
                                    : factor * dot(a_.value_dim, dout,
                                                   a_.v + key(row.keys[n], h, a_.value_dim));
        }
        row.backward_to_scores(dweights, a_.dlse ? a_.dlse[here] : 0.0f,
                               a_.dentropy ? a_.dentropy[here] : 0.0f);
        float* dscores = dscores_.data() + pairs_.first[at(i)] * a_.heads + h;
        for (std::size_t n = 0; n < row.keys.size(); ++n, dscores += a_.heads) {
          *dscores = row.dscores[n];
          if (*dscores == 0) continue;
          row.score_backward(a_.q + here * a_.dim, a_.k + key(row.keys[n], h, a_.dim), *dscores,
                             a_.dq + here * a_.dim, unused.data());
        }
      }
    }
  }

  void keys(std::int64_t begin, std::int64_t end) {
    AttendForm<float> form = form_;
    form.dweight = nullptr;
    AttendRow<float> row({a_.plan, a_.heads, a_.kv_heads, a_.dim, a_.q, a_.k, a_.scale, &form});
    std::vector<float> unused(at(a_.dim));
    for (std::int64_t j = begin; j < end; ++j) {
      for (std::int64_t x = pairs_.key_first[at(j)]; x < pairs_.key_first[at(j) + 1]; ++x) {
        const Pairs::Seen& seen = pairs_.seen[at(x)];
        for (std::int64_t h = 0; h < a_.heads; ++h) {
          const std::int64_t here = seen.row * a_.heads + h;
          add_scaled(a_.value_dim, passed_[at(seen.pair * a_.heads + h)],
                     a_.dout + here * a_.value_dim, a_.dv + key(j, h, a_.value_dim));
          const float ds = dscores_[at(seen.pair * a_.heads + h)];
          if (ds == 0) continue;
          row.take_head(h);
          row.score_backward(a_.q + here * a_.dim, a_.k + key(j, h, a_.dim), ds, unused.data(),
                             a_.dk + key(j, h, a_.dim));
        }
      }
    }
  }

  /// Where key j begins for query head h.
  std::int64_t key(std::int64_t j, std::int64_t h, std::int64_t dim) const {
    return (j * a_.kv_heads + h / group_) * dim;
  }

  const AttendBackward<float>& a_;
  const AttendForm<float>& form_;
  std::int64_t group_;
  Pairs pairs_;
  std::vector<float> passed_, dscores_;  // [pairs H]: weight behind dropout, gradient of the score
};

}  // namespace

void attend_lists(const Attend<float>& a) {
  const std::int64_t group = a.kv_heads > 0 ? a.heads / a.kv_heads : 1;
  const std::int64_t rows = a.plan->queries * a.heads;
  std::fill_n(a.out, rows * a.value_dim, 0.0f);
  std::fill_n(a.lse, rows, -std::numeric_limits<float>::infinity());
  if (a.entropy) std::fill_n(a.entropy, rows, 0.0f);
  const std::vector<Task> tasks = tasks_of(*a.plan);
  parallel_for(static_cast<std::int64_t>(tasks.size()), 1, [&](std::int64_t n, std::int64_t) {
    const Task& t = tasks[at(n)];
    const AttendPlan::Segment& segment = a.plan->segments[at(t.segment)];
    AttendRow<float> row({a.plan, a.heads, a.kv_heads, a.dim, a.q, a.k, a.scale, a.form});
    for (std::int64_t i = t.first; i < t.last; ++i) {
      row.find(i, segment, 0);
      if (row.keys.empty()) continue;
      for (std::int64_t h = 0; h < a.heads; ++h) {
        const std::int64_t here = i * a.heads + h;
        row.take_head(h);
        row.score();
        row.bias();
        row.weigh();
        a.lse[here] = row.result.statistic;
        if (a.entropy) a.entropy[here] = row.result.entropy;
        const Dropout dropout = attend_dropout(a.dropout, here);
        for (std::size_t m = 0; m < row.keys.size(); ++m) {
          const std::int64_t j = row.keys[m];
          add_scaled(a.value_dim, row.weights[m] * kept(dropout, segment, j),
                     a.v + (j * a.kv_heads + h / group) * a.value_dim, a.out + here * a.value_dim);
        }
      }
    }
  });
}

void attend_lists_backward(const AttendBackward<float>& a) {
  static const AttendForm<float> plain;
  std::fill_n(a.dq, a.plan->queries * a.heads * a.dim, 0.0f);
  std::fill_n(a.dk, a.plan->keys * a.kv_heads * a.dim, 0.0f);
  std::fill_n(a.dv, a.plan->keys * a.kv_heads * a.value_dim, 0.0f);
  ListBackward(a, a.form ? *a.form : plain).run();
}

}  // namespace qkv::kernels

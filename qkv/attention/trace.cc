#include "qkv/attention/trace.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "qkv/base/dims.h"
#include "qkv/kernels/attention/observe.h"

namespace qkv {
namespace {

struct View {
  std::shared_ptr<const kernels::AttendPlan> plan;
  kernels::AttendObserved observed{};
  std::int64_t queries, keys;
};

View view_of(const char* call, const Tensor& q, const Tensor& k, const Attention& how) {
  const Dims d(call, {{"q", q.shape(), "Tq H D"}, {"k", k.shape(), "Tk Hkv D"}});
  if (d["Hkv"] == 0 || d["H"] % d["Hkv"] != 0) {
    fail<ShapeError>("{}: H is {}, no multiple of Hkv {}", call, d["H"], d["Hkv"]);
  }
  View v{.plan = compile(how.mask, d["Tq"], d["Tk"]), .queries = d["Tq"], .keys = d["Tk"]};
  const double scale = std::get<ScaledDot>(how.score).scale;
  v.observed = {.plan = v.plan.get(),
                .heads = d["H"],
                .kv_heads = d["Hkv"],
                .dim = d["D"],
                .q = q.data(),
                .k = k.data(),
                .scale = scale != 0.0 ? scale : 1.0 / std::sqrt(static_cast<double>(d["D"]))};
  return v;
}

/// The mean over a band of queries of the sums over bands of keys, a few rows at a time.
Tensor small_map(const View& v, std::int64_t rows, std::int64_t cols) {
  rows = std::min(rows, v.queries);
  cols = std::min(cols, v.keys);
  Tensor map = Tensor::zeros({v.observed.heads, rows, cols});
  std::vector<float> row(static_cast<std::size_t>(v.keys));
  for (std::int64_t h = 0; h < v.observed.heads; ++h) {
    for (std::int64_t i = 0; i < v.queries; ++i) {
      kernels::attend_weights(v.observed, h, i, i + 1, row.data());
      const std::int64_t r = i * rows / v.queries;
      const std::int64_t begin = (r * v.queries + rows - 1) / rows;
      const std::int64_t end = ((r + 1) * v.queries + rows - 1) / rows;
      const float share = 1.0f / static_cast<float>(end - begin);
      float* to = map.data() + (h * rows + r) * cols;
      for (std::int64_t j = 0; j < v.keys; ++j) {
        to[j * cols / v.keys] += share * row[static_cast<std::size_t>(j)];
      }
    }
  }
  return map;
}

}  // namespace

Trace trace(const Tensor& q, const Tensor& k, const Attention& how, const TraceOptions& options) {
  const View v = view_of("trace", q, k, how);
  const std::int64_t heads = v.observed.heads, top = std::max<std::int64_t>(0, options.top);
  Trace t;
  t.top_keys.resize(static_cast<std::size_t>(v.queries * heads * top));
  t.top_weights = Tensor::empty({v.queries, heads, top});
  t.entropy = Tensor::empty({v.queries, heads});
  t.max_logit = Tensor::empty({v.queries, heads});
  t.lse = Tensor::empty({v.queries, heads});
  t.received = Tensor::empty({v.keys, heads});
  kernels::attend_summary(v.observed, {.top = top,
                                       .top_keys = t.top_keys.data(),
                                       .top_weights = t.top_weights.data(),
                                       .entropy = t.entropy.data(),
                                       .max_logit = t.max_logit.data(),
                                       .lse = t.lse.data(),
                                       .received = t.received.data()});
  if (options.map_rows > 0 && options.map_cols > 0) {
    t.map = small_map(v, options.map_rows, options.map_cols);
  }
  return t;
}

Tensor attention_weights(const Tensor& q, const Tensor& k, const Attention& how, std::int64_t first,
                         std::int64_t last) {
  const View v = view_of("attention_weights", q, k, how);
  if (first < 0 || last < first || last > v.queries) {
    fail<ShapeError>("attention_weights: rows [{}, {}) of {}", first, last, v.queries);
  }
  Tensor weights = Tensor::empty({v.observed.heads, last - first, v.keys});
  for (std::int64_t h = 0; h < v.observed.heads; ++h) {
    kernels::attend_weights(v.observed, h, first, last,
                            weights.data() + h * (last - first) * v.keys);
  }
  return weights;
}

Tensor attention_weights(const Tensor& q, const Tensor& k, const Attention& how) {
  return attention_weights(q, k, how, 0, q.dim(0));
}

}  // namespace qkv

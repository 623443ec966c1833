#include "qkv/attention/trace.h"

#include <algorithm>

#include "qkv/attention/form.h"
#include "qkv/attention/linear.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/kernels/attention/observe.h"

namespace qkv {
namespace {

/// A call as the kernels look at it; nothing is recorded.
struct View {
  View(const char* name, const Tensor& q, const Tensor& k, const Attention& how)
      : call(name, q, k, Tensor(), how), form(call.form<float>()) {
    observed = {call.plan.get(), call.heads,    call.kv_heads, call.dim,
                call.q.data(),   call.k.data(), call.scale,    call.plain() ? nullptr : &form};
  }
  NoRecording quiet;
  AttendCall call;
  kernels::AttendForm<float> form;
  kernels::AttendObserved observed{};
};

}  // namespace

Trace trace(const Tensor& q, const Tensor& k, const Attention& how, const TraceOptions& options) {
  const View v("trace", q, k, how);
  const std::int64_t queries = v.call.plan->queries, keys = v.call.plan->keys;
  const std::int64_t heads = v.call.heads, top = std::max<std::int64_t>(0, options.top);
  Trace t;
  t.top_keys.resize(static_cast<std::size_t>(queries * heads * top));
  t.top_weights = Tensor::empty({queries, heads, top});
  t.entropy = Tensor::empty({queries, heads});
  t.max_logit = Tensor::empty({queries, heads});
  t.lse = Tensor::empty({queries, heads});
  t.received = Tensor::empty({keys, heads});
  kernels::AttendSummary s{.top = top,
                           .top_keys = t.top_keys.data(),
                           .top_weights = t.top_weights.data(),
                           .entropy = t.entropy.data(),
                           .max_logit = t.max_logit.data(),
                           .lse = t.lse.data(),
                           .received = t.received.data()};
  if (options.map_rows > 0 && options.map_cols > 0) {
    s.map_rows = std::min(options.map_rows, queries);
    s.map_cols = std::min(options.map_cols, keys);
    s.map_largest = options.map_by == MapBy::largest;
    t.map = Tensor::empty({heads, s.map_rows, s.map_cols});
    s.map = t.map.count() > 0 ? t.map.data() : nullptr;
  }
  kernels::attend_summary(v.observed, s);
  return t;
}

Tensor attention_weights(const Tensor& q, const Tensor& k, const Attention& how,
                         kernels::Interval rows, kernels::Interval keys) {
  if (std::holds_alternative<FeatureProduct>(how.score)) {
    return linear_weights(q, k, linear_form("attention_weights", how), rows, keys);
  }
  const View v("attention_weights", q, k, how);
  const auto inside = [](const kernels::Interval& x, std::int64_t count) {
    return x.begin >= 0 && x.begin <= x.end && x.end <= count;
  };
  if (!inside(rows, v.call.plan->queries) || !inside(keys, v.call.plan->keys)) {
    fail<ShapeError>("attention_weights: rows [{}, {}) and keys [{}, {}) of q {} and k {}",
                     rows.begin, rows.end, keys.begin, keys.end, to_string(q.shape()),
                     to_string(k.shape()));
  }
  const std::int64_t high = rows.end - rows.begin, wide = keys.end - keys.begin;
  Tensor weights = Tensor::empty({v.call.heads, high, wide});
  for (std::int64_t h = 0; h < v.call.heads; ++h) {
    kernels::attend_weights(v.observed, h, rows.begin, rows.end, keys,
                            weights.data() + h * high * wide);
  }
  return weights;
}

Tensor attention_weights(const Tensor& q, const Tensor& k, const Attention& how, std::int64_t first,
                         std::int64_t last) {
  return attention_weights(q, k, how, {first, last}, {0, k.dim(0)});
}

Tensor attention_weights(const Tensor& q, const Tensor& k, const Attention& how) {
  return attention_weights(q, k, how, 0, q.dim(0));
}

}  // namespace qkv

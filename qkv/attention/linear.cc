#include "qkv/attention/linear.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "qkv/attention/observer.h"
#include "qkv/base/dims.h"
#include "qkv/kernels/attention/linear.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

using Plan = std::vector<kernels::LinearSegment>;

kernels::LinearMap kernel_map(const FeatureMap& map) {
  if (std::holds_alternative<EluPlusOne>(map)) return kernels::LinearMap::elu_plus_one;
  if (std::holds_alternative<ReluMap>(map)) return kernels::LinearMap::relu;
  return kernels::LinearMap::identity;  // applied beforehand
}

/// φ(x) of a map of one's own; x itself for those inside the kernels.
Tensor features(const char* call, const char* name, const FeatureMap& map, const Tensor& x) {
  const UserMap* user = std::get_if<UserMap>(&map);
  if (!user) return x;
  if (!*user) fail("{}: the feature map is an empty function", call);
  Tensor phi = (*user)(x);
  if (phi.shape().rank() != 3 || phi.dim(0) != x.dim(0) || phi.dim(1) != x.dim(1) ||
      phi.dtype() != x.dtype()) {
    fail<ShapeError>("{}: the feature map turned {} {} into {}, expected [T H F] = [{}, {}, F]",
                     call, name, to_string(x.shape()), to_string(phi.shape()), x.dim(0), x.dim(1));
  }
  return phi;
}

/// φ(x) of any map, in double.
Tensor plain_features(const char* call, const FeatureMap& map, const Tensor& x) {
  Tensor phi = features(call, "x", map, x).to(DType::f64).clone();
  if (std::holds_alternative<UserMap>(map)) return phi;
  const bool relu = std::holds_alternative<ReluMap>(map);
  for (std::int64_t i = 0; i < phi.count(); ++i) {
    double& z = phi.data<double>()[i];
    z = z > 0 ? (relu ? z : z + 1) : (relu ? 0.0 : std::exp(z));
  }
  return phi;
}

/// Whether some key of a sequence is hidden by its valid length.
bool hides_keys(const Plan& plan) {
  return std::any_of(plan.begin(), plan.end(),
                     [](const auto& s) { return s.seen < s.k_end - s.k_begin; });
}

/// k with zeros in the rows of hidden keys, and no gradient to them: a map of one's own must not
/// meet the NaN that may stand there.
Tensor without_hidden(const Tensor& k, const std::shared_ptr<const Plan>& plan) {
  const auto hide = [plan](const Tensor& from) {
    Tensor to = from.clone();
    const std::int64_t width = from.dim(1) * from.dim(2);
    dispatch(to, [&](auto zero) {
      using T = decltype(zero);
      for (const kernels::LinearSegment& s : *plan) {
        std::fill(to.data<T>() + (s.k_begin + s.seen) * width, to.data<T>() + s.k_end * width,
                  T{0});
      }
    });
    return to;
  };
  Tensor y = hide(k);
  record(y, {&k}, [k, hide](const Tensor& dy) { accumulate(k, hide(dy)); });
  return y;
}

Plan make_plan(const char* call, const LinearAttention& how, const Segments* queries,
               std::int64_t rows, std::int64_t key_rows) {
  const Segments one_query = Segments::one(rows), one_key = Segments::one(key_rows);
  const bool packed = how.segments.count() > 0 || how.key_segments.count() > 0;
  const Segments& q = packed ? *queries : one_query;
  const Segments& k = !packed                        ? one_key
                      : how.key_segments.count() > 0 ? how.key_segments
                                                     : how.segments;
  if (q.count() != k.count() || q.total() != rows || k.total() != key_rows) {
    fail<ShapeError>("{}: {} query rows in {} sequences of {}, {} keys in {} sequences of {}", call,
                     rows, q.count(), q.total(), key_rows, k.count(), k.total());
  }
  if (!how.lengths.empty() && static_cast<std::int64_t>(how.lengths.size()) != k.count()) {
    fail<ShapeError>("{}: {} valid lengths for {} sequences", call, how.lengths.size(), k.count());
  }
  Plan plan;
  for (std::int64_t b = 0; b < k.count(); ++b) {
    const std::int64_t seen =
        how.lengths.empty() ? k.length(b) : how.lengths[static_cast<std::size_t>(b)];
    if (seen < 0 || seen > k.length(b)) {
      fail<ShapeError>("{}: valid length {} of sequence {}, which has {} keys", call, seen, b,
                       k.length(b));
    }
    plan.push_back({q.begin(b), q.end(b), k.begin(b), k.end(b), seen});
  }
  return plan;
}

struct Call {
  std::shared_ptr<const Plan> plan;
  std::int64_t heads, kv_heads, dim, value_dim;
  kernels::LinearMap map;
  bool causal;
  double eps;
};

template <class T>
kernels::LinearInputs<T> inputs(const Call& c, const Tensor* q, const Tensor& k, const Tensor& v) {
  kernels::LinearInputs<T> in{};
  in.segments = *c.plan;
  in.heads = c.heads;
  in.kv_heads = c.kv_heads;
  in.dim = c.dim;
  in.value_dim = c.value_dim;
  in.map = c.map;
  in.causal = c.causal;
  in.eps = c.eps;
  in.q = q ? q->data<T>() : nullptr;
  in.k = k.data<T>();
  in.v = v.data<T>();
  return in;
}

/// f(), with definitions only where `run` says so.
template <class F>
void execute(Execution run, F&& f) {
  if (run == Execution::definition) {
    const DefinitionOnly slow;
    f();
  } else {
    f();
  }
}

void check_heads(const char* call, std::int64_t heads, std::int64_t kv_heads, const Tensor& q) {
  if (kv_heads == 0 || heads % kv_heads != 0) {
    fail<ShapeError>("{}: H is {}, no multiple of Hkv {}; q {}", call, heads, kv_heads,
                     to_string(q.shape()));
  }
}

Tensor recorded(const Call& c, Execution run, const Tensor& q, const Tensor& k, const Tensor& v) {
  Tensor out = Tensor::empty({q.dim(0), c.heads, c.value_dim}, q.dtype());
  Tensor inverse = Tensor::empty({q.dim(0), c.heads}, q.dtype());
  execute(run, [&] {
    dispatch(q, [&](auto zero) {
      using T = decltype(zero);
      kernels::LinearAttend<T> a{inputs<T>(c, &q, k, v), out.data<T>(), inverse.data<T>()};
      kernels_for<T>().linear_attend(a);
    });
  });
  const Tensor saved = out.reshaped(out.shape());
  record(out, {&q, &k, &v}, [q, k, v, saved, inverse, c, run](const Tensor& dout) {
    Tensor dq = Tensor::empty(q.shape(), q.dtype());
    Tensor dk = Tensor::empty(k.shape(), k.dtype());
    Tensor dv = Tensor::empty(v.shape(), v.dtype());
    execute(run, [&] {
      dispatch(q, [&](auto zero) {
        using T = decltype(zero);
        kernels::LinearAttendBackward<T> a{
            inputs<T>(c, &q, k, v), saved.data<T>(), inverse.data<T>(), dout.data<T>(),
            dq.data<T>(),           dk.data<T>(),    dv.data<T>()};
        kernels_for<T>().linear_attend_backward(a);
      });
    });
    accumulate(q, std::move(dq));
    accumulate(k, std::move(dk));
    accumulate(v, std::move(dv));
  });
  return out;
}

/// A step with k, or a look without.
Tensor step(const char* call, const LinearState& state, const Tensor& q, const Tensor* k,
            const Tensor* v, const LinearAttention& how) {
  const NoRecording off;
  const Tensor query = features(call, "q", how.map, q);
  const Tensor key = k ? features(call, "k", how.map, *k) : Tensor();
  const Dims d(call, {{"q", query.shape(), "B H D"},
                      {"s", state.s.shape(), "B Hkv D Dv"},
                      {"z", state.z.shape(), "B Hkv D"}});
  if (k) {
    Dims(call, {{"k", key.shape(), "B Hkv D"},
                {"v", v->shape(), "B Hkv Dv"},
                {"s", state.s.shape(), "B Hkv D Dv"}});
    check_types(call, query, {&key, v});
  }
  check_types(call, query, {&state.s, &state.z});
  check_heads(call, d["H"], d["Hkv"], query);
  Tensor out = Tensor::empty({d["B"], d["H"], d["Dv"]}, q.dtype());
  LinearState sums = state;
  execute(how.run, [&] {
    dispatch(query, [&](auto zero) {
      using T = decltype(zero);
      kernels::LinearStep<T> a{};
      a.rows = d["B"];
      a.heads = d["H"];
      a.kv_heads = d["Hkv"];
      a.dim = d["D"];
      a.value_dim = d["Dv"];
      a.map = kernel_map(how.map);
      a.eps = how.eps;
      a.q = query.data<T>();
      a.k = data_or_null<T>(key);
      a.v = k ? v->data<T>() : nullptr;
      a.s = sums.s.data<T>();
      a.z = sums.z.data<T>();
      a.out = out.data<T>();
      kernels_for<T>().linear_step(a);
    });
  });
  return out;
}

/// What each row of a step gives to its own key; [H R C], zero but for keys of the rows themselves.
Tensor own_weights(const LinearState& state, const Tensor& q, const Tensor& k,
                   const LinearAttention& how, kernels::Interval rows, kernels::Interval keys) {
  const Tensor query = plain_features("linear_step", how.map, q);
  const Tensor key = plain_features("linear_step", how.map, k), z = state.z.to(DType::f64);
  const std::int64_t heads = query.dim(1), kv_heads = key.dim(1), width = query.dim(2);
  const std::int64_t high = rows.end - rows.begin, wide = keys.end - keys.begin;
  Tensor weights = Tensor::zeros({heads, high, wide});
  for (std::int64_t i = std::max(rows.begin, keys.begin); i < std::min(rows.end, keys.end); ++i) {
    for (std::int64_t h = 0; h < heads; ++h) {
      const std::int64_t at = (i * kv_heads + h / (heads / kv_heads)) * width;
      const double* a = query.data<double>() + (i * heads + h) * width;
      const double own = std::inner_product(a, a + width, key.data<double>() + at, 0.0);
      const double sum = std::inner_product(a, a + width, z.data<double>() + at, how.eps);
      if (!(sum >= std::numeric_limits<double>::min())) continue;
      weights.data()[(h * high + i - rows.begin) * wide + i - keys.begin] =
          static_cast<float>(own / sum);
    }
  }
  return weights;
}

/// Rows parents[b] of x, zeros for −1.
Tensor gathered(const Tensor& x, std::span<const std::int32_t> parents) {
  Shape shape = x.shape();
  shape[0] = static_cast<std::int64_t>(parents.size());
  Tensor y = Tensor::empty(shape, x.dtype());
  const std::int64_t width =
      x.dim(0) > 0 ? x.count() / x.dim(0) : y.count() / std::max<std::int64_t>(1, shape[0]);
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    T* to = y.data<T>();
    for (const std::int32_t parent : parents) {
      if (parent < 0) {
        std::fill_n(to, width, T{0});
      } else {
        std::copy_n(x.data<T>() + parent * width, width, to);
      }
      to += width;
    }
  });
  return y;
}

}  // namespace

Tensor linear_attend(const Tensor& q, const Tensor& k, const Tensor& v,
                     const LinearAttention& how) {
  const char* const call = "linear_attend";
  const Dims given(
      call,
      {{"q", q.shape(), "Tq H D"}, {"k", k.shape(), "Tk Hkv D"}, {"v", v.shape(), "Tk Hkv Dv"}});
  check_types(call, q, {&k, &v});
  check_heads(call, given["H"], given["Hkv"], q);
  const auto plan =
      std::make_shared<const Plan>(make_plan(call, how, &how.segments, given["Tq"], given["Tk"]));
  if (attention_observed()) {
    tell_observer({.kind = AttentionKind::linear,
                   .q = q,
                   .k = k,
                   .linear = &how,
                   .keys = k.dim(0),
                   .weights_of = [&](auto rows, auto keys) {
                     return linear_weights(q, k, how, rows, keys);
                   }});
  }
  const bool user = std::holds_alternative<UserMap>(how.map);
  const Tensor query = features(call, "q", how.map, q);
  const Tensor key =
      features(call, "k", how.map, user && hides_keys(*plan) ? without_hidden(k, plan) : k);
  const Dims d(call, {{"φ(q)", query.shape(), "Tq H F"}, {"φ(k)", key.shape(), "Tk Hkv F"}});
  return recorded(
      {plan, d["H"], d["Hkv"], d["F"], given["Dv"], kernel_map(how.map), how.causal, how.eps},
      how.run, query, key, v);
}

void LinearState::reorder(std::span<const std::int32_t> parents) {
  for (std::int32_t parent : parents) {
    if (parent < -1 || parent >= rows()) fail("state: parent {} of {} rows", parent, rows());
  }
  s = gathered(s, parents);
  z = gathered(z, parents);
}

LinearState LinearState::row(std::int64_t b) const {
  LinearState one = *this;
  const std::int32_t parent = static_cast<std::int32_t>(b);
  one.reorder(std::span(&parent, 1));
  return one;
}

void LinearState::set_row(std::int64_t b, const LinearState& one) {
  const auto put = [b](Tensor& to, const Tensor& from) {
    if (!to.unique()) to = to.clone();
    dispatch(to, [&](auto zero) {
      using T = decltype(zero);
      std::copy_n(from.data<T>(), from.count(), to.data<T>() + b * from.count());
    });
  };
  if (b < 0 || b >= rows() || one.rows() != 1 || one.s.count() * rows() != s.count() ||
      one.z.count() * rows() != z.count()) {
    fail<ShapeError>("state: row {} of {} cannot become {}", b, to_string(s.shape()),
                     to_string(one.s.shape()));
  }
  put(s, one.s);
  put(z, one.z);
}

LinearState linear_state(std::int64_t rows, std::int64_t kv_heads, std::int64_t dim,
                         std::int64_t value_dim, DType type) {
  return {Tensor::zeros({rows, kv_heads, dim, value_dim}, type),
          Tensor::zeros({rows, kv_heads, dim}, type)};
}

LinearState linear_state(const Tensor& k, const Tensor& v, const LinearAttention& how) {
  const char* const call = "linear_state";
  const NoRecording off;
  const Dims given(call, {{"k", k.shape(), "Tk Hkv D"}, {"v", v.shape(), "Tk Hkv Dv"}});
  check_types(call, k, {&v});
  const Segments& keys = how.key_segments.count() > 0 ? how.key_segments : how.segments;
  const auto plan = std::make_shared<const Plan>(
      make_plan(call, how, &keys, keys.count() > 0 ? keys.total() : given["Tk"], given["Tk"]));
  const bool user = std::holds_alternative<UserMap>(how.map);
  const Tensor key =
      features(call, "k", how.map, user && hides_keys(*plan) ? without_hidden(k, plan) : k);
  const std::int64_t kv_heads = given["Hkv"], dim = key.dim(2);
  LinearState state{
      Tensor::empty({static_cast<std::int64_t>(plan->size()), kv_heads, dim, given["Dv"]},
                    k.dtype()),
      Tensor::empty({static_cast<std::int64_t>(plan->size()), kv_heads, dim}, k.dtype())};
  const Call c{plan, kv_heads, kv_heads, dim, given["Dv"], kernel_map(how.map), false, how.eps};
  execute(how.run, [&] {
    dispatch(k, [&](auto zero) {
      using T = decltype(zero);
      kernels::LinearSums<T> a{inputs<T>(c, nullptr, key, v), state.s.data<T>(), state.z.data<T>()};
      kernels_for<T>().linear_sums(a);
    });
  });
  return state;
}

LinearAttention linear_form(const char* call, const Attention& how) {
  const auto* score = std::get_if<FeatureProduct>(&how.score);
  if (!score) fail("{}: linear attention needs the score FeatureProduct", call);
  if (!how.bias.empty()) fail("{}: linear attention has no scores that a bias could act on", call);
  if (!std::holds_alternative<Softmax>(how.norm)) {
    fail("{}: linear attention divides by the sum (Softmax), it has no other normaliser", call);
  }
  if (how.dropout != 0.0) fail("{}: linear attention has no weights for dropout", call);
  const std::optional<MaskBand> band = band_of(how.mask);
  const bool causal = band && band->right == 0;
  if (!band || band->left < MaskBand::kFar || (!causal && band->right < MaskBand::kFar)) {
    fail("{}: linear attention cannot honour the mask {}; it takes segments, causal and lengths",
         call, to_string(how.mask));
  }
  LinearAttention form{.map = score->map, .causal = causal, .eps = score->eps, .run = how.run};
  if (band->queries) {
    form.segments = *band->queries;
    form.key_segments = *band->keys;
  }
  if (band->lengths) form.lengths = *band->lengths;
  return form;
}

Tensor linear_weights(const Tensor& q, const Tensor& k, const LinearAttention& how,
                      kernels::Interval rows, kernels::Interval keys) {
  const char* const call = "linear_weights";
  const NoRecording off;
  const Dims d(call, {{"q", q.shape(), "Tq H D"}, {"k", k.shape(), "Tk Hkv D"}});
  check_heads(call, d["H"], d["Hkv"], q);
  const Plan plan = make_plan(call, how, &how.segments, d["Tq"], d["Tk"]);
  const Tensor query = plain_features(call, how.map, q), key = plain_features(call, how.map, k);
  const std::int64_t heads = d["H"], kv_heads = d["Hkv"], width = query.dim(2);
  const std::int64_t high = rows.end - rows.begin, wide = keys.end - keys.begin;
  Tensor weights = Tensor::zeros({heads, high, wide});
  std::vector<double> product;
  for (const kernels::LinearSegment& s : plan) {
    for (std::int64_t i = std::max(rows.begin, s.q_begin); i < std::min(rows.end, s.q_end); ++i) {
      const std::int64_t place = i - s.q_begin + (s.k_end - s.k_begin) - (s.q_end - s.q_begin);
      const std::int64_t seen =
          how.causal ? std::clamp<std::int64_t>(place + 1, 0, s.seen) : s.seen;
      for (std::int64_t h = 0; h < heads; ++h) {
        const double* a = query.data<double>() + (i * heads + h) * width;
        product.clear();
        double sum = how.eps;
        for (std::int64_t j = s.k_begin; j < s.k_begin + seen; ++j) {
          const double* b = key.data<double>() + (j * kv_heads + h / (heads / kv_heads)) * width;
          product.push_back(std::inner_product(a, a + width, b, 0.0));
          sum += product.back();
        }
        if (!(sum >= std::numeric_limits<double>::min())) continue;
        float* to = weights.data() + (h * high + i - rows.begin) * wide;
        for (std::int64_t j = std::max(keys.begin, s.k_begin);
             j < std::min(keys.end, s.k_begin + seen); ++j) {
          to[j - keys.begin] =
              static_cast<float>(product[static_cast<std::size_t>(j - s.k_begin)] / sum);
        }
      }
    }
  }
  return weights;
}

Tensor linear_step(LinearState& state, const Tensor& q, const Tensor& k, const Tensor& v,
                   const LinearAttention& how) {
  if (!state.s.unique()) state.s = state.s.clone();
  if (!state.z.unique()) state.z = state.z.clone();
  const Tensor out = step("linear_step", state, q, &k, &v, how);
  if (attention_observed()) {
    tell_observer({.kind = AttentionKind::linear_step,
                   .q = q,
                   .k = k,
                   .linear = &how,
                   .keys = k.dim(0),
                   .texts = k.dim(0),
                   .weights_of = [&](auto rows, auto keys) {
                     return own_weights(state, q, k, how, rows, keys);
                   }});
  }
  return out;
}

Tensor linear_read(const LinearState& state, const Tensor& q, const LinearAttention& how) {
  return step("linear_read", state, q, nullptr, nullptr, how);
}

}  // namespace qkv

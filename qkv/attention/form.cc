#include "qkv/attention/form.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "qkv/base/dims.h"
#include "qkv/ops/dispatch.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/features.h"
#include "qkv/ops/heads.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using Term = kernels::BiasTerm<double>;

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

/// 1/√D; no features at all score 0, whatever the factor.
double inverse_root(std::int64_t dim) {
  return dim == 0 ? 1.0 : 1.0 / std::sqrt(static_cast<double>(dim));
}

/// For each row the first key of its sequence; −1 outside all sequences.
std::vector<std::int64_t> first_keys(const kernels::AttendPlan& plan, bool of_queries) {
  std::vector<std::int64_t> first(static_cast<std::size_t>(of_queries ? plan.queries : plan.keys),
                                  -1);
  for (const auto& s : plan.segments) {
    if (s.k_begin == s.k_end) continue;
    const std::int64_t begin = of_queries ? s.q_begin : s.k_begin;
    const std::int64_t end = of_queries ? s.q_end : s.k_end;
    std::fill(first.begin() + begin, first.begin() + end, s.k_begin);
  }
  return first;
}

/// How far keys may lie before and behind the place of a row.
struct Reach {
  std::int64_t left = 0, right = 0;
};
Reach reach_of(const kernels::AttendPlan& plan, bool top_left) {
  Reach reach;
  for (const auto& s : plan.segments) {
    const std::int64_t queries = s.q_end - s.q_begin, keys = s.k_end - s.k_begin;
    if (queries == 0 || keys == 0) continue;
    reach.left = std::max(reach.left, (top_left ? queries : keys) - 1);
    reach.right = std::max(reach.right, (top_left ? keys : queries) - 1);
  }
  return reach;
}

}  // namespace

AttendCall::AttendCall(const char* name, const Tensor& query, const Tensor& key,
                       const Tensor& value, const Attention& how)
    : q(query), k(key), v(value), name_(name), how_(std::make_shared<const Attention>(how)) {
  const Dims d(name, {{"q", q.shape(), "Tq H Dq"}, {"k", k.shape(), "Tk Hkv Dk"}});
  check_types(name, q, {&k, &v});
  heads = d["H"];
  kv_heads = d["Hkv"];
  if (kv_heads == 0 || heads % kv_heads != 0) {
    fail<ShapeError>("{}: H is {}, no multiple of Hkv {}; q {}, k {}", name, heads, kv_heads,
                     to_string(q.shape()), to_string(k.shape()));
  }
  if (v.defined()) {
    const Dims with_value(name, {{"k", k.shape(), "Tk Hkv Dk"}, {"v", v.shape(), "Tk Hkv Dv"}});
    value_dim = with_value["Dv"];
  }
  plan = compile(how.mask, d["Tq"], d["Tk"]);
  take_score(how_->score);
  if (q.dim(2) != k.dim(2)) {
    fail<ShapeError>("{}: D is {} in q and {} in k; q {}, k {}", name, q.dim(2), k.dim(2),
                     to_string(query.shape()), to_string(key.shape()));
  }
  dim = q.dim(2);
  for (const Bias& bias : how_->bias) take_bias(bias, query);
  take_norm(how_->norm);
}

std::size_t AttendCall::keep(const Tensor& parameter) {
  check_types(name_, q, {&parameter});
  parameters_.push_back(parameter);
  return parameters_.size() - 1;
}

Tensor AttendCall::product_of(const Tensor& x, const Tensor& matrix, const char* what) const {
  const int rank = matrix.shape().rank();
  const bool fits =
      (rank == 2 || (rank == 3 && matrix.dim(0) == x.dim(1))) && matrix.dim(rank - 2) == x.dim(2);
  if (!fits) {
    fail<ShapeError>("{}: {} {} does not fit x [T H D] = {}; it takes [D E] or [H D E]", name_,
                     what, to_string(matrix.shape()), to_string(x.shape()));
  }
  return project_heads(x, matrix);
}

void AttendCall::measure_distances(const Gaussian& g) {
  if (g.factor.defined()) {
    q = product_of(q, g.factor, "Gaussian::factor");
    k = product_of(k, g.factor, "Gaussian::factor");
  } else if (g.inverse_width.defined()) {
    const Tensor w = reshape(g.inverse_width, {1, g.inverse_width.count()});
    q = scale_features(q, w);
    k = scale_features(k, w);
  } else if (g.width != 1.0) {
    if (!(g.width > 0)) fail<ShapeError>("{}: Gaussian::width {} is not above 0", name_, g.width);
    q = qkv::scale(q, 1.0 / g.width);
    k = qkv::scale(k, 1.0 / g.width);
  }
  if (q.dim(2) != k.dim(2)) return;  // reported by the caller
  DistanceSides sides = distance_sides(q, k, first_keys(*plan, true), first_keys(*plan, false));
  q = sides.q;
  k = sides.k;
}

void AttendCall::take_score(const Score& score) {
  const auto additive = [&](const Tensor& weight, const UnitActivation& activation) {
    const std::int64_t units = q.dim(2);
    const bool shared = weight.shape() == Shape{units};
    if (!shared && weight.shape() != Shape{heads, units}) {
      fail<ShapeError>("{}: Additive::weight {} is neither [A] nor [H A] with H {} and A {}", name_,
                       to_string(weight.shape()), heads, units);
    }
    plain_ = false;
    form_.score = kernels::ScoreForm::additive;
    form_.weight_stride = shared ? 0 : units;
    if (const auto* leaky = std::get_if<LeakyRelu>(&activation)) {
      if (!std::isfinite(leaky->slope)) {
        fail<ShapeError>("{}: LeakyRelu::slope {} is no number", name_, leaky->slope);
      }
      form_.activation = kernels::UnitActivation::leaky_relu;
      form_.slope = leaky->slope;
    }
    weight_ = keep(weight);
  };
  std::visit(
      Overloaded{
          [&](const ScaledDot& s) { scale = s.scale != 0.0 ? s.scale : inverse_root(q.dim(2)); },
          [&](const General& s) {
            scale = s.scale;
            const bool a_head = s.weight.shape().rank() == 3;
            if (k.dim(0) * kv_heads < q.dim(0) * heads && (!a_head || heads == kv_heads)) {
              k = product_of(k, transposed(s.weight), "General::weight (transposed)");
            } else {
              q = product_of(q, s.weight, "General::weight");
            }
          },
          [&](const Additive& s) {
            if (s.query.defined()) q = product_of(q, s.query, "Additive::query");
            if (s.key.defined()) k = product_of(k, s.key, "Additive::key");
            additive(s.weight, s.activation);
          },
          [&](const Concat& s) {
            const Dims d(name_, {{"Concat::matrix", s.matrix.shape(), "Dqk A"}});
            if (d["Dqk"] != q.dim(2) + k.dim(2)) {
              fail<ShapeError>("{}: Concat::matrix {} has not Dq + Dk = {} + {} rows", name_,
                               to_string(s.matrix.shape()), q.dim(2), k.dim(2));
            }
            std::vector<std::int64_t> rows(static_cast<std::size_t>(d["Dqk"]));
            for (std::size_t n = 0; n < rows.size(); ++n) rows[n] = static_cast<std::int64_t>(n);
            const std::span<const std::int64_t> all(rows);
            const auto split = static_cast<std::size_t>(q.dim(2));
            q = project_heads(q, select_rows(s.matrix, all.first(split)));
            k = project_heads(k, select_rows(s.matrix, all.subspan(split)));
            additive(s.weight, Tanh{});
          },
          [&](const Cosine& s) {
            scale = s.scale;
            q = unit_rows(q);
            k = unit_rows(k);
            if (s.temperature.defined()) {
              q = scale_features(q, reshape(s.temperature, {s.temperature.count(), 1}));
            }
          },
          [&](const Gaussian& s) { measure_distances(s); },
          [&](const L1& s) {
            scale = s.scale;
            plain_ = false;
            form_.score = kernels::ScoreForm::l1;
          },
          [&](const FeatureProduct&) {
            fail(
                "{}: a FeatureProduct has no scores to go over; attend() and attention_weights() "
                "take it",
                name_);
          },
          [&](const PairScore& s) {
            plain_ = false;
            form_.score = kernels::ScoreForm::pair;
            form_.pair = &s;
          }},
      score);
}

Tensor AttendCall::by_distance(const Tensor& table, const DistanceBias::Bucket& bucket,
                               Term& term) const {
  const Reach reach = reach_of(*plan, term.top_left);
  const std::int64_t size = table.dim(1), radius = (size - 1) / 2;
  term.left = reach.left;
  term.size = reach.left + reach.right + 1;
  std::vector<std::int64_t> columns;
  for (std::int64_t distance = -reach.left; distance <= reach.right; ++distance) {
    const std::int64_t at =
        bucket ? bucket(distance) : std::clamp(distance, -radius, radius) + radius;
    if (at < 0 || at >= size) {
      fail<ShapeError>("{}: distance {} falls into bucket {} of {}", name_, distance, at, size);
    }
    columns.push_back(at);
  }
  return select_columns(table, columns);
}

Tensor AttendCall::alibi(const Alibi& b, Term& term) const {
  term.kind = Term::Kind::distance;
  term.top_left = b.alignment == Alignment::top_left;
  const Reach reach = reach_of(*plan, term.top_left);
  term.left = reach.left;
  term.size = term.head_stride = reach.left + reach.right + 1;
  std::vector<double> distances;
  for (std::int64_t d = -reach.left; d <= reach.right; ++d) {
    distances.push_back(-static_cast<double>(std::abs(d)));
  }
  const Tensor slopes = b.slopes.defined()
                            ? b.slopes
                            : Tensor::of(alibi_slopes(heads, b.bias_max), {heads}).to(q.dtype());
  if (slopes.shape() != Shape{heads}) {
    fail<ShapeError>("{}: Alibi::slopes {} is not [H] = [{}]", name_, to_string(slopes.shape()),
                     heads);
  }
  return matmul(reshape(slopes, {heads, 1}), Tensor::of(distances, {1, term.size}).to(q.dtype()));
}

void AttendCall::take_strides(const TensorBias& b, const Dims& d, Term& term) const {
  term.kind = Term::Kind::tensor;
  term.packed = b.packed;
  term.row_stride = d["N"] == 1 ? 0 : d["M"];
  term.key_stride = d["M"] == 1 ? 0 : 1;
  std::int64_t rows = b.packed ? plan->queries : 0, keys = b.packed ? plan->keys : 0;
  for (const auto& s : plan->segments) {
    rows = std::max(rows, s.q_end - s.q_begin);
    keys = std::max(keys, s.k_end - s.k_begin);
  }
  if ((d["N"] != 1 && d["N"] < rows) || (d["M"] != 1 && d["M"] < keys)) {
    fail<ShapeError>("{}: TensorBias::tensor {} does not cover {} rows and {} keys", name_,
                     to_string(b.tensor.shape()), rows, keys);
  }
}

void AttendCall::take_bias(const Bias& bias, const Tensor& q_before) {
  plain_ = false;
  Term term;
  Tensor values;
  const auto head_axis = [&](const Tensor& t, const char* what) {
    if (t.dim(0) != 1 && t.dim(0) != heads) {
      fail<ShapeError>("{}: {} {} has neither 1 nor H = {} heads", name_, what,
                       to_string(t.shape()), heads);
    }
    return t.dim(0) == 1 ? std::int64_t{0} : t.count() / t.dim(0);
  };
  std::visit(Overloaded{[&](const SoftCap& b) {
                          if (!(b.cap > 0))
                            fail<ShapeError>("{}: SoftCap::cap {} is not above 0", name_, b.cap);
                          term.kind = Term::Kind::soft_cap;
                          term.cap = b.cap;
                        },
                        [&](const Alibi& b) { values = alibi(b, term); },
                        [&](const DistanceBias& b) {
                          const Dims d(name_, {{"DistanceBias::table", b.table.shape(), "A R"}});
                          term.kind = Term::Kind::distance;
                          term.top_left = b.alignment == Alignment::top_left;
                          values = by_distance(b.table, b.bucket, term);
                          term.head_stride = head_axis(values, "DistanceBias::table");
                        },
                        [&](const ShawBias& b) {
                          const Tensor by_row =
                              product_of(q_before, transposed(b.table), "ShawBias::table");
                          const Tensor scaled = qkv::scale(
                              by_row, b.scale != 0.0 ? b.scale : inverse_root(q_before.dim(2)));
                          term.kind = Term::Kind::row_table;
                          term.top_left = b.alignment == Alignment::top_left;
                          term.size = scaled.dim(2);
                          term.left = (term.size - 1) / 2;
                          values = scaled;
                        },
                        [&](const TensorBias& b) {
                          const Dims d(name_, {{"TensorBias::tensor", b.tensor.shape(), "A N M"}});
                          term.head_stride = head_axis(b.tensor, "TensorBias::tensor");
                          take_strides(b, d, term);
                          values = b.tensor;
                        },
                        [&](const FunctionBias& b) {
                          term.kind = Term::Kind::function;
                          term.function = &b;
                        }},
             bias);
  form_.biases.push_back(term);
  bias_values_.push_back(values.defined() ? keep(values) : kNone);
}

void AttendCall::take_norm(const Normaliser& norm) {
  using Kind = kernels::NormForm<double>::Kind;
  kernels::NormForm<double>& f = form_.norm;
  std::visit(Overloaded{[&](const Softmax&) { f.kind = Kind::softmax; },
                        [&](const SoftmaxSink& n) {
                          f.kind = Kind::sink;
                          if (!n.sink.defined()) return;
                          if (n.sink.shape() != Shape{heads}) {
                            fail<ShapeError>("{}: SoftmaxSink::sink {} is not [H] = [{}]", name_,
                                             to_string(n.sink.shape()), heads);
                          }
                          sink_ = keep(n.sink);
                        },
                        [&](const Relu& n) {
                          f.kind = Kind::relu;
                          f.mean = n.mean;
                        },
                        [&](const Sigmoid& n) {
                          f.kind = Kind::sigmoid;
                          f.shift = n.shift;
                        },
                        [&](const KernelSum& n) {
                          f.kind = Kind::kernel_sum;
                          f.window = n.window;
                        },
                        [&](const Sparsemax&) { f.kind = Kind::sparsemax; },
                        [&](const Entmax& n) {
                          if (!(n.alpha > 1 && n.alpha < 2)) {
                            fail<ShapeError>("{}: Entmax::alpha {} is not between 1 and 2", name_,
                                             n.alpha);
                          }
                          f.kind = Kind::entmax;
                          f.alpha = n.alpha;
                        },
                        [&](const Hard&) { f.kind = Kind::hard; },
                        [&](const RowNormaliser& n) {
                          f.kind = Kind::row;
                          f.row = &n;
                        }},
             norm);
  plain_ = plain_ && f.kind == Kind::softmax;
}

template <class T>
kernels::AttendForm<T> AttendCall::form(const std::vector<Tensor>& gradients) const {
  const auto value = [&](std::size_t n) {
    return n == kNone ? nullptr : parameters_[n].template data<T>();
  };
  const auto gradient = [&](std::size_t n) {
    return n == kNone || gradients.empty() || !gradients[n].defined()
               ? nullptr
               : const_cast<T*>(gradients[n].template data<T>());
  };
  kernels::AttendForm<T> f;
  f.score = form_.score;
  f.weight = value(weight_);
  f.dweight = gradient(weight_);
  f.weight_stride = form_.weight_stride;
  f.activation = form_.activation;
  f.slope = form_.slope;
  f.pair = form_.pair;
  for (std::size_t b = 0; b < form_.biases.size(); ++b) {
    const Term& from = form_.biases[b];
    kernels::BiasTerm<T> to;
    to.kind = static_cast<typename kernels::BiasTerm<T>::Kind>(from.kind);
    to.cap = from.cap;
    to.values = value(bias_values_[b]);
    to.gradient = gradient(bias_values_[b]);
    to.head_stride = from.head_stride;
    to.row_stride = from.row_stride;
    to.key_stride = from.key_stride;
    to.packed = from.packed;
    to.top_left = from.top_left;
    to.left = from.left;
    to.size = from.size;
    to.function = from.function;
    f.biases.push_back(to);
  }
  const auto& norm = form_.norm;
  f.norm.kind = static_cast<typename kernels::NormForm<T>::Kind>(norm.kind);
  f.norm.window = norm.window;
  f.norm.alpha = norm.alpha;
  f.norm.shift = norm.shift;
  f.norm.mean = norm.mean;
  f.norm.row = norm.row;
  f.norm.sink = value(sink_);
  f.norm.dsink = gradient(sink_);
  return f;
}

template kernels::AttendForm<float> AttendCall::form(const std::vector<Tensor>&) const;
template kernels::AttendForm<double> AttendCall::form(const std::vector<Tensor>&) const;

}  // namespace qkv

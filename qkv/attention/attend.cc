#include "qkv/attention/attend.h"

#include <memory>
#include <optional>
#include <vector>

#include "qkv/attention/form.h"
#include "qkv/attention/linear.h"
#include "qkv/attention/observer.h"
#include "qkv/attention/trace.h"
#include "qkv/base/error.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

template <class T, class Args>
Args start(const AttendCall& c, const Dropout& dropout, const kernels::AttendForm<T>& form) {
  Args a{};
  a.plan = c.plan.get();
  a.heads = c.heads;
  a.kv_heads = c.kv_heads;
  a.dim = c.dim;
  a.value_dim = c.value_dim;
  a.q = c.q.data<T>();
  a.k = c.k.data<T>();
  a.v = c.v.data<T>();
  a.scale = c.scale;
  a.dropout = dropout;
  a.form = c.plain() ? nullptr : &form;
  return a;
}

template <class Run>
void run_as(Execution execution, Run&& run) {
  std::optional<DefinitionOnly> slow;
  if (execution == Execution::definition) slow.emplace();
  run();
}

void forward(const AttendCall& c, const Dropout& dropout, Attended& y) {
  dispatch(c.q, [&](auto zero) {
    using T = decltype(zero);
    const auto form = c.form<T>();
    auto a = start<T, kernels::Attend<T>>(c, dropout, form);
    a.out = y.out.data<T>();
    a.lse = y.lse.data<T>();
    a.entropy = y.entropy.defined() ? y.entropy.data<T>() : nullptr;
    kernels_for<T>().attend(a);
  });
}

void backward(const AttendCall& c, const Dropout& dropout, const Attended& y,
              std::span<const Tensor> gradients) {
  const auto like = [](const Tensor& x) { return Tensor::empty(x.shape(), x.dtype()); };
  Tensor dq = like(c.q), dk = like(c.k), dv = like(c.v);
  const Tensor dout =
      gradients[0].defined() ? gradients[0] : Tensor::zeros(y.out.shape(), y.out.dtype());
  std::vector<Tensor> parameter_gradients;
  for (const Tensor& p : c.parameters()) {
    parameter_gradients.push_back(needs_gradient(p) ? Tensor::zeros(p.shape(), p.dtype())
                                                    : Tensor());
  }
  dispatch(c.q, [&](auto zero) {
    using T = decltype(zero);
    const auto form = c.form<T>(parameter_gradients);
    auto a = start<T, kernels::AttendBackward<T>>(c, dropout, form);
    a.out = y.out.data<T>();
    a.lse = y.lse.data<T>();
    a.dout = dout.data<T>();
    a.dlse = data_or_null<T>(gradients[1]);
    a.dq = dq.data<T>();
    a.dk = dk.data<T>();
    a.dv = dv.data<T>();
    if (y.entropy.defined()) {
      a.entropy = y.entropy.data<T>();
      a.dentropy = data_or_null<T>(gradients[2]);
    }
    kernels_for<T>().attend_backward(a);
  });
  accumulate(c.q, std::move(dq));
  accumulate(c.k, std::move(dk));
  accumulate(c.v, std::move(dv));
  for (std::size_t n = 0; n < parameter_gradients.size(); ++n) {
    if (parameter_gradients[n].defined()) {
      accumulate(c.parameters()[n], std::move(parameter_gradients[n]));
    }
  }
}

Attended run(const char* name, const Tensor& q, const Tensor& k, const Tensor& v,
             const Attention& how, bool entropy) {
  if (attention_observed()) {
    tell_observer({.kind = AttentionKind::softmax,
                   .q = q,
                   .k = k,
                   .how = &how,
                   .keys = k.dim(0),
                   .weights_of = [&](auto rows, auto keys) {
                     return attention_weights(q, k, how, rows, keys);
                   }});
  }
  const auto call = std::make_shared<const AttendCall>(name, q, k, v, how);
  const AttendCall& c = *call;
  const Dropout dropout = draw_dropout(how.dropout);
  Attended y;
  y.out = Tensor::empty({q.dim(0), c.heads, c.value_dim}, q.dtype());
  y.lse = Tensor::empty({q.dim(0), c.heads}, q.dtype());
  if (entropy) y.entropy = Tensor::empty({q.dim(0), c.heads}, q.dtype());
  run_as(how.run, [&] { forward(c, dropout, y); });

  // Views without tape nodes: the closure must not hold its own outputs.
  Attended saved{y.out.reshaped(y.out.shape()), y.lse.reshaped(y.lse.shape()),
                 entropy ? y.entropy.reshaped(y.entropy.shape()) : Tensor()};
  std::vector<const Tensor*> inputs{&c.q, &c.k, &c.v};
  for (const Tensor& p : c.parameters()) inputs.push_back(&p);
  std::vector<Tensor*> outputs{&y.out, &y.lse};
  if (entropy) outputs.push_back(&y.entropy);
  record(outputs, inputs,
         [call, dropout, saved, execution = how.run](std::span<const Tensor> gradients) {
           run_as(execution, [&] { backward(*call, dropout, saved, gradients); });
         });
  return y;
}

Attended with_statistics(const char* name, const Tensor& q, const Tensor& k, const Tensor& v,
                         const Attention& how, bool entropy) {
  if (!std::holds_alternative<Softmax>(how.norm) &&
      !std::holds_alternative<SoftmaxSink>(how.norm)) {
    fail<ShapeError>("{}: only Softmax and SoftmaxSink have a log-sum-exp and an entropy", name);
  }
  return run(name, q, k, v, how, entropy);
}

}  // namespace

Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Attention& how) {
  if (std::holds_alternative<FeatureProduct>(how.score)) {
    return linear_attend(q, k, v, linear_form("attend", how));
  }
  return run("attend", q, k, v, how, false).out;
}

Attended attend_with_lse(const Tensor& q, const Tensor& k, const Tensor& v, const Attention& how) {
  return with_statistics("attend_with_lse", q, k, v, how, false);
}

Attended attend_with_entropy(const Tensor& q, const Tensor& k, const Tensor& v,
                             const Attention& how) {
  return with_statistics("attend_with_entropy", q, k, v, how, true);
}

}  // namespace qkv

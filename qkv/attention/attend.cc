#include "qkv/attention/attend.h"

#include <cmath>
#include <memory>

#include "qkv/base/dims.h"
#include "qkv/kernels/attention/attend.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

struct Call {
  std::shared_ptr<const kernels::AttendPlan> plan;
  std::int64_t heads, kv_heads, dim, value_dim;
  double scale;
  Dropout dropout;
  Execution run;
};

template <class T, class Args>
Args start(const Call& c, const Tensor& q, const Tensor& k, const Tensor& v) {
  Args a{};
  a.plan = c.plan.get();
  a.heads = c.heads;
  a.kv_heads = c.kv_heads;
  a.dim = c.dim;
  a.value_dim = c.value_dim;
  a.q = q.data<T>();
  a.k = k.data<T>();
  a.v = v.data<T>();
  a.scale = c.scale;
  a.dropout = c.dropout;
  return a;
}

}  // namespace

Attended attend_with_lse(const Tensor& q, const Tensor& k, const Tensor& v, const Attention& how) {
  const Dims d(
      "attend",
      {{"q", q.shape(), "Tq H D"}, {"k", k.shape(), "Tk Hkv D"}, {"v", v.shape(), "Tk Hkv Dv"}});
  check_types("attend", q, {&k, &v});
  Call c{};
  c.heads = d["H"];
  c.kv_heads = d["Hkv"];
  c.dim = d["D"];
  c.value_dim = d["Dv"];
  if (c.kv_heads == 0 || c.heads % c.kv_heads != 0) {
    fail<ShapeError>("attend: H is {}, no multiple of Hkv {}; q {}, k {}", c.heads, c.kv_heads,
                     to_string(q.shape()), to_string(k.shape()));
  }
  c.plan = compile(how.mask, d["Tq"], d["Tk"]);
  const double scale = std::get<ScaledDot>(how.score).scale;
  c.scale = scale != 0.0 ? scale : 1.0 / std::sqrt(static_cast<double>(c.dim));
  c.dropout = draw_dropout(how.dropout);
  c.run = how.run;

  Attended y;
  y.out = Tensor::empty({d["Tq"], c.heads, c.value_dim}, q.dtype());
  y.lse = Tensor::empty({d["Tq"], c.heads}, q.dtype());
  const auto forward = [&] {
    dispatch(q, [&](auto zero) {
      using T = decltype(zero);
      auto a = start<T, kernels::Attend<T>>(c, q, k, v);
      a.out = y.out.data<T>();
      a.lse = y.lse.data<T>();
      QKV_RUN(attend, T, a);
    });
  };
  if (c.run == Execution::definition) {
    const DefinitionOnly slow;
    forward();
  } else {
    forward();
  }

  const Tensor out = y.out.reshaped(y.out.shape()), lse = y.lse.reshaped(y.lse.shape());
  record({&y.out, &y.lse}, {&q, &k, &v}, [q, k, v, out, lse, c](std::span<const Tensor> gradients) {
    Tensor dq = Tensor::empty(q.shape(), q.dtype());
    Tensor dk = Tensor::empty(k.shape(), k.dtype());
    Tensor dv = Tensor::empty(v.shape(), v.dtype());
    const Tensor dout =
        gradients[0].defined() ? gradients[0] : Tensor::zeros(out.shape(), out.dtype());
    const auto backward = [&] {
      dispatch(q, [&](auto zero) {
        using T = decltype(zero);
        auto a = start<T, kernels::AttendBackward<T>>(c, q, k, v);
        a.out = out.data<T>();
        a.lse = lse.data<T>();
        a.dout = dout.data<T>();
        a.dlse = data_or_null<T>(gradients[1]);
        a.dq = dq.data<T>();
        a.dk = dk.data<T>();
        a.dv = dv.data<T>();
        QKV_RUN(attend_backward, T, a);
      });
    };
    if (c.run == Execution::definition) {
      const DefinitionOnly slow;
      backward();
    } else {
      backward();
    }
    accumulate(q, std::move(dq));
    accumulate(k, std::move(dk));
    accumulate(v, std::move(dv));
  });
  return y;
}

Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Attention& how) {
  return attend_with_lse(q, k, v, how).out;
}

}  // namespace qkv

#include "qkv/ops/recurrent.h"

#include <memory>
#include <utility>
#include <vector>

#include "qkv/base/dims.h"
#include "qkv/ops/dispatch.h"
#include "qkv/ops/linear.h"

namespace qkv {
namespace {

/// What one call computed, for its backward pass.
struct Kept {
  kernels::RecurrentPlan plan;
  RecurrentOptions options;
  RecurrentState initial;
  Tensor products, weight, bias;
  Tensor out, last_h, last_c;  // views without tape nodes
  Tensor hidden, cells, gates, inner;
  std::int64_t width = 0;

  bool lstm() const { return options.cell == Cell::lstm; }
};

template <class T>
kernels::RecurrentForward<T> arguments(Kept& k) {
  kernels::RecurrentForward<T> a{};
  a.cell = k.options.cell;
  a.plan = &k.plan;
  a.width = k.width;
  a.x = k.products.data<T>();
  a.weight = k.weight.data<T>();
  a.bias = data_or_null<T>(k.bias);
  a.initial_h = data_or_null<T>(k.initial.h);
  a.out = k.out.data<T>();
  a.out_stride = k.width;
  a.final_h = k.last_h.data<T>();
  a.hidden = k.hidden.data<T>();
  a.gates = k.gates.data<T>();
  a.inner = k.inner.data<T>();
  if (k.lstm()) {
    a.initial_c = data_or_null<T>(k.initial.c);
    a.final_c = k.last_c.data<T>();
    a.cells = k.cells.data<T>();
  }
  return a;
}

void backward(Kept& k, std::span<const Tensor> gradients) {
  const DType type = k.products.dtype();
  const Shape state{k.plan.sequences(), k.width};
  Tensor dx = Tensor::empty(k.products.shape(), type);
  Tensor dh, dc, dweight, dbias;
  const auto wanted = [](const Tensor& x) { return x.defined() && needs_gradient(x); };
  if (wanted(k.initial.h)) dh = Tensor::empty(state, type);
  if (wanted(k.initial.c)) dc = Tensor::empty(state, type);
  if (wanted(k.weight)) dweight = gradient_sum(k.weight);
  if (wanted(k.bias)) dbias = gradient_sum(k.bias);
  dispatch(dx, [&](auto zero) {
    using T = decltype(zero);
    const auto pointer = [](Tensor& x) { return x.defined() ? x.data<T>() : nullptr; };
    const Tensor weight_t = transposed_parameter(k.weight);
    kernels::RecurrentBackward<T> a{};
    a.forward = arguments<T>(k);
    a.weight_t = weight_t.data<T>();
    a.dout = data_or_null<T>(gradients[0]);
    a.dout_stride = k.width;
    a.dfinal_h = data_or_null<T>(gradients[1]);
    a.dfinal_c = k.lstm() ? data_or_null<T>(gradients[2]) : nullptr;
    a.dx = dx.data<T>();
    a.dweight = pointer(dweight);
    a.dbias = pointer(dbias);
    a.dinitial_h = pointer(dh);
    a.dinitial_c = pointer(dc);
    kernels_for<T>().recurrent_backward(a);
  });
  accumulate(k.products, std::move(dx));
  if (dh.defined()) accumulate(k.initial.h, std::move(dh));
  if (dc.defined()) accumulate(k.initial.c, std::move(dc));
}

void check(const Tensor& products, const Segments& segments, const RecurrentWeights& weights,
           const RecurrentState& initial, Cell cell) {
  const Dims d("recurrent",
               {{"products", products.shape(), "T G"}, {"hidden", weights.hidden.shape(), "H G"}});
  if (d["G"] != kernels::gates_of(cell) * d["H"]) {
    fail<ShapeError>("recurrent: {} gates of width {} need {} columns, not {}",
                     kernels::gates_of(cell), d["H"], kernels::gates_of(cell) * d["H"], d["G"]);
  }
  if (weights.hidden_bias.defined()) {
    const Dims bias("recurrent", {{"hidden", weights.hidden.shape(), "H G"},
                                  {"hidden_bias", weights.hidden_bias.shape(), "G"}});
  }
  if (d["T"] != segments.total()) {
    fail<ShapeError>("recurrent: {} rows but segments of {}", d["T"], segments.total());
  }
  const Shape state{segments.count(), d["H"]};
  for (const auto& [name, x] : {std::pair{"h", &initial.h}, std::pair{"c", &initial.c}}) {
    if (x->defined() && x->shape() != state) {
      fail<ShapeError>("recurrent: initial {} {} is not [B H] = {}", name, to_string(x->shape()),
                       to_string(state));
    }
  }
  if (initial.c.defined() && cell != Cell::lstm) fail<ShapeError>("recurrent: a GRU has no c");
  check_types("recurrent", products,
              {&weights.hidden, &weights.hidden_bias, &initial.h, &initial.c});
}

}  // namespace

Recurred recurrent(const Tensor& x, const Segments& segments, const RecurrentWeights& weights,
                   const RecurrentState& initial, const RecurrentOptions& options) {
  return recurrent_from_products(linear(x, weights.input, weights.input_bias), segments, weights,
                                 initial, options);
}

Recurred recurrent_from_products(const Tensor& products, const Segments& segments,
                                 const RecurrentWeights& weights, const RecurrentState& initial,
                                 const RecurrentOptions& options) {
  check(products, segments, weights, initial, options.cell);
  const auto kept = std::make_shared<Kept>();
  Kept& k = *kept;
  const std::int64_t rows = products.dim(0), width = weights.hidden.dim(0);
  const DType type = products.dtype();
  const bool lstm = options.cell == Cell::lstm;
  k.plan = kernels::recurrent_plan(segments.offsets(), options.reverse);
  k.options = options;
  k.initial = initial;
  k.products = products;
  k.weight = weights.hidden;
  k.bias = weights.hidden_bias;
  k.width = width;
  k.out = Tensor::empty({rows, width}, type);
  k.last_h = Tensor::empty({segments.count(), width}, type);
  k.hidden = Tensor::empty({rows, width}, type);
  k.gates = Tensor::empty(products.shape(), type);
  k.inner = Tensor::empty({rows, width}, type);
  if (lstm) {
    k.last_c = Tensor::empty({segments.count(), width}, type);
    k.cells = Tensor::empty({rows, width}, type);
  }
  dispatch(products, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().recurrent_forward(arguments<T>(k));
  });

  // The closure must not hold its own outputs: it keeps views without tape nodes.
  Recurred y{k.out.reshaped(k.out.shape()), {k.last_h.reshaped(k.last_h.shape()), {}}};
  std::vector<Tensor*> outputs{&y.out, &y.last.h};
  if (lstm) {
    y.last.c = k.last_c.reshaped(k.last_c.shape());
    outputs.push_back(&y.last.c);
  }
  const std::vector<const Tensor*> inputs{&k.products, &k.weight, &k.bias, &k.initial.h,
                                          &k.initial.c};
  record(outputs, inputs,
         [kept](std::span<const Tensor> gradients) { backward(*kept, gradients); });
  return y;
}

}  // namespace qkv

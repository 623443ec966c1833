#include "qkv/ops/steps.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "qkv/base/dims.h"
#include "qkv/kernels/elementwise.h"
#include "qkv/kernels/gemm.h"
#include "qkv/ops/dispatch.h"
#include "qkv/ops/pieces.h"

namespace qkv {
namespace {

/// Row blocks of all steps, one under the other. The token is an output of a step on the tape that
/// stands before all others, so its backward runs after theirs; every step that passes gives it a
/// gradient (of no numbers), or it would not run.
struct Ledger {
  Tensor weight, bias, weight_t;
  Tensor token;
  std::int64_t rows = 0, used = 0;
  std::vector<std::pair<std::int64_t, std::int64_t>> passed;  // blocks that had a gradient

  Ledger(const Tensor& w, const Tensor& b, std::int64_t all) : weight(w), bias(b), rows(all) {}

  bool recorded() const { return needs_gradient(token); }
  std::int64_t take(const char* call, std::int64_t n) {
    if (used + n > rows) {
      fail<ShapeError>("{}: {} rows more than the {} that were announced", call, used + n - rows,
                       rows);
    }
    return std::exchange(used, used + n);
  }
  const Tensor& transposed() {
    if (!weight_t.defined()) weight_t = transposed_parameter(weight);
    return weight_t;
  }
  void pass(std::int64_t begin, std::int64_t n) {
    passed.emplace_back(begin, n);
    accumulate(token, Tensor::empty({0}, weight.dtype()));
  }
  /// Rows of x that no gradient came to become zero.
  void clear_others(Tensor& x) {
    std::sort(passed.begin(), passed.end());
    passed.emplace_back(used, 0);
    std::int64_t next = 0;
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      const std::int64_t width = x.dim(1);
      for (const auto& [begin, n] : passed) {
        std::fill_n(x.data<T>() + next * width, (begin - next) * width, T(0));
        next = begin + n;
      }
    });
  }
};

template <class T>
void add_column_sums(const Tensor& x, std::int64_t rows, const Tensor& bias) {
  if (!bias.defined() || !needs_gradient(bias)) return;
  Tensor sum = gradient_sum(bias);
  kernels_for<T>().column_sums(rows, x.dim(1), x.data<T>(), T(1), sum.data<T>());
}

Tensor copy_of(const Tensor& gradient, const Shape& shape, DType type) {
  return gradient.defined() ? gradient.clone() : Tensor::zeros(shape, type);
}

}  // namespace

struct StepLinear::Kept : Ledger {
  using Ledger::Ledger;
  Tensor x, dy;  // [rows I], [rows O]

  void finish() {
    clear_others(dy);
    dispatch(dy, [&](auto zero) {
      using T = decltype(zero);
      add_column_sums<T>(dy, used, bias);
      if (!needs_gradient(weight)) return;
      GradientBuffer dw = gradient_buffer(weight);
      kernels_for<T>().gemm_tn(x.dim(1), dy.dim(1), used, x.data<T>(), x.dim(1), dy.data<T>(),
                               dy.dim(1), T(dw.add ? 1 : 0), dw.tensor.data<T>(), dy.dim(1));
    });
  }
};

StepLinear::StepLinear(const Tensor& weight, const Tensor& bias, std::int64_t rows)
    : kept_(std::make_shared<Kept>(weight, bias, rows)) {
  const Dims d("StepLinear", {{"weight", weight.shape(), "I O"}});
  if (bias.defined()) {
    Dims("StepLinear", {{"weight", weight.shape(), "I O"}, {"bias", bias.shape(), "O"}});
  }
  check_types("StepLinear", weight, {&bias});
  Kept& k = *kept_;
  k.token = Tensor::empty({0}, weight.dtype());
  record(k.token, {&k.weight, &k.bias}, [kept = kept_](const Tensor&) { kept->finish(); });
  if (!k.recorded()) return;
  k.x = Tensor::empty({rows, d["I"]}, weight.dtype());
  k.dy = Tensor::empty({rows, d["O"]}, weight.dtype());
}

Tensor StepLinear::operator()(const Tensor& x) {
  Kept& k = *kept_;
  const Dims d("StepLinear", {{"x", x.shape(), "N I"}, {"weight", k.weight.shape(), "I O"}});
  check_types("StepLinear", x, {&k.weight});
  const std::int64_t n = d["N"], in = d["I"], out = d["O"];
  Tensor y = Tensor::empty({n, out}, x.dtype());
  const std::int64_t begin = k.recorded() ? k.take("StepLinear", n) : 0;
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().gemm_nn(n, out, in, x.data<T>(), in, k.weight.data<T>(), out, T(0),
                             y.data<T>(), out);
    if (k.bias.defined()) {
      kernels_for<T>().bias_activation(n, out, y.data<T>(), k.bias.data<T>(),
                                       kernels::Activation::none, Dropout{}, y.data<T>());
    }
    if (k.recorded()) std::copy_n(x.data<T>(), n * in, k.x.data<T>() + begin * in);
  });
  record(y, {&x, &k.token}, [kept = kept_, x, begin, n, in, out](const Tensor& dy) {
    Kept& of = *kept;
    dispatch(dy, [&](auto zero) {
      using T = decltype(zero);
      if (needs_gradient(x)) {
        GradientBuffer dx = gradient_buffer(x);
        kernels_for<T>().gemm_nn(n, in, out, dy.data<T>(), out, of.transposed().data<T>(), in,
                                 T(dx.add ? 1 : 0), dx.tensor.data<T>(), in);
      }
      if (!of.recorded()) return;
      std::copy_n(dy.data<T>(), n * out, of.dy.data<T>() + begin * out);
      of.pass(begin, n);
    });
  });
  return y;
}

struct StepCell::Kept : Ledger {
  Cell cell = Cell::gru;
  std::int64_t width = 0;
  Tensor before, gates, inner;  // [rows H], [rows G·H], [rows H]
  using Ledger::Ledger;

  void finish() {
    clear_others(gates);
    dispatch(gates, [&](auto zero) {
      using T = decltype(zero);
      add_column_sums<T>(gates, used, bias);
      if (!needs_gradient(weight)) return;
      const std::int64_t wide = gates.dim(1);
      const std::int64_t split = cell == Cell::gru_reset_before ? 2 * width : wide;
      GradientBuffer dw = gradient_buffer(weight);
      const T beta = T(dw.add ? 1 : 0);
      kernels_for<T>().gemm_tn(width, split, used, before.data<T>(), width, gates.data<T>(), wide,
                               beta, dw.tensor.data<T>(), wide);
      kernels_for<T>().gemm_tn(width, wide - split, used, inner.data<T>(), width,
                               gates.data<T>() + split, wide, beta, dw.tensor.data<T>() + split,
                               wide);
    });
  }
  /// The rows of the step that begins at `begin`, laid out for the kernels.
  template <class T>
  kernels::CellForward<T> step(std::int64_t begin, std::int64_t n, const Tensor& products,
                               const Tensor& c) {
    kernels::CellForward<T> a{};
    a.cell = cell;
    a.rows = n;
    a.width = width;
    a.x = products.data<T>();
    a.weight = weight.data<T>();
    a.bias = data_or_null<T>(bias);
    a.h = before.data<T>() + begin * width;
    a.c = data_or_null<T>(c);
    a.gates = gates.data<T>() + begin * gates.dim(1);
    a.inner = inner.data<T>() + begin * width;
    return a;
  }
  void backward(std::int64_t begin, const Tensor& products, const RecurrentState& state,
                std::span<const Tensor> gradients) {
    const std::int64_t n = products.dim(0);
    const DType type = products.dtype();
    Tensor dx = Tensor::empty(products.shape(), type);
    Tensor dh = copy_of(gradients[0], {n, width}, type), dc;
    if (cell == Cell::lstm) dc = copy_of(gradients[1], {n, width}, type);
    dispatch(products, [&](auto zero) {
      using T = decltype(zero);
      kernels::CellBackward<T> a{};
      a.forward = step<T>(begin, n, products, state.c);
      a.weight_t = transposed().data<T>();
      a.dx = dx.data<T>();
      a.dh = dh.data<T>();
      a.dc = dc.defined() ? dc.data<T>() : nullptr;
      kernels_for<T>().cell_backward(a);
    });
    accumulate(products, std::move(dx));
    if (state.h.defined()) accumulate(state.h, std::move(dh));
    if (state.c.defined()) accumulate(state.c, std::move(dc));
    pass(begin, n);
  }
};

StepCell::StepCell(Cell cell, const Tensor& hidden, const Tensor& bias, std::int64_t rows)
    : kept_(std::make_shared<Kept>(hidden, bias, rows)) {
  const Dims d("StepCell", {{"hidden", hidden.shape(), "H G"}});
  if (d["G"] != kernels::gates_of(cell) * d["H"]) {
    fail<ShapeError>("StepCell: hidden {} is not [H {}·H]", to_string(hidden.shape()),
                     kernels::gates_of(cell));
  }
  if (bias.defined()) {
    Dims("StepCell", {{"hidden", hidden.shape(), "H G"}, {"bias", bias.shape(), "G"}});
  }
  check_types("StepCell", hidden, {&bias});
  Kept& k = *kept_;
  k.cell = cell;
  k.width = d["H"];
  k.token = Tensor::empty({0}, hidden.dtype());
  record(k.token, {&k.weight, &k.bias}, [kept = kept_](const Tensor&) { kept->finish(); });
}

RecurrentState StepCell::operator()(const Tensor& products, const RecurrentState& before) {
  Kept& k = *kept_;
  const Dims d("StepCell",
               {{"products", products.shape(), "N G"}, {"hidden", k.weight.shape(), "H G"}});
  const std::int64_t n = d["N"], width = k.width;
  const DType type = products.dtype();
  check_types("StepCell", products, {&k.weight, &before.h, &before.c});
  RecurrentState state;
  const auto rows_of = [&](const Tensor& x) {
    if (!x.defined()) return Tensor();
    if (x.shape().rank() != 2 || x.dim(1) != width || x.dim(0) < n) {
      fail<ShapeError>("StepCell: a state of {} for {} rows of width {}", to_string(x.shape()), n,
                       width);
    }
    return slice_rows(x, 0, n);
  };
  state.h = rows_of(before.h);
  state.c = rows_of(before.c);
  // Outside training every step uses the same rows.
  const std::int64_t rows = recording() ? k.rows : n;
  if (!k.before.defined() || k.before.dim(0) < rows) {
    k.before = Tensor::empty({rows, width}, type);
    k.gates = Tensor::empty({rows, d["G"]}, type);
    k.inner = Tensor::empty({rows, width}, type);
  }
  const std::int64_t begin = recording() ? k.take("StepCell", n) : 0;
  RecurrentState next{Tensor::empty({n, width}, type), {}};
  if (k.cell == Cell::lstm) next.c = Tensor::empty({n, width}, type);
  dispatch(products, [&](auto zero) {
    using T = decltype(zero);
    T* h = k.before.data<T>() + begin * width;
    if (state.h.defined()) {
      std::copy_n(state.h.data<T>(), n * width, h);
    } else {
      std::fill_n(h, n * width, T(0));
    }
    kernels::CellForward<T> a = k.step<T>(begin, n, products, state.c);
    a.next_h = next.h.data<T>();
    a.next_c = next.c.defined() ? next.c.data<T>() : nullptr;
    kernels_for<T>().cell_forward(a);
  });
  std::vector<Tensor*> outputs{&next.h};
  if (next.c.defined()) outputs.push_back(&next.c);
  const std::vector<const Tensor*> inputs{&products, &state.h, &state.c, &k.token};
  record(outputs, inputs,
         [kept = kept_, begin, products, state](std::span<const Tensor> gradients) {
           kept->backward(begin, products, state, gradients);
         });
  return next;
}

}  // namespace qkv

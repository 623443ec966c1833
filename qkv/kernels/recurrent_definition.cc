#include <cmath>
#include <vector>

#include "qkv/kernels/recurrent.h"

namespace qkv::kernels::definition {
namespace {

template <class T>
T sigmoid(T x) {
  return 1 / (1 + std::exp(-x));
}

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// One row of a cell: everything that depends on it.
template <class T>
struct Row {
  Cell cell;
  std::int64_t width;
  const T *weight, *bias, *x, *h, *c;  // h, c: null for zeros
  T *gates, *inner;

  Row(const CellForward<T>& a, std::int64_t i)
      : cell(a.cell), width(a.width), weight(a.weight), bias(a.bias) {
    const std::int64_t wide = gates_of(cell) * width;
    x = a.x + (a.x_rows ? a.x_rows[i] : i) * wide;
    h = a.h ? a.h + i * width : nullptr;
    c = a.c ? a.c + i * width : nullptr;
    gates = a.gates + i * wide;
    inner = a.inner + i * width;
  }
  T before(std::int64_t k) const { return h ? h[k] : T(0); }
  T cell_before(std::int64_t k) const { return c ? c[k] : T(0); }
  /// Element k of gate g of v·W + b.
  T product(const T* v, std::int64_t g, std::int64_t k) const {
    const std::int64_t wide = gates_of(cell) * width, column = g * width + k;
    T sum = bias ? bias[column] : T(0);
    for (std::int64_t j = 0; v && j < width; ++j) sum += v[j] * weight[j * wide + column];
    return sum;
  }
  T& gate(std::int64_t g, std::int64_t k) const { return gates[g * width + k]; }
  T input(std::int64_t g, std::int64_t k) const { return x[g * width + k]; }
};

template <class T>
void gru_row(const Row<T>& a, T* next_h) {
  const bool before = a.cell == Cell::gru_reset_before;
  for (std::int64_t k = 0; k < a.width; ++k) {
    for (std::int64_t g : {0, 1}) a.gate(g, k) = sigmoid(a.input(g, k) + a.product(a.h, g, k));
    a.inner[k] = before ? a.gate(0, k) * a.before(k) : a.product(a.h, 2, k);
  }
  for (std::int64_t k = 0; k < a.width; ++k) {
    a.gate(2, k) =
        std::tanh(a.input(2, k) + (before ? a.product(a.inner, 2, k) : a.gate(0, k) * a.inner[k]));
  }
  for (std::int64_t k = 0; k < a.width; ++k) {
    next_h[k] = (1 - a.gate(1, k)) * a.gate(2, k) + a.gate(1, k) * a.before(k);
  }
}

template <class T>
void lstm_row(const Row<T>& a, T* next_h, T* next_c) {
  for (std::int64_t k = 0; k < a.width; ++k) {
    for (std::int64_t g : {0, 1, 2, 3}) {
      const T sum = a.input(g, k) + a.product(a.h, g, k);
      a.gate(g, k) = g == 2 ? std::tanh(sum) : sigmoid(sum);
    }
  }
  for (std::int64_t k = 0; k < a.width; ++k) {
    next_c[k] = a.gate(1, k) * a.cell_before(k) + a.gate(0, k) * a.gate(2, k);
    a.inner[k] = std::tanh(next_c[k]);
    next_h[k] = a.gate(3, k) * a.inner[k];
  }
}

/// Σ_j gradient[j]·W[k, j] over the columns [from, to).
template <class T>
T back(const Row<T>& a, const T* weight_t, std::int64_t k, std::int64_t from, std::int64_t to) {
  T sum = 0;
  for (std::int64_t j = from; j < to; ++j) sum += a.gates[j] * weight_t[j * a.width + k];
  return sum;
}

template <class T>
void gru_row_backward(const Row<T>& a, const T* weight_t, T* dx, T* dh) {
  const std::int64_t w = a.width;
  const bool before = a.cell == Cell::gru_reset_before;
  std::vector<T> dr(at(w));
  for (std::int64_t k = 0; k < w; ++k) {
    const T r = a.gate(0, k), z = a.gate(1, k), n = a.gate(2, k);
    const T dn = dh[k] * (1 - z) * (1 - n * n);
    const T dz = dh[k] * (a.before(k) - n) * z * (1 - z);
    dh[k] *= z;
    dr[at(k)] = dn * a.inner[k];
    a.gate(1, k) = dx[w + k] = dz;
    dx[2 * w + k] = dn;
    a.gate(2, k) = before ? dn : dn * r;
  }
  for (std::int64_t k = 0; k < w; ++k) {
    const T r = a.gate(0, k);
    if (before) {
      const T dinner = back(a, weight_t, k, 2 * w, 3 * w);
      dr[at(k)] = dinner * a.before(k);
      dh[k] += dinner * r;
    }
    a.gate(0, k) = dx[k] = dr[at(k)] * r * (1 - r);
  }
  for (std::int64_t k = 0; k < w; ++k) dh[k] += back(a, weight_t, k, 0, (before ? 2 : 3) * w);
}

template <class T>
void lstm_row_backward(const Row<T>& a, const T* weight_t, T* dx, T* dh, T* dc) {
  const std::int64_t w = a.width;
  for (std::int64_t k = 0; k < w; ++k) {
    const T i = a.gate(0, k), f = a.gate(1, k), g = a.gate(2, k), o = a.gate(3, k);
    const T all = dc[k] + dh[k] * o * (1 - a.inner[k] * a.inner[k]);
    a.gate(0, k) = all * g * i * (1 - i);
    a.gate(1, k) = all * a.cell_before(k) * f * (1 - f);
    a.gate(2, k) = all * i * (1 - g * g);
    a.gate(3, k) = dh[k] * a.inner[k] * o * (1 - o);
    dc[k] = all * f;
  }
  for (std::int64_t j = 0; j < 4 * w; ++j) dx[j] = a.gates[j];
  for (std::int64_t k = 0; k < w; ++k) dh[k] = back(a, weight_t, k, 0, 4 * w);
}

}  // namespace

template <class T>
void cell_forward(const CellForward<T>& a) {
  for (std::int64_t i = 0; i < a.rows; ++i) {
    const Row<T> row(a, i);
    if (a.cell == Cell::lstm) {
      lstm_row(row, a.next_h + i * a.width, a.next_c + i * a.width);
    } else {
      gru_row(row, a.next_h + i * a.width);
    }
  }
}

template <class T>
void cell_backward(const CellBackward<T>& a) {
  const std::int64_t w = a.forward.width, wide = gates_of(a.forward.cell) * w;
  for (std::int64_t i = 0; i < a.forward.rows; ++i) {
    const Row<T> row(a.forward, i);
    T* dx = a.dx + (a.forward.x_rows ? a.forward.x_rows[i] : i) * wide;
    if (a.forward.cell == Cell::lstm) {
      lstm_row_backward(row, a.weight_t, dx, a.dh + i * w, a.dc + i * w);
    } else {
      gru_row_backward(row, a.weight_t, dx, a.dh + i * w);
    }
  }
}

namespace {

/// One sequence, kept step by step: entry t of h and c is the state before step t.
template <class T>
struct Walk {
  const RecurrentForward<T>& a;
  std::int64_t begin, length;
  std::vector<T> h, c, gates, inner;

  Walk(const RecurrentForward<T>& args, std::int64_t b)
      : a(args),
        begin(a.plan->offsets[at(b)]),
        length(a.plan->offsets[at(b + 1)] - begin),
        h(at((length + 1) * a.width)),
        c(h.size()),
        gates(at(length * gates_of(a.cell) * a.width)),
        inner(at(length * a.width)) {
    for (std::int64_t k = 0; k < a.width; ++k) {
      if (a.initial_h) h[at(k)] = a.initial_h[b * a.width + k];
      if (a.initial_c) c[at(k)] = a.initial_c[b * a.width + k];
    }
    for (std::int64_t t = 0; t < length; ++t) cell_forward(step(t));
  }
  std::int64_t row(std::int64_t t) const {
    return a.plan->reverse ? begin + length - 1 - t : begin + t;
  }
  CellForward<T> step(std::int64_t t) {
    const std::int64_t w = a.width, wide = gates_of(a.cell) * w;
    return {.cell = a.cell,
            .rows = 1,
            .width = w,
            .x = a.x + row(t) * wide,
            .weight = a.weight,
            .bias = a.bias,
            .h = h.data() + t * w,
            .c = c.data() + t * w,
            .gates = gates.data() + t * wide,
            .inner = inner.data() + t * w,
            .next_h = h.data() + (t + 1) * w,
            .next_c = c.data() + (t + 1) * w};
  }
};

/// dW += vᵀ·d for one step: columns [from, to).
template <class T>
void add_outer(std::int64_t width, std::int64_t wide, const T* v, const T* d, std::int64_t from,
               std::int64_t to, T* dweight) {
  for (std::int64_t j = 0; j < width; ++j) {
    for (std::int64_t k = from; k < to; ++k) dweight[j * wide + k] += v[j] * d[k];
  }
}

}  // namespace

template <class T>
void recurrent_forward(const RecurrentForward<T>& a) {
  for (std::int64_t b = 0; b < a.plan->sequences(); ++b) {
    const Walk<T> walk(a, b);
    for (std::int64_t k = 0; k < a.width; ++k) {
      for (std::int64_t t = 0; t < walk.length; ++t) {
        a.out[walk.row(t) * a.out_stride + k] = walk.h[at((t + 1) * a.width + k)];
      }
      a.final_h[b * a.width + k] = walk.h[at(walk.length * a.width + k)];
      if (a.final_c) a.final_c[b * a.width + k] = walk.c[at(walk.length * a.width + k)];
    }
  }
}

template <class T>
void recurrent_backward(const RecurrentBackward<T>& a) {
  const RecurrentForward<T>& f = a.forward;
  const std::int64_t w = f.width, wide = gates_of(f.cell) * w;
  for (std::int64_t b = 0; b < f.plan->sequences(); ++b) {
    Walk<T> walk(f, b);
    std::vector<T> dh(at(w)), dc(at(w));
    for (std::int64_t k = 0; k < w; ++k) {
      if (a.dfinal_h) dh[at(k)] = a.dfinal_h[b * w + k];
      if (a.dfinal_c) dc[at(k)] = a.dfinal_c[b * w + k];
    }
    for (std::int64_t t = walk.length - 1; t >= 0; --t) {
      for (std::int64_t k = 0; a.dout && k < w; ++k) {
        dh[at(k)] += a.dout[walk.row(t) * a.dout_stride + k];
      }
      const CellForward<T> step = walk.step(t);
      cell_backward(CellBackward<T>{.forward = step,
                                    .weight_t = a.weight_t,
                                    .dx = a.dx + walk.row(t) * wide,
                                    .dh = dh.data(),
                                    .dc = dc.data()});
      for (std::int64_t j = 0; a.dbias && j < wide; ++j) a.dbias[j] += step.gates[j];
      if (!a.dweight) continue;
      const std::int64_t split = f.cell == Cell::gru_reset_before ? 2 * w : wide;
      add_outer(w, wide, step.h, step.gates, 0, split, a.dweight);
      add_outer(w, wide, step.inner, step.gates, split, wide, a.dweight);
    }
    for (std::int64_t k = 0; k < w; ++k) {
      if (a.dinitial_h) a.dinitial_h[b * w + k] = dh[at(k)];
      if (a.dinitial_c) a.dinitial_c[b * w + k] = dc[at(k)];
    }
  }
}

template void cell_forward(const CellForward<float>&);
template void cell_forward(const CellForward<double>&);
template void cell_backward(const CellBackward<float>&);
template void cell_backward(const CellBackward<double>&);
template void recurrent_forward(const RecurrentForward<float>&);
template void recurrent_forward(const RecurrentForward<double>&);
template void recurrent_backward(const RecurrentBackward<float>&);
template void recurrent_backward(const RecurrentBackward<double>&);

}  // namespace qkv::kernels::definition

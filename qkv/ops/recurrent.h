// Recurrent layers over packed sequences: GRU and LSTM, either direction. Equations, order of the
// gates and what is promised: qkv/kernels/recurrent.h.
#pragma once

#include "qkv/kernels/recurrent.h"
#include "qkv/tensor/segments.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

using kernels::Cell;
using kernels::gates_of;
using kernels::recurrent_plan;
using kernels::RecurrentPlan;

/// Of B sequences; undefined tensors are zeros.
struct RecurrentState {
  Tensor h;  // [B H]
  Tensor c;  // [B H], of an LSTM alone
};

struct RecurrentWeights {
  Tensor input;        // [I G·H], G = 3 for a GRU (r z n), 4 for an LSTM (i f g o)
  Tensor hidden;       // [H G·H]
  Tensor input_bias;   // [G·H], or undefined
  Tensor hidden_bias;  // [G·H], or undefined
};

struct Recurred {
  Tensor out;           // [T H]: h after each row
  RecurrentState last;  // [B H]: after each sequence's last step, its initial state if it is empty
};

struct RecurrentOptions {
  Cell cell = Cell::gru;
  bool reverse = false;  // from the last row of each sequence to its first; `last` is at the first
};

/// x [T I], T the rows of `segments`. All three results are differentiable.
Recurred recurrent(const Tensor& x, const Segments& segments, const RecurrentWeights& weights,
                   const RecurrentState& initial = {}, const RecurrentOptions& options = {});
/// The same from products of the inputs that are there already, x·input + input_bias [T G·H];
/// weights.input and weights.input_bias are not looked at.
Recurred recurrent_from_products(const Tensor& products, const Segments& segments,
                                 const RecurrentWeights& weights,
                                 const RecurrentState& initial = {},
                                 const RecurrentOptions& options = {});

inline Recurred gru(const Tensor& x, const Segments& segments, const RecurrentWeights& weights,
                    const Tensor& initial = {}) {
  return recurrent(x, segments, weights, {.h = initial}, {.cell = Cell::gru});
}
inline Recurred lstm(const Tensor& x, const Segments& segments, const RecurrentWeights& weights,
                     const RecurrentState& initial = {}) {
  return recurrent(x, segments, weights, initial, {.cell = Cell::lstm});
}

}  // namespace qkv

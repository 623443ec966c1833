// The position-wise blocks beside FeedForward (nn/linear.h): gated ones, and the choice of one.
#pragma once

#include "qkv/nn/linear.h"
#include "qkv/ops/elementwise.h"

namespace qkv {

/// W_down·dropout(activation(W_gate x) ⊙ W_up x) (Shazeer 2020): SwiGLU with silu, as in Llama;
/// GEGLU with gelu or gelu_tanh, as in T5 1.1; Dauphin's GLU with sigmoid; bilinear with none.
struct GatedFeedForward {
  Linear gate, up;  // [C F]
  Linear down;      // [F C]
  Activation activation = Activation::silu;
  double dropout = 0.0;  // of the product

  static GatedFeedForward make(Initialiser& init, std::int64_t width, std::int64_t hidden,
                               Activation activation, double dropout, bool bias = true) {
    GatedFeedForward m;
    m.gate = Linear::make(init, width, hidden, bias);
    m.up = Linear::make(init, width, hidden, bias);
    m.down = Linear::make(init, hidden, width, bias);
    m.activation = activation;
    m.dropout = dropout;
    return m;
  }
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("gate", m.gate);
    visit("up", m.up);
    visit("down", m.down);
  }
  /// x [T C] -> [T C]
  Tensor operator()(const Tensor& x) const {
    return down(qkv::dropout(gated(gate(x), up(x), activation), dropout));
  }
};

using FeedForwardBlock = OneOf<FeedForward, GatedFeedForward>;

}  // namespace qkv

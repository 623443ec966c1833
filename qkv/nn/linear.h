// y = x·W + b and its relatives. Weights are [in, out] (docs/numerics.md says why); frameworks that
// keep [out, in] are converted when their files are read or written.
#pragma once

#include "qkv/nn/module.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/norm.h"

namespace qkv {

/// A trained change of a matrix in two thin ones (LoRA, Hu et al. 2021), see nn/lora.h:
/// x·(W + scale·A·B).
struct LowRank {
  Tensor a, b;           // [I R], [R O]; undefined: no change
  double scale = 1.0;    // α / R
  double dropout = 0.0;  // of what A reads
};

struct Linear {
  Tensor weight;  // [I O]
  Tensor bias;    // [O], or undefined
  LowRank lora = {};

  /// Xavier-uniform weight, zero bias. fan_sum ≠ 0: the fans of a larger matrix this is a part of.
  static Linear make(Initialiser& init, std::int64_t in, std::int64_t out, bool bias = true,
                     std::int64_t fan_sum = 0) {
    Linear m;
    m.weight = init.xavier({in, out}, 1.0, fan_sum);
    if (bias) m.bias = init.zeros({out});
    return m;
  }
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("weight", m.weight);
    visit("bias", m.bias);
    visit("lora_A.weight", m.lora.a);
    visit("lora_B.weight", m.lora.b);
  }
  /// x [T I] -> [T O]
  Tensor operator()(const Tensor& x, Activation activation = Activation::none,
                    double dropout = 0.0) const {
    if (lora.a.defined()) return changed(x, activation, dropout);
    return linear(x, weight, bias, activation, dropout);
  }

 private:
  Tensor changed(const Tensor& x, Activation activation, double dropout) const;
};

struct LayerNorm {
  Tensor weight;  // [C]
  Tensor bias;    // [C], or undefined
  double eps = 1e-5;

  static LayerNorm make(Initialiser& init, std::int64_t width, double eps, bool bias = true) {
    LayerNorm m;
    m.weight = init.ones({width});
    if (bias) m.bias = init.zeros({width});
    m.eps = eps;
    return m;
  }
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("weight", m.weight);
    visit("bias", m.bias);
  }
  Tensor operator()(const Tensor& x) const { return layer_norm(x, weight, bias, eps); }
};

/// W₂·dropout(activation(W₁x)): the position-wise block of a Transformer; as convolutions of width
/// 1 in some papers, which is the same product.
struct FeedForward {
  Linear inner, outer;
  Activation activation = Activation::relu;
  double dropout = 0.0;  // after the activation

  static FeedForward make(Initialiser& init, std::int64_t width, std::int64_t hidden,
                          Activation activation, double dropout, bool bias = true) {
    FeedForward m;
    m.inner = Linear::make(init, width, hidden, bias);
    m.outer = Linear::make(init, hidden, width, bias);
    m.activation = activation;
    m.dropout = dropout;
    return m;
  }
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("inner", m.inner);
    visit("outer", m.outer);
  }
  Tensor operator()(const Tensor& x) const { return outer(inner(x, activation, dropout)); }
};

}  // namespace qkv

// The self-attention layer of Hung-yi Lee's 2021 lecture: products without biases, a score that is
// a plain dot product or additive, softmax or ReLU, and heads in two stages: a vector's q first,
// then a matrix for each head. Which vectors may look at each other (all, a window, the neighbours
// in a graph) is the mask.
#pragma once

#include <cstdint>

#include "qkv/attention/attend.h"
#include "qkv/nn/linear.h"

namespace qkv {

struct SelfAttention {
  enum class Match : std::uint8_t {
    dot,       ///< q·k
    additive,  ///< w·tanh(q + k)
  };
  struct Config {
    std::int64_t width = 0;  // C
    std::int64_t heads = 1;
    std::int64_t head_dim = 0;  // D; 0: width / heads
    Match match = Match::dot;
    bool two_stage = false;  // q = W q', q' [C] for all heads; likewise k and v
    bool relu = false;       // in place of softmax: weights that do not sum to 1
    bool output = false;     // W_O after the heads
    double scale = 1.0;      // of the dot product; the lecture has none
  };
  Config config;
  Linear first_q, first_k, first_v;  // [C C] of two stages; undefined otherwise
  Linear q, k, v;                    // [C H·D]
  Tensor match;                      // w [H D] of additive heads; undefined otherwise
  Linear o;                          // [H·D C]

  static SelfAttention make(Initialiser& init, Config config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("first_q", m.first_q);
    visit("first_k", m.first_k);
    visit("first_v", m.first_v);
    visit("q", m.q);
    visit("k", m.k);
    visit("v", m.v);
    visit("match", m.match);
    visit("o", m.o);
  }

  /// x [T C] -> [T H D]
  Tensor queries(const Tensor& x) const { return heads_of(x, first_q, q); }
  Tensor keys(const Tensor& x) const { return heads_of(x, first_k, k); }
  Tensor values(const Tensor& x) const { return heads_of(x, first_v, v); }
  Attention how(const Mask& mask) const;
  /// x [T C] -> [T C], or [T H·D] without output.
  Tensor operator()(const Tensor& x, const Mask& mask = everything()) const;

  /// The same layer in one stage: the product of two linear maps is one.
  SelfAttention folded() const;

 private:
  Tensor heads_of(const Tensor& x, const Linear& first, const Linear& second) const;
};

}  // namespace qkv

// Multi-head attention (Vaswani et al. 2017, §3.2) over packed rows, with grouped key/value heads.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "qkv/attention/attend.h"
#include "qkv/nn/linear.h"
#include "qkv/ops/heads.h"

namespace qkv {

/// How queries and keys are normed: as layers do or by their root mean square; over the whole
/// projection or over each head.
enum class HeadNorm : std::uint8_t { none, layer, layer_per_head, rms, rms_per_head };

struct MultiHead {
  struct Config {
    std::int64_t width = 0;     // C of the queries' side and of the result
    std::int64_t heads = 0;     // H
    std::int64_t kv_heads = 0;  // Hkv; 0: as many as heads
    std::int64_t head_dim = 0;  // D; 0: width / heads
    std::int64_t kv_width = 0;  // C of keys and values; 0: width
    bool bias = true;
    bool output = true;  // the projection W_O; without it the heads' results are the output
    Activation projection = Activation::none;  // after q, k, v (the page variant uses relu)
    double dropout = 0.0;                      // on the weights

    // What happens to q and k between projection and score, in this order.
    double clip = 0.0;                    // within ±clip, and v too; 0: not
    HeadNorm head_norm = HeadNorm::none;  // with a bias where the products have one
    double head_norm_eps = 1e-5;
    std::optional<RotaryOptions> rotary = {};

    // Passed on to attend(). Tensors inside are not parameters of this module.
    Score score = ScaledDot{};
    Biases biases = {};
    Normaliser normaliser = Softmax{};
  };
  Config config;
  Linear q, k, v, o;
  LayerNorm q_norm, k_norm;  // [H·D] and [Hkv·D], or [D] per head; undefined without head_norm

  static MultiHead make(Initialiser& init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("q", m.q);
    visit("k", m.k);
    visit("v", m.v);
    if (m.config.output) visit("o", m.o);
    visit("q_norm", m.q_norm);
    visit("k_norm", m.k_norm);
  }

  using Positions = std::span<const std::int32_t>;

  /// x [T C] -> [T H D], and the rows that attention reads: memory [Tk C] -> [Tk Hkv D] each.
  /// Rotary heads need a position for each row.
  Tensor queries(const Tensor& x, Positions positions = {}) const;
  Tensor keys(const Tensor& memory, Positions positions = {}) const;
  Tensor values(const Tensor& memory) const;
  /// How the three meet.
  Attention how(const Mask& mask) const;
  /// The heads' results [T H D] -> [T C].
  Tensor joined(const Tensor& heads) const;

  /// Self-attention when memory is x itself; then the keys' positions default to the queries'.
  Tensor operator()(const Tensor& x, const Tensor& memory, const Mask& mask,
                    Positions positions = {}, Positions memory_positions = {}) const;

 private:
  Tensor projected(const Linear& linear, const Tensor& x, std::int64_t heads) const;
  Tensor treated(const Tensor& heads, const LayerNorm& norm, Positions positions) const;
};

}  // namespace qkv

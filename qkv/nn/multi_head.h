// Multi-head attention (Vaswani et al. 2017, §3.2) over packed rows, with grouped key/value heads.
#pragma once

#include <cstdint>
#include <functional>

#include "qkv/attention/attend.h"
#include "qkv/nn/linear.h"

namespace qkv {

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
  };
  Config config;
  Linear q, k, v, o;

  static MultiHead make(Initialiser& init, Config config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("q", m.q);
    visit("k", m.k);
    visit("v", m.v);
    if (m.config.output) visit("o", m.o);
  }

  /// x [T C] -> [T H D], and the rows that attention reads: memory [Tk C] -> [Tk Hkv D] each.
  Tensor queries(const Tensor& x) const { return split(q(x, config.projection), config.heads); }
  Tensor keys(const Tensor& memory) const {
    return split(k(memory, config.projection), config.kv_heads);
  }
  Tensor values(const Tensor& memory) const {
    return split(v(memory, config.projection), config.kv_heads);
  }
  /// The heads' results [T H D] -> [T C].
  Tensor joined(const Tensor& heads) const;

  /// Self-attention when memory is x itself.
  Tensor operator()(const Tensor& x, const Tensor& memory, const Mask& mask) const;

 private:
  Tensor split(const Tensor& x, std::int64_t heads) const;
};

/// Looks at every attention of a forward pass on this thread while it lives: gets q [Tq H D], k [Tk
/// Hkv D] and the mask, in order of the calls. It never changes a result.
class AttentionObserver {
 public:
  using Look = std::function<void(const Tensor& q, const Tensor& k, const Mask& mask)>;
  explicit AttentionObserver(Look look);
  ~AttentionObserver();
  AttentionObserver(const AttentionObserver&) = delete;
  AttentionObserver& operator=(const AttentionObserver&) = delete;

 private:
  friend struct MultiHead;
  Look look_;
  AttentionObserver* outer_;
};

}  // namespace qkv

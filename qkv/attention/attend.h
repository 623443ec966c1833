// attend: out = N(S(q, k) on M) · v — a score S, a mask M, a normaliser N, each a small value.
//
//   attend(q, k, v, {.mask = segments(batch) & causal()})
//
// Nothing of size Tq×Tk is ever held: the forward and the backward pass go through the keys tile by
// tile, and work outside the mask is not done.
#pragma once

#include <cstdint>
#include <variant>

#include "qkv/attention/bias.h"
#include "qkv/attention/mask.h"
#include "qkv/attention/normaliser.h"
#include "qkv/attention/score.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

using Score = std::variant<ScaledDot, General, Additive, Concat, Cosine, Gaussian, L1,
                           FeatureProduct, PairScore>;

enum class Execution : std::uint8_t {
  automatic,   ///< the fused kernels (f32), the definition (f64)
  definition,  ///< the short right form, always
};

struct Attention {
  Score score = ScaledDot{};
  Biases bias = {};  // in order
  Mask mask = everything();
  Normaliser norm = Softmax{};
  double dropout = 0.0;  // on P, while recording; drawn again in the backward pass, never stored
  Execution run = Execution::automatic;
};

struct Attended {
  Tensor out;      // [Tq H Dv]
  Tensor lse;      // [Tq H]: log Σ exp S, −inf for a row that sees nothing; differentiable
  Tensor entropy;  // [Tq H], nats: −Σ P log P, 0 for a row that sees nothing; differentiable
};

/// q [Tq H Dq], k [Tk Hkv Dk], v [Tk Hkv Dv] with H a multiple of Hkv: query head h reads key head
/// h / (H / Hkv). Dq = Dk unless the score projects them. -> [Tq H Dv]
/// A FeatureProduct is computed by linear_attend() (linear.h).
/// Plain product scores are counted in units of log 2: they must stay within ±2.3e38.
Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Attention& how = {});
/// The same with the log-sum-exp of every row; Softmax and SoftmaxSink only (its sink counts).
Attended attend_with_lse(const Tensor& q, const Tensor& k, const Tensor& v,
                         const Attention& how = {});
/// The same with the entropy too.
Attended attend_with_entropy(const Tensor& q, const Tensor& k, const Tensor& v,
                             const Attention& how = {});

}  // namespace qkv

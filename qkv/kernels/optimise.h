// One pass over flat parameter memory.
#pragma once

#include <cstdint>

namespace qkv::kernels {

/// Adam (Kingma & Ba 2015) with decoupled weight decay (Loshchilov & Hutter 2019):
///   g = gradient · gradient_scale
///   m = β₁m + (1−β₁)g,  v = β₂v + (1−β₂)g²
///   w = w − rate · (m·c₁ / (√(v·c₂) + eps) + decay·w),   c₁ = 1/(1−β₁ᵗ), c₂ = 1/(1−β₂ᵗ)
/// (c₁ = c₂ = 1 without bias correction), then ema = ema_decay·ema + (1−ema_decay)·w when ema is
/// given.
struct AdamStep {
  std::int64_t count;
  const float* gradient;
  double gradient_scale = 1;  // clipping and averaging folded in
  double rate, beta1, beta2, eps, decay = 0;
  double correction1 = 1, correction2 = 1;
  float* weight;
  float* m;
  float* v;
  float* ema = nullptr;
  double ema_decay = 0;
};
void adam_step(const AdamStep& a);

/// w −= rate·(g·gradient_scale + decay·w + momentum·buffer …) as PyTorch's SGD without dampening:
///   d = g·gradient_scale + decay·w;  buffer = momentum·buffer + d;  w −= rate·(momentum ? buffer :
///   d)
struct SgdStep {
  std::int64_t count;
  const float* gradient;
  double gradient_scale = 1;
  double rate, momentum = 0, decay = 0;
  float* weight;
  float* buffer = nullptr;  // required when momentum > 0
  float* ema = nullptr;
  double ema_decay = 0;
};
void sgd_step(const SgdStep& a);

/// Σ x², in double, in fixed pieces added in order. NaN and infinity propagate.
double sum_of_squares(std::int64_t count, const float* x);

namespace definition {
void adam_step(const AdamStep& a);
void sgd_step(const SgdStep& a);
double sum_of_squares(std::int64_t count, const float* x);
}  // namespace definition

}  // namespace qkv::kernels

// From the Attention of a call to what the kernel of caches reads (kernels/attention/cached.h).
#pragma once

#include <cstdint>
#include <span>

#include "qkv/attention/attend.h"

namespace qkv {

struct CachedForm {
  double scale = 1.0, soft_cap = 0.0;  // 0: none
  std::int64_t window = 0;             // 0: all keys
  Tensor slopes, sinks;                // [H] f32, or undefined
  bool definition = false;
};

/// What of a cache a mask is compared with.
struct CachedRows {
  std::span<const std::int64_t> first;    // [rows + 1]: query rows of each hypothesis
  std::span<const std::int32_t> lengths;  // [rows]: its keys, this step's included
  bool causal;                            // self-attention; else every row sees all keys
};

/// Throws, naming it, for whatever of `how` a cache cannot honour: all scores but ScaledDot, biases
/// but a SoftCap and then an Alibi, normalisers but Softmax and SoftmaxSink, masks but segments(),
/// causal() and window() joined by &, dropout while recording.
CachedForm cached_form(const Attention& how, std::int64_t heads, std::int64_t dim,
                       const CachedRows& rows);

}  // namespace qkv

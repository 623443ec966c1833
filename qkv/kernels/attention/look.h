// The vectorised steps of looking at rows of attention (observe.h).
#pragma once

#include <cstdint>
#include <span>

#include "qkv/kernels/attention/rows.h"

namespace qkv::kernels {

/// Query rows that are looked at together, keys of a tile.
inline constexpr std::int64_t kLookRows = 32, kLookKeys = 64;

/// scores[r·stride + n] = scale · q[first + r]·k[key + n] for n < count <= kLookKeys; writes
/// kLookKeys floats a row. scores and stride are whole cache lines.
void look_products(const RowSource<float>& a, std::int64_t head, std::int64_t first,
                   std::int64_t rows, std::int64_t key, std::int64_t count, float* scores,
                   std::int64_t stride);

struct LookedRow {
  float top, lse, entropy;
};
/// weights = softmax(scores), with what is worth knowing. Nothing but −inf gives zeros.
LookedRow look_softmax(std::span<const float> scores, std::span<float> weights);

/// Places of the largest weights, largest first, ties by place; returns how many there are.
std::int64_t look_largest(std::span<const float> weights, std::span<std::int64_t> places);

}  // namespace qkv::kernels

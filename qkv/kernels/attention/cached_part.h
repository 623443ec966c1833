// How cached attention is cut: parts of query rows that share a key head, and chunks of keys.
#pragma once

#include <algorithm>
#include <cstdint>

#include "qkv/kernels/attention/cached.h"

namespace qkv::kernels {

/// Query rows that go through the keys together. At 16 rows an fp32 key brings 8 operations a byte,
/// more than a core can do at the speed of memory: nothing is gained by more.
inline constexpr std::int64_t kPartRows = 16;

/// Rows [row, row + rows) of the n·G query rows (token, head of the group) that hypothesis b has
/// for each of the key heads [g, g_end), against chunks [chunk, chunk_end) of its keys.
struct CachedPart {
  std::int64_t b, row, rows, g, g_end, chunk, chunk_end;
  bool stream = false;  // keys and values come from memory, not from the caches
};

/// Keys [begin, end) of the hypothesis that the new token t of `count` sees.
struct SeenKeys {
  std::int64_t begin, end;
};
template <class T>
SeenKeys seen_keys(const AttendCached<T>& a, std::int64_t b, std::int64_t count, std::int64_t t) {
  const std::int64_t after = a.causal ? count - 1 - t : 0;  // new tokens behind this one
  const std::int64_t end = std::max<std::int64_t>(0, a.lengths[b] - after);
  return {a.window > 0 ? std::max<std::int64_t>(0, end - a.window) : 0, end};
}

/// What is known of a query row after some chunks: a head of 16 floats (maximum in log 2 units,
/// sum, 1 when any key was seen), then the sums of the values.
inline constexpr std::int64_t kStateHead = 16;
inline std::int64_t state_stride(const AttendCached<float>& a) {
  return kStateHead + stored_width(a.v.dim);
}

/// Floats of working memory for one part.
inline std::int64_t part_scratch(const AttendCached<float>& a) {
  return kPartRows * (stored_width(a.k.dim) + kCachedChunk + 3 * state_stride(a)) +
         2 * kCachedChunk;
}

}  // namespace qkv::kernels

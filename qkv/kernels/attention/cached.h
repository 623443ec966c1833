// Decoding: one or a few new query rows per hypothesis against cached keys and values that are
// found through a table, so that beams share history and reorder without copying (cache.h in
// qkv/attention). Query row t of the n new ones of hypothesis b, which has l keys, stands at
// position l − n + t and sees the keys up to itself, at most the last `window`:
//
//   S[j] = cap(scale · q·K[j]) − slope·(l − n + t − j),  cap(s) = soft_cap · tanh(s / soft_cap)
//   out  = Σ_j P[j]·V[j],  P[j] = exp S[j] / (Σ exp S + exp sink)
//
// with only those of cap, slope and sink that are given. A row that sees nothing gives 0. Stored
// rows that no query row sees are not read, so NaN there does not leak.
//
// All query rows that share a key head (grouped heads, several new tokens) go through its keys
// together: keys and values are read once. Keys are taken in chunks of kCachedChunk counted from
// the start of the sequence, each with its own maximum, merged in order. Chunks are what threads
// share when hypotheses are few. A row's result is one fixed sequence of operations: the same bits
// for any number of threads, any neighbours, and alone or among the new rows of a block.
//
// Sums are fp32 whatever the storage. With e_k and e_v the errors of the stored elements
// (storage.h) and d_j = |scale|·Σ|q|·e_k[j], storage moves an output by at most
//   (exp(2·max d) − 1)·Σ P·(|V| + e_v) + Σ P·e_v.
#pragma once

#include <cstdint>

#include "qkv/kernels/attention/storage.h"

namespace qkv::kernels {

/// Keys of one head of D = 128: 2·128 KiB in f32, more than a fork and join cost by far, while
/// scores stay in the first-level cache and 4,096 keys are enough work for 16 threads.
inline constexpr std::int64_t kCachedChunk = 256;

template <class T>
struct AttendCached {
  std::int64_t rows, heads, kv_heads;   // hypotheses, H, Hkv
  const T* q;                           // [T H D]
  bool causal = true;                   // false: every row sees all keys and stands at the last
  const std::int64_t* first = nullptr;  // [rows + 1]: b's query rows are first[b] .. first[b + 1];
                                        // null: row b
  StoredRows k, v;                      // their dims are D and Dv
  const std::int32_t* table;  // [rows stride]: stored row of head 0 of key j of hypothesis b;
                              // head g is g·kCachePage further on
  std::int64_t table_stride;
  const std::int32_t* lengths;  // [rows]: keys, those of the new rows included
  double scale;
  double soft_cap = 0.0;          // 0: none
  std::int64_t window = 0;        // 0: all keys
  const float* slopes = nullptr;  // [H], ALiBi, or null
  const float* sinks = nullptr;   // [H], or null
  T* out;                         // [T H Dv]
  T* weights = nullptr;           // [T H stride]: P when it is to be seen, or null
};

/// Query rows of hypothesis b.
template <class T>
std::int64_t query_begin(const AttendCached<T>& a, std::int64_t b) {
  return a.first ? a.first[b] : b;
}

namespace definition {
template <class T>
void attend_cached(const AttendCached<T>& a);
}  // namespace definition

void attend_cached(const AttendCached<float>& a);

}  // namespace qkv::kernels

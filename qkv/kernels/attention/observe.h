// Looking at attention without holding Tq×Tk: single rows of P on demand, and summaries of every
// row. Scores come in tiles (a user's own pair by pair), softmax is vectorised, biases and other
// normalisers go row by row through AttendRow. Tasks are pieces of a head and a segment, fixed by
// the plan, and their sums are joined in order: the same bits for any number of threads.
#pragma once

#include <cstdint>

#include "qkv/kernels/attention/plan.h"
#include "qkv/kernels/attention/rows.h"

namespace qkv::kernels {

using AttendObserved = RowSource<float>;

/// weights [last − first, keys] = rows [first, last) of P of one query head, those keys only; zeros
/// where the mask hides.
void attend_weights(const AttendObserved& a, std::int64_t head, std::int64_t first,
                    std::int64_t last, Interval keys, float* weights);

/// What attend_summary writes; null pointers are left out.
struct AttendSummary {
  std::int64_t top = 0;              // how many of the strongest keys to keep a row
  std::int32_t* top_keys = nullptr;  // [Tq H top], strongest first, ties by key; −1 when fewer
  float* top_weights = nullptr;      // [Tq H top], 0 when fewer
  float* entropy = nullptr;          // [Tq H], −Σ p ln p in nats; 0 for a row that sees nothing
  float* max_logit = nullptr;        // [Tq H], max S; −inf for a row that sees nothing
  float* lse = nullptr;              // [Tq H], log Σ exp S, with the sink where there is one
  float* received = nullptr;         // [Tk H], Σ over rows of p: what a key gets
  float* map = nullptr;  // [H map_rows map_cols]; rows and keys fall into bands of equal size
  std::int64_t map_rows = 0, map_cols = 0;
  bool map_largest = false;  // the largest p of a cell; else the mean over rows of sums over keys
};
void attend_summary(const AttendObserved& a, const AttendSummary& summary);

}  // namespace qkv::kernels

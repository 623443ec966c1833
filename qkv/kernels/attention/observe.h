// Looking at attention without holding Tq×Tk: single rows of P on demand, and summaries of every
// row. Straight loops with one row of scores per thread: made for pictures, not for speed.
#pragma once

#include <cstdint>

#include "qkv/kernels/attention/plan.h"

namespace qkv::kernels {

/// q [Tq H D], k [Tk Hkv D] as in Attend.
struct AttendObserved {
  const AttendPlan* plan;
  std::int64_t heads, kv_heads, dim;
  const float* q;
  const float* k;
  double scale;
};

/// weights [last − first, Tk] = the rows [first, last) of P of one query head, zeros where the mask
/// hides.
void attend_weights(const AttendObserved& a, std::int64_t head, std::int64_t first,
                    std::int64_t last, float* weights);

/// What attend_summary writes; null pointers are left out.
struct AttendSummary {
  std::int64_t top = 0;              // how many of the strongest keys to keep a row
  std::int32_t* top_keys = nullptr;  // [Tq H top], strongest first, ties by key; −1 when fewer
  float* top_weights = nullptr;      // [Tq H top], 0 when fewer
  float* entropy = nullptr;          // [Tq H], −Σ p ln p in nats; 0 for a row that sees nothing
  float* max_logit = nullptr;        // [Tq H], max S; −inf for a row that sees nothing
  float* lse = nullptr;              // [Tq H]
  float* received = nullptr;         // [Tk H], Σ over rows of p: what a key gets
};
void attend_summary(const AttendObserved& a, const AttendSummary& summary);

}  // namespace qkv::kernels

// Attention over a plan, forward and backward:
//   S = score(q, k) changed by the biases, on the plan;  P = normalise(S);  out = dropout(P) · v
// Without a form: S = scale · q kᵀ, P = softmax(S), streaming, so that scores are never held for
// more than a tile (Milakov & Gimelshein 2018; Dao et al. 2022).
// A row that sees nothing gives out = 0, lse = −inf and zero gradients. Keys and values outside the
// plan are never used in arithmetic that could leak a NaN. Layout: q [Tq H D], k [Tk Hkv D], v [Tk
// Hkv Dv], out [Tq H Dv], lse [Tq H]; query head h reads key head h / (H / Hkv).
#pragma once

#include <cstdint>

#include "qkv/base/random.h"
#include "qkv/kernels/attention/form.h"
#include "qkv/kernels/attention/plan.h"

namespace qkv::kernels {

/// Dropout of the weights of (query row i, head h), row_head = i·H + h: a key of its own, under
/// which key j draws element j − k_begin of i's plan segment. The definition and the fast forms,
/// forward and backward, all draw through this.
constexpr Dropout attend_dropout(Dropout dropout, std::int64_t row_head) {
  if (!dropout.active()) return dropout;
  const std::uint64_t key = (static_cast<std::uint64_t>(dropout.key1) << 32) | dropout.key0;
  const std::uint64_t row =
      mix64(key + 0x9e3779b97f4a7c15ULL * static_cast<std::uint64_t>(row_head + 1));
  dropout.key0 = static_cast<std::uint32_t>(row);
  dropout.key1 = static_cast<std::uint32_t>(row >> 32);
  return dropout;
}

template <class T>
struct Attend {
  const AttendPlan* plan;
  std::int64_t heads, kv_heads, dim, value_dim;  // H, Hkv, D, Dv
  const T* q;
  const T* k;
  const T* v;
  double scale;
  Dropout dropout;
  T* out;
  T* lse;                               // [Tq H]: RowResult::statistic, −inf for an empty row
  const AttendForm<T>* form = nullptr;  // null: product scores, softmax
  T* entropy = nullptr;                 // [Tq H]: softmax and sink; or null
};

template <class T>
struct AttendBackward {
  const AttendPlan* plan;
  std::int64_t heads, kv_heads, dim, value_dim;
  const T* q;
  const T* k;
  const T* v;
  double scale;
  Dropout dropout;
  const T* out;
  const T* lse;
  const T* dout;
  const T* dlse = nullptr;              // gradient that reaches lse, or null; softmax and sink only
  T* dq;                                // written
  T* dk;                                // written
  T* dv;                                // written
  const AttendForm<T>* form = nullptr;  // with the places of its own gradients
  const T* entropy = nullptr;           // with dentropy: what the forward pass left
  const T* dentropy = nullptr;          // gradient that reaches entropy, or null
};

namespace definition {
template <class T>
void attend(const Attend<T>& a);
template <class T>
void attend_backward(const AttendBackward<T>& a);
}  // namespace definition

void attend(const Attend<float>& a);
void attend_backward(const AttendBackward<float>& a);

/// What the two above hand on whenever more than product scores and softmax is wanted: any form.
void attend_general(const Attend<float>& a);
void attend_general_backward(const AttendBackward<float>& a);
/// And where the mask is made of lists of neighbours (AttendPlan::lists).
void attend_lists(const Attend<float>& a);
void attend_lists_backward(const AttendBackward<float>& a);

}  // namespace qkv::kernels

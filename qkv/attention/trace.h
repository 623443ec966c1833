// What people want to see of attention, without storing Tq×Tk.
#pragma once

#include <cstdint>
#include <vector>

#include "qkv/attention/attend.h"

namespace qkv {

struct TraceOptions {
  std::int64_t top = 4;        // strongest keys kept for every row
  std::int64_t map_rows = 64;  // size of the down-sampled map; 0: none
  std::int64_t map_cols = 64;
};

struct Trace {
  std::vector<std::int32_t> top_keys;  // [Tq H top], strongest first, −1 when fewer are visible
  Tensor top_weights;                  // [Tq H top]
  Tensor entropy;                      // [Tq H], nats
  Tensor max_logit;                    // [Tq H]; −inf for a row that sees nothing
  Tensor lse;                          // [Tq H]; −inf likewise
  Tensor received;                     // [Tk H]: Σ over queries of the weight a key gets
  /// [H R C] with R ≤ map_rows and C ≤ map_cols: the mean over its queries of the sum over its
  /// keys, so every row of the small map sums to what the rows it stands for sum to (1 when all see
  /// something).
  Tensor map;
};

/// q [Tq H D], k [Tk Hkv D] (f32) as in attend(); dropout does not show.
Trace trace(const Tensor& q, const Tensor& k, const Attention& how = {},
            const TraceOptions& options = {});

/// The weights of query rows [first, last): [H, last − first, Tk], zeros where the mask hides. The
/// whole matrix when the range is; recomputed on demand, so any block of a long sequence can be
/// looked at.
Tensor attention_weights(const Tensor& q, const Tensor& k, const Attention& how, std::int64_t first,
                         std::int64_t last);
Tensor attention_weights(const Tensor& q, const Tensor& k, const Attention& how = {});

}  // namespace qkv

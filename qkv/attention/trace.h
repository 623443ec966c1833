// What people want to see of attention, without storing Tq×Tk. Any score, bias, mask and
// normaliser.
#pragma once

#include <cstdint>
#include <vector>

#include "qkv/attention/attend.h"

namespace qkv {

/// What a cell of a down-sampled map shows of the queries × keys that it stands for.
enum class MapBy : std::uint8_t {
  mean,     ///< the mean over its queries of the sum over its keys: rows of the map sum to what the
            ///< rows they stand for sum to, 1 when all see something
  largest,  ///< the largest weight: a single strong key stays visible however long the sequence
};

struct TraceOptions {
  std::int64_t top = 4;        // strongest keys kept for every row
  std::int64_t map_rows = 64;  // size of the down-sampled map; 0: none
  std::int64_t map_cols = 64;
  MapBy map_by = MapBy::mean;
};

struct Trace {
  std::vector<std::int32_t> top_keys;  // [Tq H top], strongest first, −1 when fewer are visible
  Tensor top_weights;                  // [Tq H top]
  Tensor entropy;    // [Tq H]: −Σ P log P, nats; with a sink, its share included
  Tensor max_logit;  // [Tq H]; −inf for a row that sees nothing
  Tensor lse;        // [Tq H]: log Σ exp S, a sink included; −inf likewise
  Tensor received;   // [Tk H]: Σ over queries of the weight a key gets
  Tensor map;        // [H R C] with R ≤ map_rows and C ≤ map_cols
};

/// q [Tq H D], k [Tk Hkv D] (f32) as in attend(); dropout does not show and nothing is recorded.
Trace trace(const Tensor& q, const Tensor& k, const Attention& how = {},
            const TraceOptions& options = {});

/// The weights of query rows [rows.begin, rows.end) for keys [keys.begin, keys.end): [H R C], zeros
/// where the mask hides. Recomputed on demand, so any block of a long sequence can be looked at.
Tensor attention_weights(const Tensor& q, const Tensor& k, const Attention& how,
                         kernels::Interval rows, kernels::Interval keys);
/// All keys of query rows [first, last).
Tensor attention_weights(const Tensor& q, const Tensor& k, const Attention& how, std::int64_t first,
                         std::int64_t last);
/// The whole matrix.
Tensor attention_weights(const Tensor& q, const Tensor& k, const Attention& how = {});

}  // namespace qkv

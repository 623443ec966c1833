// What a call of attend() will do, before it does it: which loops, which tiles, how much of the
// work the mask saves, and on demand how long it takes. The path comes from the function that the
// dispatch itself asks (kernels/attention/path.h), the tiles from the plan that the kernels read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "qkv/attention/attend.h"
#include "qkv/kernels/attention/path.h"

namespace qkv {

struct Explanation {
  std::int64_t queries = 0, keys = 0, heads = 0, kv_heads = 0, dim = 0, value_dim = 0;
  std::int64_t sequences = 0;
  std::string score, bias, mask, norm;

  kernels::AttendPath path = kernels::AttendPath::definition;
  /// On product tiles: sequences of few query rows, whose forward pass goes by product rows. When
  /// all do, that is the path.
  std::int64_t few = 0;
  std::vector<std::string> slow;  // whatever costs more than it looks, and why; empty is good

  /// Tiles of one head: every pair of a query tile and a key tile of the same sequence.
  std::int64_t query_tile = 0, key_tile = 0;
  std::int64_t query_tiles = 0;  // of all heads: what threads share out among themselves
  std::int64_t full = 0, partial = 0, skipped = 0;

  std::int64_t pairs = 0, visited = 0, visible = 0;  // Tq·Tk; in visited tiles; seen by the mask
  /// Work that is not done, of Tq×Tk.
  double saved() const;

  /// Floating-point operations of both products (or of another score), all heads, in visited tiles.
  double operations = 0, backward_operations = 0;
  double bytes = 0;       // q, k, v, out and lse, once each
  double tile_bytes = 0;  // keys and values as the forward tiles read them again and again

  struct Measured {
    double seconds = 0, backward_seconds = 0;
    double peak = 0;  // FMA operations a second, all threads, measured beside it
    int threads = 0;
  };
  std::optional<Measured> measured;
};

/// q, k and v as in attend(). With `measure` the call runs a few times, forward and backward.
Explanation explain(const Tensor& q, const Tensor& k, const Tensor& v, const Attention& how,
                    bool measure = false);

/// A short table.
std::string to_string(const Explanation& e);
/// "product tiles", …
const char* name_of(kernels::AttendPath path);

/// A tile of the schedule; `visible` of its pairs are seen.
struct ScheduledTile {
  kernels::Interval queries, keys;
  std::int64_t visible = 0;
  std::int64_t pairs() const { return (queries.end - queries.begin) * (keys.end - keys.begin); }
};
/// All tiles of one head, row by row, skipped ones too.
std::vector<ScheduledTile> tiles_of(const kernels::AttendPlan& plan, std::int64_t query_tile,
                                    std::int64_t key_tile);

}  // namespace qkv

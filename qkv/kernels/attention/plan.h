// Which keys each query row may see, compiled: what the mask algebra (qkv/attention/mask.h) hands
// to the kernels. Forward, backward and the cost estimate share one plan; it is made once a batch
// and mask.
#pragma once

#include <cstdint>
#include <vector>

namespace qkv::kernels {

/// Keys [begin, end).
struct Interval {
  std::int64_t begin, end;
  friend bool operator==(const Interval&, const Interval&) = default;
};

struct AttendPlan {
  /// Query rows [q_begin, q_end) look at keys inside [k_begin, k_end): one sequence. Tiles are
  /// counted from these beginnings, so a sequence's result does not depend on its neighbours.
  /// Segments are sorted, disjoint in queries and in keys (so one task owns the gradient of a key);
  /// rows outside all of them see nothing.
  struct Segment {
    std::int64_t q_begin, q_end, k_begin, k_end;
  };
  std::int64_t queries = 0, keys = 0;  // Tq, Tk
  std::vector<Segment> segments;
  /// Row i sees intervals[row_offsets[i] .. row_offsets[i+1]), sorted, disjoint, absolute key
  /// indices.
  std::vector<std::int64_t> row_offsets;  // Tq + 1
  std::vector<Interval> intervals;
  /// Made of lists of neighbours (graph()): few keys a row, nearly all of them alone, so that tiles
  /// would be almost empty. A property of the mask, not of the numbers in it.
  bool lists = false;
};

}  // namespace qkv::kernels

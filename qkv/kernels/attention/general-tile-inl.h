// A tile of the general path: which rows, which keys, who sees whom, and the dropout of its
// weights. Scores stand [key][width], query rows side by side. Compiled once per instruction set;
// included from dispatched sources only.
#if defined(QKV_KERNELS_ATTENTION_GENERAL_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_GENERAL_TILE_INL_H_
#undef QKV_KERNELS_ATTENTION_GENERAL_TILE_INL_H_
#else
#define QKV_KERNELS_ATTENTION_GENERAL_TILE_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include <hwy/highway.h>

#include "qkv/kernels/attention/attend.h"
#include "qkv/kernels/attention/cover-inl.h"
#include "qkv/kernels/attention/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

struct Tile {
  const AttendPlan* plan;
  const AttendPlan::Segment* segment;
  std::int64_t heads, head;         // H, and which
  std::int64_t first, rows, width;  // query rows, absolute; whole vectors of them
  std::int64_t key = 0, keys = 0;   // keys, absolute
  const RowCover* cover = nullptr;  // null: every row sees every key
};

/// visit(key, row), counted in the tile, for the pairs that see each other: for a user's functions,
/// which no other pair must reach.
template <class Visit>
void EachVisible(const Tile& t, Visit&& visit) {
  const auto& intervals = t.plan->intervals;
  for (std::int64_t r = 0; r < t.rows; ++r) {
    const auto row = static_cast<std::size_t>(t.first + r);
    const auto last = intervals.begin() + t.plan->row_offsets[row + 1];
    auto seen = std::partition_point(intervals.begin() + t.plan->row_offsets[row], last,
                                     [&](const Interval& x) { return x.end <= t.key; });
    for (; seen != last && seen->begin < t.key + t.keys; ++seen) {
      const std::int64_t end = std::min(seen->end - t.key, t.keys);
      for (std::int64_t k = std::max<std::int64_t>(seen->begin - t.key, 0); k < end; ++k) {
        visit(k, r);
      }
    }
  }
}

/// The dropout of the rows of a query tile.
struct RowDropout {
  alignas(64) std::uint32_t key0[RowCover::kTallest];
  alignas(64) std::uint32_t key1[RowCover::kTallest];

  void prepare(const Dropout& dropout, const Tile& t) {
    if (!dropout.active()) return;
    for (std::int64_t r = 0; r < t.width; ++r) {
      const std::int64_t row = t.first + std::min(r, t.rows - 1);
      const Dropout drop = attend_dropout(dropout, row * t.heads + t.head);
      key0[r] = drop.key0;
      key1[r] = drop.key1;
    }
  }
};

/// Dropout of a tile of weights, or of what reaches them from above.
inline void Drop(const Dropout& dropout, const RowDropout& rows, const Tile& t, float* x) {
  const F d;
  const U u;
  const VF scale = hn::Set(d, dropout.scale);
  const auto dropped = hn::Set(I(), static_cast<std::int32_t>(dropout.threshold) - 1);
  const auto low_half = hn::Set(u, 0xffffU);
  const std::int64_t first = t.key - t.segment->k_begin;  // even: tiles begin at multiples of 64
  const auto apply = [&](hn::Vec<U> draws, float* at) HWY_ATTR {
    const auto kept = hn::RebindMask(d, hn::Gt(hn::BitCast(I(), draws), dropped));
    hn::Store(hn::IfThenElseZero(kept, hn::Mul(hn::Load(d, at), scale)), d, at);
  };
  for (std::int64_t v = 0; v < t.width; v += Lanes()) {
    const auto key0 = hn::Load(u, rows.key0 + v), key1 = hn::Load(u, rows.key1 + v);
    float* at = x + v;
    for (std::int64_t k = 0; k < t.keys; k += 2, at += 2 * t.width) {
      const auto draws = Draws((first + k) / 2, key0, key1);
      apply(hn::And(draws, low_half), at);
      if (k + 1 < t.keys) apply(hn::ShiftRight<16>(draws), at + t.width);
    }
  }
}

/// Keys that row `row` of the plan sees.
inline std::int64_t VisibleKeys(const AttendPlan& plan, std::int64_t row) {
  const auto i = static_cast<std::size_t>(row);
  std::int64_t sum = 0;
  for (std::int64_t x = plan.row_offsets[i]; x < plan.row_offsets[i + 1]; ++x) {
    const Interval& seen = plan.intervals[static_cast<std::size_t>(x)];
    sum += seen.end - seen.begin;
  }
  return sum;
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

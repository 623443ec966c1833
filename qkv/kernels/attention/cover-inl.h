// Which keys of a tile each query row sees.
#if defined(QKV_KERNELS_ATTENTION_COVER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_COVER_INL_H_
#undef QKV_KERNELS_ATTENTION_COVER_INL_H_
#else
#define QKV_KERNELS_ATTENTION_COVER_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <limits>

#include <hwy/highway.h>

#include "qkv/kernels/attention/plan.h"
#include "qkv/kernels/attention/schedule.h"
#include "qkv/kernels/attention/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

enum class Cover : std::uint8_t { none, all, some };

/// visit(begin, end) for every run of ones among the lowest bits, in ascending order.
template <class Visit>
HWY_INLINE void EachRun(std::uint32_t bits, Visit&& visit) {
  for (int begin = 0; bits >> begin != 0;) {
    if ((bits >> begin & 1U) == 0) {
      ++begin;
      continue;
    }
    int end = begin + 1;
    while ((bits >> end & 1U) != 0) ++end;
    visit(begin, end);
    begin = end;
  }
}

/// The rows of one query tile against one key tile after the other, in ascending order. Key k of
/// the tile is visible to row r when begin[l][r] <= k < end[l][r] for a layer l. Work that a mask
/// makes needless is left out by cells of kCell rows × kCell keys.
class RowCover {
 public:
  static constexpr std::int64_t kTallest = kTallestTile;
  static constexpr std::int64_t kCell = 16;

  RowCover(const AttendPlan& plan, std::int64_t first, std::int64_t rows)
      : plan_(plan), first_(first), rows_(rows) {
    hull_ = {plan.keys, 0};
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto row = static_cast<std::size_t>(first + r);
      cursor_[r] = plan.row_offsets[row];
      const std::int64_t end = plan.row_offsets[row + 1];
      if (end - cursor_[r] == 1) {
        inner_.begin = std::max(inner_.begin, at(cursor_[r]).begin);
        inner_.end = std::min(inner_.end, at(cursor_[r]).end);
      } else {
        inner_.end = 0;
      }
      if (cursor_[r] == end) continue;
      hull_.begin = std::min(hull_.begin, at(cursor_[r]).begin);
      hull_.end = std::max(hull_.end, at(end - 1).end);
    }
  }

  /// All keys that any row sees lie in here.
  Interval hull() const { return hull_; }

  /// Moves to keys [k_begin, k_end), at most kKeyTile of them.
  Cover move(std::int64_t k_begin, std::int64_t k_end) {
    if (inner_.begin <= k_begin && k_end <= inner_.end) return Cover::all;
    layers_ = 0;
    std::fill_n(blocks_, kTallest / kCell, 0U);
    std::int64_t full = 0;
    bool any = false;
    for (std::int64_t r = 0; r < rows_; ++r) {
      const std::int64_t end = plan_.row_offsets[static_cast<std::size_t>(first_ + r) + 1];
      std::int64_t& x = cursor_[r];
      while (x < end && at(x).end <= k_begin) ++x;
      int layer = 0;
      for (std::int64_t y = x; y < end && at(y).begin < k_end; ++y, ++layer) {
        const Interval seen{std::max(at(y).begin, k_begin), std::min(at(y).end, k_end)};
        if (seen.begin == k_begin && seen.end == k_end) ++full;
        if (layer == layers_) clear(layers_++);
        begin_[layer][r] = static_cast<float>(seen.begin - k_begin);
        end_[layer][r] = static_cast<float>(seen.end - k_begin);
        const auto first = (seen.begin - k_begin) / kCell, last = (seen.end - k_begin - 1) / kCell;
        blocks_[r / kCell] |= (2U << last) - (1U << first);
        any = true;
      }
    }
    return !any ? Cover::none : full == rows_ ? Cover::all : Cover::some;
  }

  /// Bit j: some row of the g-th kCell rows sees a key of the j-th kCell keys of the tile.
  std::uint32_t blocks(std::int64_t g) const { return blocks_[g]; }
  /// Bit g: the same, for the j-th keys.
  std::uint32_t groups(std::int64_t j) const {
    std::uint32_t bits = 0;
    for (int g = 0; g < kTallest / kCell; ++g) bits |= (blocks_[g] >> j & 1U) << g;
    return bits;
  }
  /// visit(begin, end, groups) for runs of keys of the tile, by whole cells, with equal groups().
  template <class Visit>
  HWY_INLINE void EachRunOfKeys(std::int64_t keys, Visit&& visit) const {
    const std::int64_t cells = (keys + kCell - 1) / kCell;
    for (std::int64_t j = 0, end = 0; j < cells; j = end) {
      const std::uint32_t bits = groups(j);
      for (end = j + 1; end < cells && groups(end) == bits;) ++end;
      if (bits != 0) visit(j * kCell, std::min(end * kCell, keys), bits);
    }
  }

  /// Lanes of vector v (rows v .. v + lanes) that see key k of the tile.
  HWY_INLINE hn::Mask<F> visible(std::int64_t k, std::int64_t v) const {
    const F d;
    const VF key = hn::Set(d, static_cast<float>(k));
    auto seen =
        hn::And(hn::Ge(key, hn::Load(d, begin_[0] + v)), hn::Lt(key, hn::Load(d, end_[0] + v)));
    for (int l = 1; l < layers_; ++l) {
      seen = hn::Or(seen, hn::And(hn::Ge(key, hn::Load(d, begin_[l] + v)),
                                  hn::Lt(key, hn::Load(d, end_[l] + v))));
    }
    return seen;
  }

 private:
  const Interval& at(std::int64_t x) const { return plan_.intervals[static_cast<std::size_t>(x)]; }
  void clear(int layer) {
    std::fill_n(begin_[layer], kTallest, 0.0f);
    std::fill_n(end_[layer], kTallest, 0.0f);
  }

  static constexpr int kMostLayers = kKeyTile / 2;  // intervals do not touch
  const AttendPlan& plan_;
  std::int64_t first_, rows_;
  Interval hull_;
  Interval inner_{0, std::numeric_limits<std::int64_t>::max()};  // every row sees all of it
  std::uint32_t blocks_[kTallest / kCell];
  int layers_ = 0;
  std::int64_t cursor_[kTallest];
  alignas(64) float begin_[kMostLayers][kTallest];
  alignas(64) float end_[kMostLayers][kTallest];
};

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

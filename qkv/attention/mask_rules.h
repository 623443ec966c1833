// What the rules of the ready-made masks share.
#pragma once

#include <algorithm>
#include <span>
#include <string>

#include <fmt/format.h>

#include "qkv/attention/mask.h"

namespace qkv::mask_rules {

/// The place of the row on the keys' scale, relative to its sequence.
inline std::int64_t place(const MaskRow& row, Alignment alignment) {
  return row.position + (alignment == Alignment::bottom_right ? row.keys - row.queries : 0);
}

/// Keys [begin, end) of the row's sequence, given relative to its first key.
inline void append(const MaskRow& row, std::int64_t begin, std::int64_t end, Intervals& out) {
  begin = std::max<std::int64_t>(begin, 0);
  end = std::min(end, row.keys);
  if (begin < end) out.push_back({row.k_begin + begin, row.k_begin + end});
}

/// Those of sorted, disjoint intervals that meet [begin, end), cut to it and moved by `shift`.
inline void append_between(std::span<const kernels::Interval> sorted, std::int64_t begin,
                           std::int64_t end, std::int64_t shift, Intervals& out) {
  auto at = std::partition_point(sorted.begin(), sorted.end(),
                                 [&](const kernels::Interval& x) { return x.end <= begin; });
  for (; at != sorted.end() && at->begin < end; ++at) {
    out.push_back({std::max(at->begin, begin) + shift, std::min(at->end, end) + shift});
  }
}

/// "[3, 0, 2]"; a long list is cut short, and then a parser will not take it.
inline std::string list(std::span<const std::int64_t> values) {
  constexpr std::size_t kLong = 64;
  if (values.size() <= kLong) return fmt::format("[{}]", fmt::join(values, ", "));
  return fmt::format("[{}, … {} in all]", fmt::join(values.first(8), ", "), values.size());
}

}  // namespace qkv::mask_rules

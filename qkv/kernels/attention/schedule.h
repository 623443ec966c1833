// How a plan is cut into tasks. Tiles are counted from the beginnings of each segment, tasks depend
// on the plan only: the same bits for any number of threads and any neighbours.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "qkv/base/parallel.h"
#include "qkv/kernels/attention/plan.h"

namespace qkv::kernels {

/// Keys a tile: 64 rows of 64 floats are 16 KiB, half of a small L1.
inline constexpr std::int64_t kKeyTile = 64;
inline constexpr std::int64_t kTallestTile = 64;
/// Query rows a tile, so that the packed queries [D rows] stay within 32 KiB.
constexpr std::int64_t query_tile(std::int64_t dim) {
  return dim <= 128 ? 64 : dim <= 256 ? 32 : 16;
}
/// Keys whose weights are summed before they join those of earlier keys, a multiple of kKeyTile:
/// joining costs little beside them, and few rows with 4,096 keys still make tasks for threads.
inline constexpr std::int64_t kKeyChunk = 1024;

/// Floats that a chunk leaves for `rows` rows when it is a task of its own (join-inl.h): sums, two
/// numbers a row, a flag.
constexpr std::int64_t share_size(std::int64_t rows, std::int64_t padded) {
  return rows * padded + 2 * kTallestTile + 16;
}

/// One task: a head of a segment, query rows [first, last).
struct Task {
  std::int64_t segment, head, first, last;
};

/// run(task) for all of them in parallel, small ones several at a time. cost(task): any unit in
/// which 1 << 16 is worth a thread's wake-up. Tasks go in order, as the memory lies; when one alone
/// is costly the order is turned round, since under a causal mask the last tiles are the longest.
template <class AnyTask, class Cost, class Run>
void run_tasks(const std::vector<AnyTask>& tasks, Cost&& cost, Run&& run) {
  constexpr std::int64_t kPiece = 1 << 16;
  std::vector<std::size_t> ends;
  std::int64_t sum = 0, most = 0;
  for (std::size_t n = 0; n < tasks.size(); ++n) {
    const std::int64_t c = cost(tasks[n]);
    most = std::max(most, c);
    sum += c;
    if (sum >= kPiece || n + 1 == tasks.size()) {
      ends.push_back(n + 1);
      sum = 0;
    }
  }
  const auto pieces = static_cast<std::int64_t>(ends.size());
  parallel_for(pieces, 1, [&](std::int64_t p, std::int64_t) {
    const auto piece = static_cast<std::size_t>(most >= kPiece ? pieces - 1 - p : p);
    for (std::size_t n = piece == 0 ? 0 : ends[piece - 1]; n < ends[piece]; ++n) run(tasks[n]);
  });
}

/// visit(begin, end) for the rows outside all segments; `keys` chooses the side.
template <class Visit>
void each_gap(const AttendPlan& plan, bool keys, Visit&& visit) {
  std::int64_t at = 0;
  for (const AttendPlan::Segment& s : plan.segments) {
    const std::int64_t begin = keys ? s.k_begin : s.q_begin, end = keys ? s.k_end : s.q_end;
    if (at < begin) visit(at, begin);
    at = std::max(at, end);
  }
  const std::int64_t total = keys ? plan.keys : plan.queries;
  if (at < total) visit(at, total);
}

}  // namespace qkv::kernels

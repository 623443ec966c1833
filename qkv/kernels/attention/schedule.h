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
/// Query rows a tile, so that the packed queries [D rows] stay within 16 KiB.
constexpr std::int64_t query_tile(std::int64_t dim) {
  return dim <= 64 ? 64 : dim <= 128 ? 32 : 16;
}

/// One task: a head of a segment, query rows [first, last).
struct Task {
  std::int64_t segment, head, first, last;
};

/// run(task) for all of them in parallel, the costly last ones first, small ones several at a time.
/// cost(task): any unit in which 1 << 15 is worth a thread's wake-up.
template <class Cost, class Run>
void run_tasks(const std::vector<Task>& tasks, Cost&& cost, Run&& run) {
  std::vector<std::size_t> pieces;  // ends; pieces go backwards through the tasks
  std::int64_t sum = 0;
  for (std::size_t n = 0; n < tasks.size(); ++n) {
    sum += cost(tasks[tasks.size() - 1 - n]);
    if (sum >= (1 << 15) || n + 1 == tasks.size()) {
      pieces.push_back(n + 1);
      sum = 0;
    }
  }
  parallel_for(static_cast<std::int64_t>(pieces.size()), 1, [&](std::int64_t p, std::int64_t) {
    const auto piece = static_cast<std::size_t>(p);
    for (std::size_t n = piece == 0 ? 0 : pieces[piece - 1]; n < pieces[piece]; ++n) {
      run(tasks[tasks.size() - 1 - n]);
    }
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

// Parallel loops over fixed pieces. The pieces depend on the size only, never on the number of
// threads, so a loop whose pieces write disjoint results gives the same bits for any thread count.
// The number of threads is a wish: OpenMP may grant fewer (OMP_THREAD_LIMIT, OMP_DYNAMIC, a region
// inside another), and the loop then runs on those that came.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>

#include <omp.h>

#include "qkv/base/threads.h"

namespace qkv {

/// f(begin, end) for consecutive pieces of [0, n) of at most `grain` items. Exceptions thrown by f
/// reach the caller (the first one); the remaining pieces may or may not run.
template <class F>
void parallel_for(std::int64_t n, std::int64_t grain, F&& f) {
  const std::int64_t pieces = (n + grain - 1) / grain;
  const int team = threads();
  if (pieces <= 1 || team == 1 || omp_in_parallel()) {
    for (std::int64_t p = 0; p < pieces; ++p) f(p * grain, std::min(n, (p + 1) * grain));
    return;
  }
  std::exception_ptr error;
#pragma omp parallel for schedule(dynamic, 1) num_threads(team)
  for (std::int64_t p = 0; p < pieces; ++p) {
    try {
      f(p * grain, std::min(n, (p + 1) * grain));
    } catch (...) {
#pragma omp critical(qkv_parallel_error)
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace qkv

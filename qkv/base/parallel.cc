#include "qkv/base/parallel.h"

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

#include <sched.h>

namespace qkv {
namespace {

std::atomic<int> g_threads = 0;
thread_local int g_scoped = 0;

/// Processors' worth of time that one cgroup grants ("max 100000", "150000 100000"); 0: no limit.
int quota_of(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  std::int64_t quota = 0, period = 0;
  if (!(file >> quota >> period) || quota <= 0 || period <= 0) return 0;
  return static_cast<int>(std::min<std::int64_t>((quota + period - 1) / period, 1 << 20));
}

/// The smallest of this process's cgroup (version 2) and those above it; 0: no limit.
int cgroup_quota() {
  std::ifstream groups("/proc/self/cgroup");
  int least = 0;
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::/")) continue;
    for (std::string path = line.substr(3);; path.resize(path.rfind('/'))) {
      const int quota = quota_of("/sys/fs/cgroup" + path);
      if (quota > 0) least = least > 0 ? std::min(least, quota) : quota;
      if (path.empty() || path.find('/') == std::string::npos) break;
    }
  }
  return least;
}

int affinity() {
  // Larger than any kernel's mask: one that is too small is an error.
  constexpr int kMost = 1 << 15;
  cpu_set_t* set = CPU_ALLOC(kMost);
  if (!set) return omp_get_num_procs();
  const std::size_t bytes = CPU_ALLOC_SIZE(kMost);
  CPU_ZERO_S(bytes, set);
  const bool known = ::sched_getaffinity(0, bytes, set) == 0;
  const int count = known ? CPU_COUNT_S(bytes, set) : omp_get_num_procs();
  CPU_FREE(set);
  return count;
}

/// Threads that do not help cost little up to here, and tests of a small machine want some.
int bounded(int count) { return std::clamp(count, 1, std::max(processors(), 16)); }

}  // namespace

int processors() {
  static const int count = [] {
    const int quota = cgroup_quota(), allowed = std::max(1, affinity());
    return quota > 0 ? std::min(quota, allowed) : allowed;
  }();
  return count;
}

int threads() {
  if (g_scoped > 0) return g_scoped;
  if (const int set = g_threads.load(std::memory_order_relaxed); set > 0) return set;
  static const bool named = std::getenv("OMP_NUM_THREADS") != nullptr;
  static const int standard = bounded(named ? omp_get_max_threads() : processors());
  return standard;
}

void set_threads(int count) { g_threads.store(bounded(count), std::memory_order_relaxed); }

ThreadScope::ThreadScope(int count)
    : outer_(count > 0 ? std::exchange(g_scoped, bounded(count)) : g_scoped) {}
ThreadScope::~ThreadScope() { g_scoped = outer_; }

}  // namespace qkv

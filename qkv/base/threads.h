// How many threads compute.
#pragma once

namespace qkv {

/// Processors this process may use: its affinity, and no more than the cgroup's share of time
/// (cpu.max) rounded up. At least 1.
int processors();

/// The threads that parallel loops and matrix products on this thread ask for: a ThreadScope's,
/// else set_threads()', else OMP_NUM_THREADS, else processors(). Between 1 and max(processors(),
/// 16): more would only wait for each other, and each has a stack.
int threads();
/// For all threads without a ThreadScope. A number below 1 is taken for 1.
void set_threads(int count);

/// While it lives, threads() on this thread is `count`; 0 leaves it as it is. Scopes nest, and
/// those of different threads know nothing of each other.
class ThreadScope {
 public:
  explicit ThreadScope(int count);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int outer_;
};

}  // namespace qkv

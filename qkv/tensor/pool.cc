#include "qkv/tensor/pool.h"

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include <sys/mman.h>

#include "qkv/base/error.h"
#include "qkv/tensor/tensor.h"

namespace qkv {
namespace {

constexpr std::size_t kAlignment = 64;  // one cache line, one AVX-512 vector
constexpr std::size_t kHugePage = std::size_t{2} << 20;

// Eight classes an octave: at most 1/8 of a block is unused, and the varying batch sizes of a
// training run fall into a few dozen classes that are all filled after some steps.
std::size_t size_class(std::size_t bytes) {
  if (bytes <= 512) return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  const std::size_t step = std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

class Pool {
 public:
  void* take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    statistics_.bytes_in_use += static_cast<std::int64_t>(size);
    statistics_.peak_bytes_in_use =
        std::max(statistics_.peak_bytes_in_use, statistics_.bytes_in_use);
    std::vector<void*>& free = free_[size];
    if (!free.empty()) {
      void* block = free.back();
      free.pop_back();
      return block;
    }
    const std::size_t alignment = size >= kHugePage ? kHugePage : kAlignment;
    void* block = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (!block) {
      statistics_.bytes_in_use -= static_cast<std::int64_t>(size);
      fail("out of memory: {} MiB asked for, {} MiB in use by tensors", size >> 20,
           statistics_.bytes_in_use >> 20);
    }
    if (size >= kHugePage) ::madvise(block, size, MADV_HUGEPAGE);
    statistics_.bytes_held += static_cast<std::int64_t>(size);
    ++statistics_.system_allocations;
    return block;
  }

  void give(void* block, std::size_t size) {
    const std::lock_guard lock(mutex_);
    statistics_.bytes_in_use -= static_cast<std::int64_t>(size);
    free_[size].push_back(block);
  }

  void release() {
    const std::lock_guard lock(mutex_);
    for (auto& [size, blocks] : free_) {
      for (void* block : blocks) std::free(block);
      statistics_.bytes_held -= static_cast<std::int64_t>(size * blocks.size());
      blocks.clear();
    }
  }

  PoolStatistics statistics() {
    const std::lock_guard lock(mutex_);
    return statistics_;
  }

 private:
  std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;
  PoolStatistics statistics_;
};

// Never destroyed: tensors in other static objects may outlive any order of destruction.
Pool& pool() {
  static Pool* instance = new Pool;
  return *instance;
}

}  // namespace

std::shared_ptr<void> pool_allocate(std::size_t bytes) {
  const std::size_t size = size_class(std::max<std::size_t>(bytes, 1));
  return {pool().take(size), [size](void* block) { pool().give(block, size); }};
}

PoolStatistics pool_statistics() { return pool().statistics(); }
void release_pool() { pool().release(); }

}  // namespace qkv

#include "qkv/tensor/pool.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include <malloc.h>
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
  struct Block {
    void* memory;
    std::size_t size;
  };

  /// A free block of this class or one at most a quarter larger, else a new one: batches of
  /// slightly different sizes then share blocks instead of each keeping its own.
  Block take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    for (auto it = free_.lower_bound(size); it != free_.end() && it->first <= size + size / 4;
         ++it) {
      if (it->second.empty()) continue;
      const Block block{it->second.back(), it->first};
      it->second.pop_back();
      count(block.size);
      return block;
    }
    const std::size_t alignment = size >= kHugePage ? kHugePage : kAlignment;
    void* memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (!memory) {
      fail("out of memory: {} MiB asked for, {} MiB in use by tensors", size >> 20,
           statistics_.bytes_in_use >> 20);
    }
    if (size >= kHugePage) ::madvise(memory, size, MADV_HUGEPAGE);
    statistics_.bytes_held += static_cast<std::int64_t>(size);
    ++statistics_.system_allocations;
    count(size);
    return {memory, size};
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
    ::malloc_trim(0);  // otherwise the C library keeps what it was given back
  }

  PoolStatistics statistics() {
    const std::lock_guard lock(mutex_);
    return statistics_;
  }

 private:
  void count(std::size_t size) {
    statistics_.bytes_in_use += static_cast<std::int64_t>(size);
    statistics_.peak_bytes_in_use =
        std::max(statistics_.peak_bytes_in_use, statistics_.bytes_in_use);
  }

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
  const Pool::Block block = pool().take(size_class(std::max<std::size_t>(bytes, 1)));
  return {block.memory, [size = block.size](void* memory) { pool().give(memory, size); }};
}

PoolStatistics pool_statistics() { return pool().statistics(); }
void release_pool() { pool().release(); }

}  // namespace qkv

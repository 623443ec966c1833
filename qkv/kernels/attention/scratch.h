// Working memory of the attention kernels: one block a thread, kept between calls.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

namespace qkv::kernels {

template <int kWhich>
class ScratchOf {
 public:
  /// A scratch of at least `floats` floats on this thread; earlier ones of the thread become
  /// invalid.
  explicit ScratchOf(std::int64_t floats) {
    if (floats > held_.size) {
      held_.block.reset();
      held_.size = 0;
      held_.block.reset(static_cast<float*>(
          ::operator new(static_cast<std::size_t>(floats) * sizeof(float), kAlignment)));
      held_.size = floats;
    }
    next_ = held_.block.get();
  }
  /// Room for n floats rounded up, aligned to a cache line; contents are arbitrary.
  float* take(std::int64_t n) {
    float* block = next_;
    next_ += padded(n);
    return block;
  }
  static constexpr std::int64_t padded(std::int64_t n) { return (n + 15) / 16 * 16; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(float* p) const { ::operator delete(p, kAlignment); }
  };
  struct Held {
    std::unique_ptr<float, Free> block;
    std::int64_t size;
  };
  static inline thread_local Held held_{};
  float* next_ = nullptr;
};

/// Of one task.
using Scratch = ScratchOf<0>;
/// Copies of keys and values, by one task or for all tasks of a call.
using KeyScratch = ScratchOf<1>;
/// Of one call: results of its tasks, on any thread, that are still to be joined.
using PartScratch = ScratchOf<2>;

}  // namespace qkv::kernels

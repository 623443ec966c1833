// Working memory of one task of an attention kernel: one block a thread, kept between calls.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

namespace qkv::kernels {

class Scratch {
 public:
  /// A scratch of at least `floats` floats on this thread; earlier ones of the thread become
  /// invalid.
  explicit Scratch(std::int64_t floats) {
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

}  // namespace qkv::kernels

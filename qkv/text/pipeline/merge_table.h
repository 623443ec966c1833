// Which pairs of pieces BPE joins, and to what: a hash table without lists, since a text asks it
// once or twice a character.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace qkv::pipeline {

struct Merge {
  std::uint32_t rank = 0;  // the lower one is joined first
  std::int32_t id = 0;     // of both
};

class MergeTable {
 public:
  /// Of pieces with numbers from 0; what a pair was joined to before is replaced.
  void set(std::int32_t left, std::int32_t right, Merge merge) {
    if (2 * (used_ + 1) > slots_.size()) grow();
    Slot& slot = slots_[place(key_of(left, right))];
    if (slot.key == kNone) ++used_;
    slot = {key_of(left, right), merge};
  }
  /// Null: they are not joined.
  const Merge* find(std::int32_t left, std::int32_t right) const {
    if (slots_.empty()) return nullptr;
    const Slot& slot = slots_[place(key_of(left, right))];
    return slot.key == kNone ? nullptr : &slot.merge;
  }

 private:
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  struct Slot {
    std::uint64_t key = kNone;
    Merge merge;
  };

  static std::uint64_t key_of(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
  }
  /// The slot of the key, or the free one where it would be.
  std::size_t place(std::uint64_t key) const {
    // Fibonacci hashing: the upper bits of the product with 2^64 / golden ratio.
    std::size_t at = static_cast<std::size_t>((key * 0x9E3779B97F4A7C15U) >> shift_);
    while (slots_[at].key != key && slots_[at].key != kNone) at = (at + 1) & (slots_.size() - 1);
    return at;
  }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? 1024 : 2 * slots_.size());
    old.swap(slots_);
    shift_ = 64 - std::countr_zero(slots_.size());
    for (const Slot& slot : old) {
      if (slot.key != kNone) slots_[place(slot.key)] = slot;
    }
  }

  std::vector<Slot> slots_;  // a power of two, at most half of them used
  std::size_t used_ = 0;
  int shift_ = 0;
};

}  // namespace qkv::pipeline

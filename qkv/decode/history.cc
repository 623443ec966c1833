#include "qkv/decode/history.h"

#include <algorithm>

namespace qkv {

std::span<const std::int32_t> History::grow(std::span<const std::int32_t> parents) {
  const std::int64_t old_stride = stride_;
  if (length_ == stride_) stride_ = std::max<std::int64_t>(16, 2 * stride_);
  other_.resize(parents.size() * static_cast<std::size_t>(stride_));
  for (std::size_t r = 0; r < parents.size(); ++r) {
    std::copy_n(table_.begin() + parents[r] * (length_ == 0 ? 0 : old_stride), length_,
                other_.begin() + static_cast<std::int64_t>(r) * stride_);
  }
  std::swap(table_, other_);
  fresh_.resize(parents.size());
  if (free_.size() < parents.size()) find_free(parents.size());
  for (std::size_t r = 0; r < parents.size(); ++r) {
    fresh_[r] = free_.back();
    free_.pop_back();
    table_[r * static_cast<std::size_t>(stride_) + static_cast<std::size_t>(length_)] = fresh_[r];
  }
  ++length_;
  return fresh_;
}

// A sweep costs rows × length, so it must pay for several steps: when it leaves too little the
// capacity grows.
void History::find_free(std::size_t wanted) {
  std::ranges::fill(used_, std::uint8_t{0});
  std::size_t alive = 0;
  for (std::size_t r = 0; r < fresh_.size(); ++r) {
    const std::int32_t* row = table_.data() + r * static_cast<std::size_t>(stride_);
    for (std::int64_t i = 0; i < length_; ++i) {
      std::uint8_t& used = used_[static_cast<std::size_t>(row[i])];
      alive += used == 0 ? 1 : 0;
      used = 1;
    }
  }
  const std::size_t needed = alive + 4 * wanted;
  if (needed > used_.size()) used_.resize(std::max(needed, used_.size() + used_.size() / 2), 0);
  free_.clear();
  for (std::size_t slot = used_.size(); slot-- > 0;) {
    if (used_[slot] == 0) free_.push_back(static_cast<std::int32_t>(slot));
  }
}

}  // namespace qkv

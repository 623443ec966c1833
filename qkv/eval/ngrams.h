// Counting n-grams exactly and fast: all rows of one comparison (a hypothesis and its references)
// are numbered together, and an n-gram is the number of its first n-1 items and its last item. So
// any order costs one sort of 64-bit keys, without strings and without hash collisions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace qkv {

/// Walks the orders 1, 2, … of a group of rows of items (word or character numbers).
class Ngrams {
 public:
  explicit Ngrams(std::vector<std::vector<std::uint32_t>> rows)
      : items_(std::move(rows)), grams_(items_.size()) {}

  /// Goes to the next order; the first call goes to order 1.
  void next_order() {
    keys_.clear();
    for (std::size_t r = 0; r < items_.size(); ++r) {
      auto& row = grams_[r];
      const std::size_t length = items_[r].size();
      row.resize(length > order_ ? length - order_ : 0);
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::uint64_t prefix = order_ == 0 ? 0 : row[i];
        row[i] = (prefix << 32) | items_[r][i + order_];
      }
      keys_.insert(keys_.end(), row.begin(), row.end());
    }
    ++order_;
    std::sort(keys_.begin(), keys_.end());
    keys_.erase(std::unique(keys_.begin(), keys_.end()), keys_.end());
    for (auto& row : grams_) {
      for (std::uint64_t& gram : row) {
        const auto at = std::lower_bound(keys_.begin(), keys_.end(), gram);
        gram = static_cast<std::uint64_t>(at - keys_.begin());
      }
    }
  }

  /// How many n-grams row r has at the current order.
  std::int64_t total(std::size_t r) const { return static_cast<std::int64_t>(grams_[r].size()); }

  /// The n-grams of row `hypothesis` that are found in the other rows, each at most as often as the
  /// row that has most of them: sum over grams of min(count in hypothesis, max count in others).
  std::int64_t matches(std::size_t hypothesis, std::span<const std::size_t> others) {
    limit_.assign(keys_.size(), 0);
    for (const std::size_t other : others) {
      count_.assign(keys_.size(), 0);
      for (const std::uint64_t gram : grams_[other]) {
        limit_[gram] = std::max(limit_[gram], ++count_[gram]);
      }
    }
    std::int64_t found = 0;
    for (const std::uint64_t gram : grams_[hypothesis]) {
      if (limit_[gram] > 0) {
        --limit_[gram];
        ++found;
      }
    }
    return found;
  }

 private:
  std::vector<std::vector<std::uint32_t>> items_;
  std::vector<std::vector<std::uint64_t>> grams_;
  std::vector<std::uint64_t> keys_;
  std::vector<std::int32_t> limit_, count_;
  std::size_t order_ = 0;
};

}  // namespace qkv

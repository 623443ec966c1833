// Where in a cache the tokens of each living hypothesis are. Hypotheses are leaves of a tree of
// tokens; every token has one slot in the cache however many hypotheses descend from it, and every
// hypothesis has a row of slot numbers. Reordering beams copies such rows; keys and values stay.
// Slots that nobody descends from are found when they are needed, and used again: a cache grows
// with what is alive, not with beam × length.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qkv {

class History {
 public:
  /// Row r becomes the former row parents[r] and one token more (before the first call all rows are
  /// empty, and parents only count). The result are the slots of the new tokens, valid until the
  /// next call. capacity() may have grown.
  std::span<const std::int32_t> grow(std::span<const std::int32_t> parents);

  std::int64_t rows() const { return static_cast<std::int64_t>(fresh_.size()); }
  /// Tokens of every row.
  std::int64_t length() const { return length_; }
  /// Slots are below it.
  std::int64_t capacity() const { return static_cast<std::int64_t>(used_.size()); }
  /// [rows stride]: row r's slots in order of its tokens.
  const std::int32_t* table() const { return table_.data(); }
  std::int64_t stride() const { return stride_; }

 private:
  void find_free(std::size_t wanted);

  std::vector<std::int32_t> table_, other_;
  std::int64_t length_ = 0, stride_ = 0;
  std::vector<std::int32_t> free_;  // the next one last
  std::vector<std::int32_t> fresh_;
  std::vector<std::uint8_t> used_;  // by slot; right only inside find_free
};

}  // namespace qkv

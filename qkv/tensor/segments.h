// Segments: where each sequence of a packed batch begins. Sequences stand end to end, x [T C],
// without padding; sequence b occupies rows [offset(b), offset(b+1)).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace qkv {

class Segments {
 public:
  Segments() : Segments(std::span<const std::int64_t>{}) {}
  /// From the lengths of the sequences, in order; zero lengths are allowed, negative ones throw.
  explicit Segments(std::span<const std::int64_t> lengths);
  explicit Segments(std::initializer_list<std::int64_t> lengths)
      : Segments(std::span<const std::int64_t>(lengths.begin(), lengths.size())) {}
  /// One sequence of `length` rows.
  static Segments one(std::int64_t length) { return Segments({length}); }

  /// B, the number of sequences.
  std::int64_t count() const { return static_cast<std::int64_t>(offsets_->size()) - 1; }
  /// T, the number of rows.
  std::int64_t total() const { return offsets_->back(); }
  std::int64_t begin(std::int64_t b) const { return (*offsets_)[static_cast<std::size_t>(b)]; }
  std::int64_t end(std::int64_t b) const { return (*offsets_)[static_cast<std::size_t>(b) + 1]; }
  std::int64_t length(std::int64_t b) const { return end(b) - begin(b); }
  std::int64_t longest() const;
  /// B + 1 offsets, the first 0, the last T.
  std::span<const std::int64_t> offsets() const { return *offsets_; }

 private:
  std::shared_ptr<const std::vector<std::int64_t>> offsets_;  // copies of a batch are cheap
};

}  // namespace qkv

// What decoding step by step keeps: the keys and values of earlier steps. Hypotheses find their
// rows through a table of storage rows, so beams share their history, and reordering copies a few
// integers and no keys. One step of a decoder with L layers:
//
//   cache.begin_step();
//   for each layer l:  cache.append(l, k, v);  out = cache.attend(l, q);
//                      cross = source.attend(l, q2);
//   cache.reorder(parents);  source.reorder(parents);
//
// A hypothesis gets the same bits whatever stands beside it. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qkv/tensor/segments.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

struct CacheShape {
  std::int64_t layers = 0;
  std::int64_t kv_heads = 0;   // Hkv
  std::int64_t dim = 0;        // D
  std::int64_t value_dim = 0;  // Dv; 0: as D
};

/// Self-attention. Storage rows that no hypothesis reaches any more are used again, so memory
/// follows the distinct prefixes that are alive.
class KvCache {
 public:
  explicit KvCache(const CacheShape& shape, std::int64_t rows = 0);

  /// Hypotheses.
  std::int64_t rows() const { return static_cast<std::int64_t>(lengths_.size()); }
  /// Keys of hypothesis b, the current step included.
  std::int64_t length(std::int64_t b) const { return lengths_[static_cast<std::size_t>(b)]; }

  /// Makes room for one more key per hypothesis, in all layers.
  void begin_step();
  /// This step's keys k [rows Hkv D] and values v [rows Hkv Dv] of a layer.
  void append(std::int64_t layer, const Tensor& k, const Tensor& v);
  /// q [rows H D] -> [rows H Dv] over everything appended so far; scale 0 is 1/√D. With `weights`,
  /// also the weights [rows H longest], zero behind a hypothesis' own length.
  Tensor attend(std::int64_t layer, const Tensor& q, double scale = 0.0,
                Tensor* weights = nullptr) const;

  /// Hypothesis b goes on from parents[b] (in [0, rows())), or from nothing when it is −1. There
  /// may be more or fewer of them than before.
  void reorder(std::span<const std::int32_t> parents);

  /// Bytes of keys and values held.
  std::int64_t bytes() const;

 private:
  std::int32_t take_row();

  CacheShape shape_;
  std::vector<Tensor> keys_, values_;  // a layer: [capacity Hkv D], [capacity Hkv Dv]
  std::int64_t capacity_ = 0;          // storage rows
  std::vector<std::int32_t> free_;     // storage rows nobody uses, the next one last
  std::vector<std::int32_t> table_;    // [rows stride_]
  std::int64_t stride_ = 0;
  std::vector<std::int32_t> lengths_;
};

/// Cross-attention: the keys and values of the source sentences, computed once and shared by all
/// hypotheses of a sentence.
class SourceCache {
 public:
  /// `sentences`: hypothesis b translates sentence sentence_of[b] of the packed `source`.
  SourceCache(const CacheShape& shape, const Segments& source,
              std::span<const std::int32_t> sentence_of);

  /// Keys [Ts Hkv D] and values [Ts Hkv Dv] of a layer; kept, not copied.
  void set(std::int64_t layer, const Tensor& k, const Tensor& v);
  /// As in KvCache; weights are [rows H longest], `longest` of the source sentences.
  Tensor attend(std::int64_t layer, const Tensor& q, double scale = 0.0,
                Tensor* weights = nullptr) const;
  void reorder(std::span<const std::int32_t> parents);

  std::int64_t rows() const { return static_cast<std::int64_t>(sentence_.size()); }
  std::int64_t sentence(std::int64_t b) const { return sentence_[static_cast<std::size_t>(b)]; }

 private:
  void point();

  CacheShape shape_;
  Segments source_;
  std::vector<Tensor> keys_, values_;
  std::vector<std::int32_t> sentence_, table_, lengths_;
};

}  // namespace qkv

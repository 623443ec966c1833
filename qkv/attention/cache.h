// What decoding step by step keeps: the keys and values of earlier steps. Hypotheses find their
// rows through a table of storage rows, so beams share their history, and reordering copies a few
// integers and no keys. One step of a decoder with L layers:
//
//   cache.begin_step();
//   for each layer l:  cache.append(l, k, v);  out = cache.attend(l, q);
//                      cross = source.attend(l, q2);
//   cache.reorder(parents);  source.reorder(parents);
//
// A step may bring several tokens of a hypothesis (a prompt, a guess to be verified): they see what
// is before them and each other causally, with the bits that one step a token would give.
// A hypothesis gets the same bits whatever stands beside it. Not thread-safe.
//
// The table has an entry a token, not a page: beams that part within a page go on in pages of their
// own and no part of a page is ever copied. A hypothesis fills pages of 16 tokens in order wherever
// it can, so long histories are contiguous and stream (kernels/attention/storage.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qkv/attention/attend.h"
#include "qkv/attention/cache_storage.h"
#include "qkv/tensor/segments.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// Self-attention. Storage rows that no hypothesis reaches any more are used again, so memory
/// follows the distinct prefixes that are alive, or their last `window` tokens.
class KvCache {
 public:
  explicit KvCache(const CacheShape& shape, std::int64_t rows = 0);

  /// Hypotheses.
  std::int64_t rows() const { return static_cast<std::int64_t>(lengths_.size()); }
  /// Keys of hypothesis b, the current step included.
  std::int64_t length(std::int64_t b) const { return lengths_[static_cast<std::size_t>(b)]; }

  /// Makes room for `tokens` tokens in all, so that later steps do not have to.
  void reserve(std::int64_t tokens);
  /// Makes room for one more key per hypothesis, in all layers.
  void begin_step();
  /// The same for fresh.length(b) more keys of hypothesis b, none allowed. q, k and v of this step
  /// have T = fresh.total() rows.
  void begin_step(const Segments& fresh);
  /// This step's keys k [T Hkv D] and values v [T Hkv Dv] of a layer.
  void append(std::int64_t layer, const Tensor& k, const Tensor& v);
  /// q [T H D] -> [T H Dv] over everything appended so far. A row sees its own hypothesis up to
  /// itself, of which the mask may leave a window. Of `how` a cache takes ScaledDot, a SoftCap and
  /// then an Alibi, Softmax and SoftmaxSink, segments(), causal() and window(); it throws for
  /// anything else, with its name. `weights` gets [T H C], C ≥ the longest hypothesis, zero where a
  /// row sees nothing.
  Tensor attend(std::int64_t layer, const Tensor& q, const Attention& how = {},
                Tensor* weights = nullptr) const;

  /// Hypothesis b goes on from parents[b] (in [0, rows())), or from nothing when it is −1. There
  /// may be more or fewer of them than before.
  void reorder(std::span<const std::int32_t> parents);
  /// Forgets what hypothesis b has behind its first lengths[b] tokens: guesses that were refused.
  /// With a window, not more than the last step brought.
  void shorten(std::span<const std::int64_t> lengths);

  /// Bytes of keys and values held.
  std::int64_t bytes() const { return storage_.bytes(); }

 private:
  void widen(std::int64_t keys);
  void forget_behind_window(std::size_t b);

  CacheShape shape_;
  CacheStorage storage_;
  TokenSlots slots_;
  std::vector<std::int32_t> table_;  // [rows stride_]: stored row of head 0
  std::int64_t stride_ = 0;
  std::vector<std::int32_t> lengths_;
  std::vector<std::int32_t> forgotten_;  // [rows]: tokens before the window, their rows given back
  std::vector<std::int64_t> first_;      // [rows + 1]: query rows of this step
};

/// Cross-attention: the keys and values of the source sentences, computed once and shared by all
/// hypotheses of a sentence; neighbours of one sentence go through them together.
class SourceCache {
 public:
  /// `sentences`: hypothesis b translates sentence sentence_of[b] of the packed `source`.
  SourceCache(const CacheShape& shape, const Segments& source,
              std::span<const std::int32_t> sentence_of);

  /// Keys [Ts Hkv D] and values [Ts Hkv Dv] of a layer.
  void set(std::int64_t layer, const Tensor& k, const Tensor& v);
  /// As in KvCache, one query row a hypothesis, which sees its whole sentence; the mask may hide
  /// nothing. Distances for ALiBi count from the last source token.
  Tensor attend(std::int64_t layer, const Tensor& q, const Attention& how = {},
                Tensor* weights = nullptr) const;
  void reorder(std::span<const std::int32_t> parents);

  std::int64_t rows() const { return static_cast<std::int64_t>(sentence_.size()); }
  std::int64_t sentence(std::int64_t b) const { return sentence_[static_cast<std::size_t>(b)]; }
  std::int64_t bytes() const { return storage_.bytes(); }

 private:
  void point();

  CacheShape shape_;
  Segments source_;
  CacheStorage storage_;
  std::vector<bool> set_;               // layers that have keys
  std::vector<std::int32_t> sentence_;  // [rows]
  // A run of hypotheses of one sentence counts as one, with a query row each.
  std::vector<std::int32_t> table_, lengths_;
  std::vector<std::int64_t> first_;
};

}  // namespace qkv

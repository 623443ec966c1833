// What caches keep their keys and values in, and which places of it are free.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qkv/kernels/attention/storage.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// What whoever decodes may choose of a cache.
struct CacheOptions {
  CacheType type = CacheType::f32;  // bf16 and int8 take a half and a quarter of the memory
  std::int64_t window = 0;          // a token sees itself and window − 1 before it; 0: all
  friend bool operator==(const CacheOptions&, const CacheOptions&) = default;
};

struct CacheShape {
  std::int64_t layers = 0;
  std::int64_t kv_heads = 0;        // Hkv
  std::int64_t dim = 0;             // D
  std::int64_t value_dim = 0;       // Dv; 0: as D
  CacheType type = CacheType::f32;  // errors and sizes: kernels/attention/storage.h
  std::int64_t window = 0;          // a token sees itself and window − 1 before it; 0: all
};

/// Room for the tokens of all layers.
class CacheStorage {
 public:
  explicit CacheStorage(const CacheShape& shape);

  std::int64_t capacity() const { return capacity_; }  // tokens
  /// Room for `tokens` tokens, rounded up to pages; what is there stays.
  void grow(std::int64_t tokens);
  /// k [T Hkv D] and v [T Hkv Dv] of a layer to the places whose stored rows of head 0 are rows[T].
  void put(std::int64_t layer, const Tensor& k, const Tensor& v,
           std::span<const std::int32_t> rows);
  kernels::StoredRows keys(std::int64_t layer) const;
  kernels::StoredRows values(std::int64_t layer) const;
  std::int64_t bytes() const;

 private:
  /// Keys or values of a layer.
  struct Side {
    std::int64_t dim = 0;
    Tensor data, scales;  // data: bytes, counted in floats
  };
  void grow(Side& side, std::int64_t tokens) const;
  kernels::StoredRows rows_of(const Side& side) const;

  CacheShape shape_;
  std::int64_t capacity_ = 0;
  std::vector<Side> keys_, values_;  // [layers]
};

/// Which tokens of a storage are in use, and by how many hypotheses. A successor stands right
/// behind its predecessor in the same page if that is free, otherwise it begins a page. Places left
/// over in pages are used once they are a quarter of all.
class TokenSlots {
 public:
  /// A free token for what comes after `previous` (−1: nothing), used once; −1 when storage must
  /// grow.
  std::int32_t take(std::int32_t previous);
  void use(std::int32_t token) { ++uses_[static_cast<std::size_t>(token)]; }
  /// One use less.
  void release(std::int32_t token);
  /// Nothing is in use. Uses are then counted by use(), and settle() follows.
  void clear();
  void settle();
  void grow(std::int64_t tokens);

 private:
  std::int32_t occupy(std::int64_t token);

  std::vector<std::int32_t> uses_;        // [tokens]
  std::vector<std::int32_t> occupied_;    // [pages]: tokens in use
  std::vector<std::int32_t> free_pages_;  // the next one last
  std::int64_t in_use_ = 0;
  std::int64_t cursor_ = 0;  // where to look for a left-over place next
};

}  // namespace qkv

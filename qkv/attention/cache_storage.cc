#include "qkv/attention/cache_storage.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"

namespace qkv {

using kernels::kCachePage;

CacheStorage::CacheStorage(const CacheShape& shape)
    : shape_(shape),
      keys_(static_cast<std::size_t>(shape.layers), Side{shape.dim, {}, {}}),
      values_(static_cast<std::size_t>(shape.layers),
              Side{shape.value_dim != 0 ? shape.value_dim : shape.dim, {}, {}}) {}

void CacheStorage::grow(Side& side, std::int64_t tokens) const {
  const std::int64_t rows = tokens * shape_.kv_heads, before = capacity_ * shape_.kv_heads;
  // A row has a multiple of 16 elements, so its bytes are a whole number of floats.
  const std::int64_t floats =
      kernels::stored_width(side.dim) * kernels::stored_element_bytes(shape_.type) / 4;
  const auto moved = [](const Tensor& from, std::int64_t count, std::int64_t used) {
    Tensor to = Tensor::empty({count});
    if (used > 0) std::memcpy(to.data(), from.data(), static_cast<std::size_t>(used) * 4);
    return to;
  };
  side.data = moved(side.data, rows * floats, before * floats);
  if (shape_.type == CacheType::int8) side.scales = moved(side.scales, rows, before);
}

void CacheStorage::grow(std::int64_t tokens) {
  tokens = (tokens + kCachePage - 1) / kCachePage * kCachePage;
  if (tokens <= capacity_) return;
  if (tokens * shape_.kv_heads > std::numeric_limits<std::int32_t>::max()) {
    fail("cache: {} tokens of {} heads are more rows than can be numbered", tokens,
         shape_.kv_heads);
  }
  for (Side& side : keys_) grow(side, tokens);
  for (Side& side : values_) grow(side, tokens);
  capacity_ = tokens;
}

void CacheStorage::put(std::int64_t layer, const Tensor& k, const Tensor& v,
                       std::span<const std::int32_t> rows) {
  const auto l = static_cast<std::size_t>(layer);
  const kernels::StoredRows to_k = rows_of(keys_[l]), to_v = rows_of(values_[l]);
  const float *from_k = k.data(), *from_v = v.data();
  parallel_for(static_cast<std::int64_t>(rows.size()), 64, [&](std::int64_t i, std::int64_t end) {
    for (; i < end; ++i) {
      for (std::int64_t g = 0; g < shape_.kv_heads; ++g) {
        const std::int64_t row = rows[static_cast<std::size_t>(i)] + g * kCachePage;
        kernels::store_row(to_k, row, from_k + (i * shape_.kv_heads + g) * to_k.dim);
        kernels::store_row(to_v, row, from_v + (i * shape_.kv_heads + g) * to_v.dim);
      }
    }
  });
}

kernels::StoredRows CacheStorage::rows_of(const Side& side) const {
  kernels::StoredRows rows{shape_.type, side.dim, nullptr, nullptr};
  // Tensors share their numbers like pointers; only put() writes through the view.
  Tensor data = side.data, scales = side.scales;
  if (data.defined()) rows.data = data.data();
  if (scales.defined()) rows.scales = scales.data();
  return rows;
}

kernels::StoredRows CacheStorage::keys(std::int64_t layer) const {
  return rows_of(keys_[static_cast<std::size_t>(layer)]);
}

kernels::StoredRows CacheStorage::values(std::int64_t layer) const {
  return rows_of(values_[static_cast<std::size_t>(layer)]);
}

std::int64_t CacheStorage::bytes() const {
  std::int64_t floats = 0;
  for (const auto* sides : {&keys_, &values_}) {
    for (const Side& side : *sides) {
      if (side.data.defined()) floats += side.data.count();
      if (side.scales.defined()) floats += side.scales.count();
    }
  }
  return floats * static_cast<std::int64_t>(sizeof(float));
}

std::int32_t TokenSlots::occupy(std::int64_t token) {
  uses_[static_cast<std::size_t>(token)] = 1;
  ++occupied_[static_cast<std::size_t>(token / kCachePage)];
  ++in_use_;
  return static_cast<std::int32_t>(token);
}

std::int32_t TokenSlots::take(std::int32_t previous) {
  const auto unused = [&](std::int64_t token) {
    return uses_[static_cast<std::size_t>(token)] == 0;
  };
  const std::int64_t next = std::int64_t{previous} + 1;
  if (previous >= 0 && next % kCachePage != 0 && unused(next)) return occupy(next);
  if (!free_pages_.empty()) {
    const std::int64_t page = free_pages_.back();
    free_pages_.pop_back();
    // Not always at the front: the first places of all pages share a few sets of the caches.
    return occupy(page * kCachePage + next % kCachePage);
  }
  const auto tokens = static_cast<std::int64_t>(uses_.size());
  if (tokens == 0 || (tokens - in_use_) * 4 < tokens) return -1;
  while (!unused(cursor_)) cursor_ = (cursor_ + 1) % tokens;
  return occupy(cursor_);
}

void TokenSlots::release(std::int32_t token) {
  if (--uses_[static_cast<std::size_t>(token)] > 0) return;
  --in_use_;
  const std::int64_t page = token / kCachePage;
  if (--occupied_[static_cast<std::size_t>(page)] == 0) {
    free_pages_.push_back(static_cast<std::int32_t>(page));
  }
}

void TokenSlots::clear() { std::fill(uses_.begin(), uses_.end(), 0); }

void TokenSlots::settle() {
  in_use_ = 0;
  free_pages_.clear();
  for (std::size_t page = occupied_.size(); page-- > 0;) {
    const auto first = uses_.begin() + static_cast<std::int64_t>(page) * kCachePage;
    occupied_[page] = static_cast<std::int32_t>(
        kCachePage - std::count(first, first + kCachePage, std::int32_t{0}));
    in_use_ += occupied_[page];
    if (occupied_[page] == 0) free_pages_.push_back(static_cast<std::int32_t>(page));
  }
}

void TokenSlots::grow(std::int64_t tokens) {
  const auto before = static_cast<std::int64_t>(occupied_.size()), pages = tokens / kCachePage;
  uses_.resize(static_cast<std::size_t>(tokens), 0);
  occupied_.resize(static_cast<std::size_t>(pages), 0);
  for (std::int64_t page = pages; page-- > before;) {
    free_pages_.push_back(static_cast<std::int32_t>(page));
  }
}

}  // namespace qkv

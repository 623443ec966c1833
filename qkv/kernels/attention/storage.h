// How cached keys and values are stored. A stored row is one head of one token:
//
//   type   bytes a row     error of an element x
//   f32    4·width         none
//   bf16   2·width         2⁻⁸·|x|, rounded to nearest even; NaN and infinities are kept
//   int8   width + 4       m/254·(1 + 2⁻¹³), m the largest magnitude of the row; the scale m/127
//                          stands beside the row. A row with NaN or an infinity reads as all NaN
//
// width is the row's size rounded up to 16 elements, the widest vector: rows then start at a vector
// and have no ends to treat apart. The padding is zeros.
//
// Tokens stand in pages of 16, head by head within a page, so that one head of successive tokens is
// one contiguous stretch, [page Hkv 16 width], whatever the number of heads. For short
// histories of beams that part at every step, two runs against a layout token by token gave once
// the one and once the other as the faster, so there is only this one.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace qkv {

enum class CacheType : std::uint8_t { f32, bf16, int8 };
constexpr std::array<std::string_view, 3> spelling(CacheType) { return {"f32", "bf16", "int8"}; }

namespace kernels {

inline constexpr std::int64_t kCachePage = 16;

/// Elements of a stored row for `dim` numbers.
constexpr std::int64_t stored_width(std::int64_t dim) { return (dim + 15) / 16 * 16; }

constexpr std::int64_t stored_element_bytes(CacheType type) {
  return type == CacheType::f32 ? 4 : type == CacheType::bf16 ? 2 : 1;
}

/// Stored row of head 0 of token `token`; head g is g·kCachePage rows further on.
constexpr std::int64_t stored_row(std::int64_t token, std::int64_t kv_heads) {
  return token / kCachePage * kCachePage * kv_heads + token % kCachePage;
}

/// The token whose head 0 is stored row `row`.
constexpr std::int64_t stored_token(std::int64_t row, std::int64_t kv_heads) {
  return row / (kCachePage * kv_heads) * kCachePage + row % kCachePage;
}

/// Stored rows of one side, keys or values, of one layer.
struct StoredRows {
  CacheType type = CacheType::f32;
  std::int64_t dim = 0;
  void* data = nullptr;     // [rows stored_width(dim)], at a multiple of 64 bytes
  float* scales = nullptr;  // [rows] for int8, else null
};

/// Writes `dim` numbers to stored row `row`.
void store_row(const StoredRows& to, std::int64_t row, const float* from);

/// Element i of stored row `row`, exactly.
double stored_element(const StoredRows& from, std::int64_t row, std::int64_t i);

}  // namespace kernels
}  // namespace qkv

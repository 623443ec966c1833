#include "qkv/kernels/attention/storage.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace qkv::kernels {
namespace {

std::uint16_t to_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  // The quiet bit keeps a NaN one whose payload lies in the half that is dropped.
  if (x != x) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

void store_int8(const StoredRows& to, std::int64_t row, const float* from, std::int8_t* out) {
  float most = 0.0f, poison = 0.0f;  // 0·x is 0, or NaN for what int8 cannot hold
  for (std::int64_t i = 0; i < to.dim; ++i) {
    most = std::max(most, std::abs(from[i]));
    poison += 0.0f * from[i];
  }
  to.scales[row] = most / 127.0f + poison;
  // Below 127 times the smallest number the reciprocal overflows; such a row is stored as zeros,
  // which is off by less than 2⁻¹¹⁹.
  const float inverse = most > 1e-36f && poison == 0.0f ? 127.0f / most : 0.0f;
  for (std::int64_t i = 0; i < to.dim; ++i) {
    const float scaled = inverse > 0.0f ? from[i] * inverse : 0.0f;
    // Adding 1.5·2²³ rounds to the nearest integer, ties to even, without a library call.
    const float rounded = (scaled + 12582912.0f) - 12582912.0f;
    out[i] = static_cast<std::int8_t>(rounded);
  }
}

}  // namespace

void store_row(const StoredRows& to, std::int64_t row, const float* from) {
  const std::int64_t width = stored_width(to.dim), begin = row * width;
  if (to.type == CacheType::f32) {
    float* out = static_cast<float*>(to.data) + begin;
    std::copy_n(from, to.dim, out);
    std::fill(out + to.dim, out + width, 0.0f);
  } else if (to.type == CacheType::bf16) {
    std::uint16_t* out = static_cast<std::uint16_t*>(to.data) + begin;
    std::transform(from, from + to.dim, out, to_bf16);
    std::fill(out + to.dim, out + width, std::uint16_t{0});
  } else {
    std::int8_t* out = static_cast<std::int8_t*>(to.data) + begin;
    store_int8(to, row, from, out);
    std::fill(out + to.dim, out + width, std::int8_t{0});
  }
}

double stored_element(const StoredRows& from, std::int64_t row, std::int64_t i) {
  const std::int64_t at = row * stored_width(from.dim) + i;
  if (from.type == CacheType::f32)
    return static_cast<double>(static_cast<const float*>(from.data)[at]);
  if (from.type == CacheType::bf16) {
    const auto bits = static_cast<std::uint32_t>(static_cast<const std::uint16_t*>(from.data)[at]);
    return static_cast<double>(std::bit_cast<float>(bits << 16));
  }
  return static_cast<double>(static_cast<const std::int8_t*>(from.data)[at]) *
         static_cast<double>(from.scales[row]);
}

}  // namespace qkv::kernels

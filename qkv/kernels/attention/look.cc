#include "qkv/kernels/attention/look.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "qkv/kernels/attention/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/attention/look.cc"
#include "qkv/kernels/targets.h"
// foreach_target must come before highway.h
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/attention/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

void LookProducts(const RowSource<float>& a, std::int64_t head, std::int64_t first,
                  std::int64_t rows, std::int64_t key, std::int64_t count, float* scores,
                  std::int64_t stride) {
  const std::int64_t kv_head = head / (a.heads / a.kv_heads);
  Scratch scratch(a.dim * kLookKeys + 64);
  float* keys = scratch.take(a.dim * kLookKeys);  // [D][key]
  PackTransposed(count, a.dim, a.k + (key * a.kv_heads + kv_head) * a.dim, a.kv_heads * a.dim,
                 static_cast<float>(a.scale), keys, kLookKeys);
  Product<false>(false, rows, kLookKeys / Lanes(), a.dim, a.q + (first * a.heads + head) * a.dim,
                 a.heads * a.dim, keys, kLookKeys, scores, stride, false);
}

LookedRow LookSoftmax(std::span<const float> scores, std::span<float> weights) {
  const F d;
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  constexpr float kLog2E = 1.4426950408889634f;
  const std::size_t n = scores.size(), lanes = hn::Lanes(d), whole = n / lanes * lanes;
  VF tops = hn::Set(d, kNone);
  for (std::size_t i = 0; i < whole; i += lanes) {
    tops = hn::Max(tops, hn::LoadU(d, scores.data() + i));
  }
  float top = hn::GetLane(hn::MaxOfLanes(d, tops));
  for (std::size_t i = whole; i < n; ++i) top = std::max(top, scores[i]);
  if (top == kNone) {
    // Nothing to see, or a NaN that the maximum lost: that must show.
    float sum = 0.0f;
    for (const float s : scores) sum += s == kNone ? 0.0f : s;
    std::fill(weights.begin(), weights.end(), sum);
    return {kNone + sum, kNone + sum, sum};
  }
  const VF high = hn::Set(d, top), log2e = hn::Set(d, kLog2E);
  VF sums = hn::Zero(d), means = hn::Zero(d);  // Σ e^(s − top), Σ e^(s − top)·(s − top)
  for (std::size_t i = 0; i < whole; i += lanes) {
    const VF s = hn::Sub(hn::LoadU(d, scores.data() + i), high);
    const VF p = Exp2(hn::Mul(s, log2e));
    sums = hn::Add(sums, p);
    means = hn::Add(means, hn::IfThenElseZero(hn::Not(hn::Eq(p, hn::Zero(d))), hn::Mul(p, s)));
    hn::StoreU(p, d, weights.data() + i);
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, sums)), mean = hn::GetLane(hn::SumOfLanes(d, means));
  for (std::size_t i = whole; i < n; ++i) {
    const float s = scores[i] - top, p = std::exp(s);
    sum += p;
    mean += p == 0.0f ? 0.0f : p * s;
    weights[i] = p;
  }
  const VF share = hn::Set(d, 1.0f / sum);
  for (std::size_t i = 0; i < whole; i += lanes) {
    hn::StoreU(hn::Mul(share, hn::LoadU(d, weights.data() + i)), d, weights.data() + i);
  }
  for (std::size_t i = whole; i < n; ++i) weights[i] *= 1.0f / sum;
  const float log_sum = std::log(sum);
  const float entropy = log_sum - mean / sum;
  return {top, top + log_sum, entropy < 0.0f ? 0.0f : entropy};  // a NaN stays
}

std::int64_t LookLargest(std::span<const float> weights, std::span<std::int64_t> places) {
  const F d;
  const auto n = static_cast<std::int64_t>(weights.size());
  const auto room = static_cast<std::int64_t>(places.size());
  if (room == 0) return 0;
  std::int64_t kept = 0;
  float least = -std::numeric_limits<float>::infinity();
  const auto weight = [&](std::int64_t at) { return weights[static_cast<std::size_t>(at)]; };
  const auto offer = [&](std::int64_t at) {
    if (kept == room && !(weight(at) > least)) return;
    std::int64_t to = kept < room ? kept++ : room - 1;
    for (; to > 0; --to) {
      const std::int64_t above = places[static_cast<std::size_t>(to - 1)];
      if (!(weight(at) > weight(above))) break;
      places[static_cast<std::size_t>(to)] = above;
    }
    places[static_cast<std::size_t>(to)] = at;
    if (kept == room) least = weight(places.back());
  };
  const std::int64_t begin = std::min(n, room);
  for (std::int64_t i = 0; i < begin; ++i) offer(i);
  std::int64_t i = begin;
  for (; i + Lanes() <= n; i += Lanes()) {
    const VF w = hn::LoadU(d, weights.data() + i);
    if (HWY_LIKELY(hn::AllFalse(d, hn::Gt(w, hn::Set(d, least))))) continue;
    for (std::int64_t l = i; l < i + Lanes(); ++l) offer(l);
  }
  for (; i < n; ++i) offer(i);
  return kept;
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {
HWY_EXPORT(LookProducts);
HWY_EXPORT(LookSoftmax);
HWY_EXPORT(LookLargest);

void look_products(const RowSource<float>& a, std::int64_t head, std::int64_t first,
                   std::int64_t rows, std::int64_t key, std::int64_t count, float* scores,
                   std::int64_t stride) {
  HWY_DYNAMIC_DISPATCH(LookProducts)(a, head, first, rows, key, count, scores, stride);
}
LookedRow look_softmax(std::span<const float> scores, std::span<float> weights) {
  return HWY_DYNAMIC_DISPATCH(LookSoftmax)(scores, weights);
}
std::int64_t look_largest(std::span<const float> weights, std::span<std::int64_t> places) {
  return HWY_DYNAMIC_DISPATCH(LookLargest)(weights, places);
}

}  // namespace qkv::kernels
#endif  // HWY_ONCE

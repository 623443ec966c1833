// Decoding: one query row per hypothesis against rows of a cache found through a table. Features
// stand in the lanes; a hypothesis is one fixed sequence of operations, whoever its neighbours are.
#include <algorithm>
#include <cmath>
#include <limits>

#include "qkv/base/parallel.h"
#include "qkv/kernels/attention/attend.h"
#include "qkv/kernels/attention/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/attention/cached.cc"
#include "qkv/kernels/targets.h"
// foreach_target must come before highway.h
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/attention/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

#if HWY_TARGET != HWY_SCALAR
/// Adds the upper half of the lanes to the lower one until four are left.
template <class D>
HWY_INLINE auto FoldToFour(D, hn::Vec<D> x) {
  if constexpr (hn::MaxLanes(D()) <= 4) {
    return x;
  } else {
    const hn::Half<D> half;
    return FoldToFour(half, hn::Add(hn::LowerHalf(half, x), hn::UpperHalf(half, x)));
  }
}

#endif

/// The sums of the lanes of four vectors.
HWY_INLINE void SumFour(VF a, VF b, VF c, VF e, float* sums) {
#if HWY_TARGET == HWY_SCALAR
  for (const VF x : {a, b, c, e}) *sums++ = hn::GetLane(x);
#else
  const F d;
  const VF ac = hn::Add(hn::InterleaveLower(d, a, c), hn::InterleaveUpper(d, a, c));
  const VF be = hn::Add(hn::InterleaveLower(d, b, e), hn::InterleaveUpper(d, b, e));
  const VF all = hn::Add(hn::InterleaveLower(d, ac, be), hn::InterleaveUpper(d, ac, be));
  hn::StoreU(FoldToFour(d, all), hn::Full128<float>(), sums);
#endif
}

/// One head of one hypothesis. `p` has room for length + 16 floats, aligned.
void CachedRow(const AttendCached& a, std::int64_t b, std::int64_t head, float* p) {
  const F d;
  const std::int64_t kv_head = head / (a.heads / a.kv_heads), n = a.lengths[b], lanes = Lanes();
  const std::int32_t* table = a.table + b * a.table_stride;
  const float* q = a.q + (b * a.heads + head) * a.dim;
  const std::int64_t whole = a.dim / lanes * lanes;
  const float scale = static_cast<float>(a.scale * 1.4426950408889634);  // scores in log 2 units

  for (std::int64_t j = 0; j < n; j += 4) {
    const float* k[4];
    for (std::int64_t i = 0; i < 4; ++i) {
      k[i] = a.k + (table[std::min(j + i, n - 1)] * a.kv_heads + kv_head) * a.dim;
    }
    VF s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    for (std::int64_t x = 0; x < whole; x += lanes) {
      const VF left = hn::LoadU(d, q + x);
      s0 = hn::MulAdd(left, hn::LoadU(d, k[0] + x), s0);
      s1 = hn::MulAdd(left, hn::LoadU(d, k[1] + x), s1);
      s2 = hn::MulAdd(left, hn::LoadU(d, k[2] + x), s2);
      s3 = hn::MulAdd(left, hn::LoadU(d, k[3] + x), s3);
    }
    SumFour(s0, s1, s2, s3, p + j);
    for (std::int64_t i = 0; i < 4; ++i) {
      for (std::int64_t x = whole; x < a.dim; ++x) p[j + i] += q[x] * k[i][x];
      p[j + i] *= scale;
    }
  }
  const VF hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (std::int64_t j = n; j < n + lanes; ++j) p[j] = -std::numeric_limits<float>::infinity();
  VF top = hidden;
  for (std::int64_t j = 0; j < n; j += lanes) top = hn::Max(top, hn::Load(d, p + j));
  top = hn::MaxOfLanes(d, top);
  VF sum = hn::Zero(d);
  for (std::int64_t j = 0; j < n; j += lanes) {
    const VF weight = Exp2(hn::Sub(hn::Load(d, p + j), top));
    sum = hn::Add(sum, weight);
    hn::Store(weight, d, p + j);
  }
  const float total = hn::GetLane(hn::SumOfLanes(d, sum));
  const float inverse = n > 0 ? 1.0f / total : 0.0f;

  float* out = a.out + (b * a.heads + head) * a.value_dim;
  const std::int64_t value_stride = a.kv_heads * a.value_dim;
  const float* values = a.v + kv_head * a.value_dim;
  std::int64_t e = 0;
  for (; e + 2 * lanes <= a.value_dim; e += 2 * lanes) {
    VF even0 = hn::Zero(d), even1 = even0, odd0 = even0, odd1 = even0;  // four chains
    std::int64_t j = 0;
    for (; j + 2 <= n; j += 2) {
      const float* v0 = values + table[j] * value_stride + e;
      const float* v1 = values + table[j + 1] * value_stride + e;
      const VF p0 = hn::Set(d, p[j]), p1 = hn::Set(d, p[j + 1]);
      even0 = hn::MulAdd(p0, hn::LoadU(d, v0), even0);
      even1 = hn::MulAdd(p0, hn::LoadU(d, v0 + lanes), even1);
      odd0 = hn::MulAdd(p1, hn::LoadU(d, v1), odd0);
      odd1 = hn::MulAdd(p1, hn::LoadU(d, v1 + lanes), odd1);
    }
    if (j < n) {
      const float* v0 = values + table[j] * value_stride + e;
      const VF p0 = hn::Set(d, p[j]);
      even0 = hn::MulAdd(p0, hn::LoadU(d, v0), even0);
      even1 = hn::MulAdd(p0, hn::LoadU(d, v0 + lanes), even1);
    }
    const VF factor = hn::Set(d, inverse);
    hn::StoreU(hn::Mul(factor, hn::Add(even0, odd0)), d, out + e);
    hn::StoreU(hn::Mul(factor, hn::Add(even1, odd1)), d, out + e + lanes);
  }
  for (; e < a.value_dim; ++e) {
    float x = 0.0f;
    for (std::int64_t j = 0; j < n; ++j) x += p[j] * values[table[j] * value_stride + e];
    out[e] = x * inverse;
  }
  if (a.weights) {
    float* weights = a.weights + (b * a.heads + head) * a.table_stride;
    for (std::int64_t j = 0; j < n; ++j) weights[j] = p[j] * inverse;
    std::fill(weights + n, weights + a.table_stride, 0.0f);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {
HWY_EXPORT(CachedRow);

void attend_cached(const AttendCached& a) {
  const auto run = HWY_DYNAMIC_DISPATCH(CachedRow);
  parallel_for(a.rows, 8, [&](std::int64_t first, std::int64_t last) {
    Scratch scratch(a.table_stride + 2 * 16);
    float* p = scratch.take(a.table_stride + 16);
    for (std::int64_t b = first; b < last; ++b) {
      for (std::int64_t head = 0; head < a.heads; ++head) run(a, b, head, p);
    }
  });
}

}  // namespace qkv::kernels
#endif  // HWY_ONCE

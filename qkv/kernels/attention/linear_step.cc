// The recurrent form: one token of each hypothesis, the sums read and written once. A hypothesis is
// one fixed sequence of operations, whoever its neighbours are.
#include <algorithm>
#include <cmath>
#include <limits>

#include "qkv/base/parallel.h"
#include "qkv/kernels/attention/linear.h"
#include "qkv/kernels/attention/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/attention/linear_step.cc"
#include "qkv/kernels/targets.h"
// foreach_target must come before highway.h
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/attention/linear-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// Columns of N vectors (the last partly there, by `at`): s[D, N] += key vᵀ if kUpdate, and out =
/// factor · query·s.
template <bool kUpdate, int N, class At>
HWY_INLINE void StepColumns(std::int64_t dim, const float* HWY_RESTRICT key,
                            const float* HWY_RESTRICT value, const float* HWY_RESTRICT query,
                            float factor, float* HWY_RESTRICT s, std::int64_t stride,
                            float* HWY_RESTRICT out, At at) {
  const F d;
  const std::int64_t lanes = Lanes();
  VF sum[N], v[N];
  for (int n = 0; n < N; ++n) {
    sum[n] = hn::Zero(d);
    v[n] = kUpdate ? at.load(d, value + n * lanes) : hn::Zero(d);
  }
  for (std::int64_t i = 0; i < dim; ++i, s += stride) {
    const VF q = hn::Set(d, query[i]), k = hn::Set(d, kUpdate ? key[i] : 0.0f);
    for (int n = 0; n < N; ++n) {
      VF x = at.load(d, s + n * lanes);
      if (kUpdate) {
        x = hn::MulAdd(k, v[n], x);
        at.store(d, x, s + n * lanes);
      }
      sum[n] = hn::MulAdd(q, x, sum[n]);
    }
  }
  for (int n = 0; n < N; ++n) at.store(d, hn::Mul(sum[n], hn::Set(d, factor)), out + n * lanes);
}

template <bool kUpdate>
void StepSums(std::int64_t dim, std::int64_t value_dim, const float* key, const float* value,
              const float* query, float factor, float* s, float* out) {
  const std::int64_t lanes = Lanes();
  std::int64_t e = 0;
  for (; e + 4 * lanes <= value_dim; e += 4 * lanes) {
    StepColumns<kUpdate, 4>(dim, key, value + e, query, factor, s + e, value_dim, out + e, Whole());
  }
  for (; e + lanes <= value_dim; e += lanes) {
    StepColumns<kUpdate, 1>(dim, key, value + e, query, factor, s + e, value_dim, out + e, Whole());
  }
  if (e < value_dim) {
    StepColumns<kUpdate, 1>(dim, key, value + e, query, factor, s + e, value_dim, out + e,
                            First{value_dim - e});
  }
}

/// State n of rows × Hkv, and the query heads that read it. `features` has room for two rows of
/// features.
void StepState(const LinearStep<float>& a, std::int64_t n, float* features) {
  const F d;
  const std::int64_t padded = Scratch::padded(a.dim), group = a.heads / a.kv_heads;
  float *key = features, *query = features + padded;
  float *s = a.s + n * a.dim * a.value_dim, *z = a.z + n * a.dim;
  const float* value = a.k ? a.v + n * a.value_dim : s;  // when only read: not looked at
  if (a.k) {
    PackFeatures(a.map, 1, a.dim, a.k + n * a.dim, a.dim, key, padded);
    ForEachVector(d, a.dim, [&](std::int64_t i, auto at) {
      at.store(d, hn::Add(at.load(d, z + i), hn::Load(d, key + i)), z + i);
    });
  }
  for (std::int64_t row = n * group; row < (n + 1) * group; ++row) {
    PackFeatures(a.map, 1, a.dim, a.q + row * a.dim, a.dim, query, padded);
    VF sum = hn::Zero(d);
    ForEachVector(d, a.dim, [&](std::int64_t i, auto at) {
      sum = hn::MulAdd(hn::Load(d, query + i), at.load(d, z + i), sum);
    });
    const float total = hn::GetLane(hn::SumOfLanes(d, sum)) + static_cast<float>(a.eps);
    const bool none = std::abs(total) < std::numeric_limits<float>::min();
    const bool first = a.k && row == n * group;  // the first reader writes the sums
    float* out = a.out + row * a.value_dim;
    (first ? StepSums<true> : StepSums<false>)(a.dim, a.value_dim, key, value, query,
                                               none ? 0.0f : 1.0f / total, s, out);
    if (none) std::fill_n(out, a.value_dim, 0.0f);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {
HWY_EXPORT(StepState);

void linear_step(const LinearStep<float>& a) {
  const auto run = HWY_DYNAMIC_DISPATCH(StepState);
  // 16 states of 64×64 are 1 MiB: some 50 µs, worth a thread's wake-up.
  parallel_for(a.rows * a.kv_heads, 16, [&](std::int64_t first, std::int64_t last) {
    Scratch scratch(2 * Scratch::padded(a.dim));
    float* features = scratch.take(2 * Scratch::padded(a.dim));
    for (std::int64_t n = first; n < last; ++n) run(a, n, features);
  });
}

}  // namespace qkv::kernels
#endif  // HWY_ONCE

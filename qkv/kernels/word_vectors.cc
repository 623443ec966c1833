#include "qkv/kernels/word_vectors.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/word_vectors.cc"
#include "qkv/kernels/targets.h"
// foreach_target re-includes this file for every target, so it comes before the rest.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

float DotOf(std::int64_t n, const float* a, const float* b) {
  const F d;
  VF sum = hn::Zero(d);
  ForEachVector(d, n, [&](std::int64_t i, auto at) {
    sum = hn::MulAdd(at.load(d, a + i), at.load(d, b + i), sum);
  });
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

/// error += g·row, row += g·h
void PullBy(std::int64_t n, float g, const float* h, float* row, float* error) {
  const F d;
  const VF by = hn::Set(d, g);
  ForEachVector(d, n, [&](std::int64_t i, auto at) {
    const VF r = at.load(d, row + i);
    at.store(d, hn::MulAdd(by, r, at.load(d, error + i)), error + i);
    at.store(d, hn::MulAdd(by, at.load(d, h + i), r), row + i);
  });
}

void AddScaled(std::int64_t n, float a, const float* x, float* y) {
  const F d;
  const VF by = hn::Set(d, a);
  ForEachVector(d, n, [&](std::int64_t i, auto at) {
    at.store(d, hn::MulAdd(by, at.load(d, x + i), at.load(d, y + i)), y + i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {

HWY_EXPORT(DotOf);
HWY_EXPORT(PullBy);
HWY_EXPORT(AddScaled);

namespace definition {

template <class T>
T pull(std::int64_t dim, const T* h, T* row, T label, T rate, T* error) {
  T f = 0;
  for (std::int64_t i = 0; i < dim; ++i) f += h[i] * row[i];
  const T g = (label - T(1) / (T(1) + std::exp(-f))) * rate;
  for (std::int64_t i = 0; i < dim; ++i) {
    error[i] += g * row[i];
    row[i] += g * h[i];
  }
  return f;
}
template float pull(std::int64_t, const float*, float*, float, float, float*);
template double pull(std::int64_t, const double*, double*, double, double, double*);

}  // namespace definition

float pull(std::int64_t dim, const float* h, float* row, float label, float rate, float* error) {
  const float f = HWY_DYNAMIC_DISPATCH(DotOf)(dim, h, row);
  const float g = (label - 1.0F / (1.0F + std::exp(-f))) * rate;
  HWY_DYNAMIC_DISPATCH(PullBy)(dim, g, h, row, error);
  return f;
}

void add_scaled(std::int64_t dim, float a, const float* x, float* y) {
  HWY_DYNAMIC_DISPATCH(AddScaled)(dim, a, x, y);
}

}  // namespace qkv::kernels
#endif

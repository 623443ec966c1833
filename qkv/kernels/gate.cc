#include "qkv/kernels/gate.h"

#include "qkv/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/gate.cc"
#include "qkv/kernels/targets.h"
// foreach_target re-includes this file for every target, so it comes before the rest.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/activation-inl.h"
#include "qkv/kernels/loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

void GateRun(std::int64_t n, const float* gate, const float* up, Activation activation, float* y) {
  const F d;
  ForEachVector(d, n, [&](std::int64_t i, auto at) {
    const VF a = Activated(d, activation, at.load(d, gate + i));
    at.store(d, hn::Mul(a, at.load(d, up + i)), y + i);
  });
}

void GateBackwardRun(std::int64_t n, const float* gate, const float* up, Activation activation,
                     const float* dy, float* dgate, float* dup) {
  const F d;
  ForEachVector(d, n, [&](std::int64_t i, auto at) {
    const VF z = at.load(d, gate + i), g = at.load(d, dy + i), u = at.load(d, up + i);
    if (dgate) at.store(d, hn::Mul(hn::Mul(g, u), Slope(d, activation, z)), dgate + i);
    if (dup) at.store(d, hn::Mul(g, Activated(d, activation, z)), dup + i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {

HWY_EXPORT(GateRun);
HWY_EXPORT(GateBackwardRun);

namespace definition {

template <class T>
void gate(std::int64_t n, const T* gate, const T* up, Activation activation, T* y) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = activated(activation, gate[i]) * up[i];
}

template <class T>
void gate_backward(std::int64_t n, const T* gate, const T* up, Activation activation, const T* dy,
                   T* dgate, T* dup) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T z = gate[i], g = dy[i], u = up[i];
    if (dgate) dgate[i] = g * u * slope(activation, z);
    if (dup) dup[i] = g * activated(activation, z);
  }
}

template void gate(std::int64_t, const float*, const float*, Activation, float*);
template void gate(std::int64_t, const double*, const double*, Activation, double*);
template void gate_backward(std::int64_t, const float*, const float*, Activation, const float*,
                            float*, float*);
template void gate_backward(std::int64_t, const double*, const double*, Activation, const double*,
                            double*, double*);

}  // namespace definition

namespace {
constexpr std::int64_t kPiece = 1 << 13;  // 32 KiB of each array, some microseconds
}  // namespace

void gate(std::int64_t n, const float* gate, const float* up, Activation activation, float* y) {
  const auto run = HWY_DYNAMIC_DISPATCH(GateRun);
  parallel_for(n, kPiece, [&](std::int64_t first, std::int64_t last) {
    run(last - first, gate + first, up + first, activation, y + first);
  });
}

void gate_backward(std::int64_t n, const float* gate, const float* up, Activation activation,
                   const float* dy, float* dgate, float* dup) {
  const auto run = HWY_DYNAMIC_DISPATCH(GateBackwardRun);
  parallel_for(n, kPiece, [&](std::int64_t first, std::int64_t last) {
    run(last - first, gate + first, up + first, activation, dy + first,
        dgate ? dgate + first : nullptr, dup ? dup + first : nullptr);
  });
}

}  // namespace qkv::kernels
#endif

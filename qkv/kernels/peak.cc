#include "qkv/kernels/peak.h"

#include <chrono>
#include <cstdint>

#include <omp.h>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/peak.cc"
#include "qkv/kernels/targets.h"
// foreach_target must come first
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// `rounds` times 16 independent chains: more than latency (4–5 cycles) × ports (2) asks for.
/// Returns operations done; *sink keeps the compiler from dropping them.
double FmaRounds(std::int64_t rounds, float* sink) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const V b = hn::Set(d, 0.999f), c = hn::Set(d, 0.001f);
  // Every chain starts elsewhere: equal ones would be merged into one by the compiler.
  V a0 = hn::Set(d, 0.01f);
  V a1 = hn::Set(d, 0.02f);
  V a2 = hn::Set(d, 0.03f);
  V a3 = hn::Set(d, 0.04f);
  V a4 = hn::Set(d, 0.05f);
  V a5 = hn::Set(d, 0.06f);
  V a6 = hn::Set(d, 0.07f);
  V a7 = hn::Set(d, 0.08f);
  V a8 = hn::Set(d, 0.09f);
  V a9 = hn::Set(d, 0.10f);
  V a10 = hn::Set(d, 0.11f);
  V a11 = hn::Set(d, 0.12f);
  V a12 = hn::Set(d, 0.13f);
  V a13 = hn::Set(d, 0.14f);
  V a14 = hn::Set(d, 0.15f);
  V a15 = hn::Set(d, 0.16f);
  for (std::int64_t i = 0; i < rounds; ++i) {
    a0 = hn::MulAdd(a0, b, c);
    a1 = hn::MulAdd(a1, b, c);
    a2 = hn::MulAdd(a2, b, c);
    a3 = hn::MulAdd(a3, b, c);
    a4 = hn::MulAdd(a4, b, c);
    a5 = hn::MulAdd(a5, b, c);
    a6 = hn::MulAdd(a6, b, c);
    a7 = hn::MulAdd(a7, b, c);
    a8 = hn::MulAdd(a8, b, c);
    a9 = hn::MulAdd(a9, b, c);
    a10 = hn::MulAdd(a10, b, c);
    a11 = hn::MulAdd(a11, b, c);
    a12 = hn::MulAdd(a12, b, c);
    a13 = hn::MulAdd(a13, b, c);
    a14 = hn::MulAdd(a14, b, c);
    a15 = hn::MulAdd(a15, b, c);
  }
  const V s0 =
      hn::Add(hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)), hn::Add(hn::Add(a4, a5), hn::Add(a6, a7)));
  const V s1 = hn::Add(hn::Add(hn::Add(a8, a9), hn::Add(a10, a11)),
                       hn::Add(hn::Add(a12, a13), hn::Add(a14, a15)));
  *sink = hn::GetLane(hn::SumOfLanes(d, hn::Add(s0, s1)));
  return 16.0 * 2.0 * static_cast<double>(hn::Lanes(d)) * static_cast<double>(rounds);
}

/// Reads all of data[n] by whole blocks of 8 vectors; what is left at the end is not read.
void ReadAll(const float* data, std::int64_t n, float* sink) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0;
  for (std::int64_t i = 0; i + 8 * lanes <= n; i += 8 * lanes) {
    a0 = hn::Add(a0, hn::Add(hn::LoadU(d, data + i), hn::LoadU(d, data + i + lanes)));
    a1 = hn::Add(a1,
                 hn::Add(hn::LoadU(d, data + i + 2 * lanes), hn::LoadU(d, data + i + 3 * lanes)));
    a2 = hn::Add(a2,
                 hn::Add(hn::LoadU(d, data + i + 4 * lanes), hn::LoadU(d, data + i + 5 * lanes)));
    a3 = hn::Add(a3,
                 hn::Add(hn::LoadU(d, data + i + 6 * lanes), hn::LoadU(d, data + i + 7 * lanes)));
  }
  *sink += hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(a0, a1), hn::Add(a2, a3))));
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {
HWY_EXPORT(FmaRounds);
HWY_EXPORT(ReadAll);

double measure_fma_peak(int threads, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto run = [threads](std::int64_t rounds) {
    double operations = 0;
    const Clock::time_point start = Clock::now();
#pragma omp parallel num_threads(threads) reduction(+ : operations)
    {
      float sink = 0;
      operations += HWY_DYNAMIC_DISPATCH(FmaRounds)(rounds, &sink);
      volatile float keep = sink;
      (void)keep;
    }
    return operations / std::chrono::duration<double>(Clock::now() - start).count();
  };
  constexpr std::int64_t kProbe = 1 << 16;  // about half a millisecond
  run(kProbe);                              // threads awake, clocks up
  const double guess = run(kProbe);
  const double rounds = guess * seconds / threads / (16.0 * 2.0 * 16.0);
  return run(static_cast<std::int64_t>(rounds) + 1);
}

double measure_read_bandwidth(const float* data, std::int64_t n, int threads, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto run = [&](std::int64_t passes) {
    const Clock::time_point start = Clock::now();
#pragma omp parallel num_threads(threads)
    {
      const std::int64_t me = omp_get_thread_num(), begin = n * me / threads;
      float sink = 0;
      for (std::int64_t i = 0; i < passes; ++i) {
        HWY_DYNAMIC_DISPATCH(ReadAll)(data + begin, n * (me + 1) / threads - begin, &sink);
      }
      volatile float keep = sink;
      (void)keep;
    }
    return std::chrono::duration<double>(Clock::now() - start).count() /
           static_cast<double>(passes);
  };
  const double guess = run(1);  // brings into the caches what they can hold
  const auto passes = static_cast<std::int64_t>(seconds / guess) + 2;
  return static_cast<double>(n) * sizeof(float) / run(passes);
}

}  // namespace qkv::kernels
#endif

// What this machine can do right now: the rate of fused multiply-adds in registers, and of reading
// memory. Benchmarks divide by them, measured in the same run, because clocks and neighbours drift.
#pragma once

#include <cstdint>

namespace qkv::kernels {

/// Floating-point operations a second of `threads` threads (an FMA counts two), fp32, widest
/// vectors; takes about `seconds`.
double measure_fma_peak(int threads, double seconds = 0.02);

/// Bytes a second that `threads` threads read of data[n], each a contiguous part of it, over and
/// over for at least `seconds` and twice: what the caches hold of a small n comes from there. The
/// caller brings the memory, so that page size and placement are those of what is compared.
double measure_read_bandwidth(const float* data, std::int64_t n, int threads,
                              double seconds = 0.02);

}  // namespace qkv::kernels

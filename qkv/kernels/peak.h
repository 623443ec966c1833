// What this machine can do right now: the rate of fused multiply-adds in registers. Benchmarks
// divide by it, measured in the same run, because clocks and neighbours drift.
#pragma once

namespace qkv::kernels {

/// Floating-point operations a second of `threads` threads (an FMA counts two), fp32, widest
/// vectors; takes about `seconds`.
double measure_fma_peak(int threads, double seconds = 0.02);

}  // namespace qkv::kernels

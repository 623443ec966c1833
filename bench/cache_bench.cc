// Decoding attention against a cache: time, bytes read and their share of the read bandwidth that
// the same program measures on the same memory.
//
//   cache_bench [--threads=N] [--benchmark_filter=...] ...
//
// A name reads type/hypotheses/heads/key heads/D/keys/new tokens.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <benchmark/benchmark.h>

#include "qkv/attention/cache.h"
#include "qkv/base/parallel.h"
#include "qkv/base/random.h"
#include "qkv/kernels/peak.h"

namespace qkv {
namespace {

struct Case {
  CacheType type;
  std::int64_t rows, heads, kv_heads, dim, keys, fresh = 1;
};

const char* type_name(CacheType type) {
  return type == CacheType::f32 ? "f32" : type == CacheType::bf16 ? "bf16" : "int8";
}

std::string label(const Case& c) {
  std::string name = type_name(c.type);
  for (const std::int64_t n : {c.rows, c.heads, c.kv_heads, c.dim, c.keys, c.fresh}) {
    name += "/" + std::to_string(n);
  }
  return name;
}

Tensor random_tensor(const Shape& shape, std::uint64_t seed) {
  Philox random(seed);
  Tensor t = Tensor::empty(shape);
  for (float& x : t.values()) x = static_cast<float>(random.uniform()) - 0.5f;
  return t;
}

double median(std::vector<double> x) {
  std::sort(x.begin(), x.end());
  return x[x.size() / 2];
}

/// A cache of c.keys keys a hypothesis, filled in steps of 512 as a prompt is, then one by one.
KvCache filled(const Case& c) {
  KvCache cache({1, c.kv_heads, c.dim, 0, c.type}, c.rows);
  cache.reserve(c.rows * (c.keys + kernels::kCachePage));
  for (std::int64_t done = 0; done < c.keys;) {
    std::int64_t step = std::min<std::int64_t>(512, c.keys - c.fresh - done);
    if (step <= 0) step = c.fresh;
    const Segments fresh(std::vector<std::int64_t>(static_cast<std::size_t>(c.rows), step));
    cache.begin_step(fresh);
    const Shape shape{fresh.total(), c.kv_heads, c.dim};
    cache.append(0, random_tensor(shape, 1), random_tensor(shape, 2));
    done += step;
  }
  return cache;
}

void run(benchmark::State& state, const Case& c) {
  const KvCache cache = filled(c);
  const Tensor q = random_tensor({c.rows * c.fresh, c.heads, c.dim}, 3);
  const double row = static_cast<double>(c.dim * kernels::stored_element_bytes(c.type) +
                                         (c.type == CacheType::int8 ? 4 : 0));
  const double bytes = 2.0 * static_cast<double>(c.rows * c.keys * c.kv_heads) * row;
  const Tensor memory = Tensor::zeros({static_cast<std::int64_t>(bytes / sizeof(float))});
  const auto repeats = static_cast<std::int64_t>(1e7 / bytes) + 1;
  std::vector<double> times, shares, bandwidths;
  for (auto _ : state) {
    bandwidths.push_back(
        kernels::measure_read_bandwidth(memory.data(), memory.count(), threads(), 0.003));
    benchmark::DoNotOptimize(cache.attend(0, q));
    const auto start = std::chrono::steady_clock::now();
    for (std::int64_t i = 0; i < repeats; ++i) benchmark::DoNotOptimize(cache.attend(0, q));
    times.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() /
        static_cast<double>(repeats));
    shares.push_back(bytes / times.back() / bandwidths.back());
    state.SetIterationTime(times.back());
  }
  const double operations = 4.0 * static_cast<double>(c.rows * c.fresh * c.heads * c.keys * c.dim);
  const double seconds = median(times);
  state.counters["us"] = 1e6 * seconds;
  state.counters["GB/s"] = 1e-9 * bytes / seconds;
  state.counters["read_GB/s"] = 1e-9 * median(bandwidths);
  state.counters["share"] = median(shares);
  state.counters["GFLOP/s"] = 1e-9 * operations / seconds;
}

}  // namespace
}  // namespace qkv

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.rfind("--threads=", 0) != 0) continue;
    qkv::set_threads(std::atoi(argv[i] + 10));
    std::copy(argv + i + 1, argv + argc, argv + i);
    --argc;
    break;
  }
  using qkv::CacheType;
  for (const CacheType type : {CacheType::f32, CacheType::bf16, CacheType::int8}) {
    for (const qkv::Case& c : {qkv::Case{type, 1, 1, 1, 128, 65536},
                               {type, 1, 4, 1, 128, 65536},
                               {type, 1, 32, 8, 128, 16384},
                               {type, 16, 16, 16, 64, 2048},
                               {type, 1, 8, 8, 64, 1024},
                               {type, 64, 8, 8, 64, 12},
                               {type, 256, 4, 4, 32, 30},
                               {type, 1, 32, 8, 128, 4096, 8},
                               {type, 1, 8, 8, 64, 4096, 256}}) {
      benchmark::RegisterBenchmark(qkv::label(c).c_str(), [c](benchmark::State& state) {
        qkv::run(state, c);
      })->Unit(benchmark::kMicrosecond);
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}

// What the benchmarks of `qkv bench` share: each is a function of its options that measures and
// returns what it found, for programs and for people. Speed is a share of the FMA peak, measured
// beside the work in the same run.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/base/random.h"
#include "qkv/io/json.h"
#include "qkv/tensor/tensor.h"

namespace qkv::bench {

struct Report {
  Json json;
  std::string text;  // with its last newline
};

/// Gets a line for people while a long measurement runs; may be empty.
using Say = std::function<void(const std::string&)>;

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}
template <class Run>
double seconds_of(Run&& run) {
  const Clock::time_point start = Clock::now();
  run();
  return seconds_since(start);
}

/// The middle one, the upper of two; of at least one value.
double median(std::vector<double> values);
double fastest(const std::vector<double>& seconds);

/// Numbers N(0, 1) · size to compute with, from a stream of their own.
Tensor random_numbers(const Shape& shape, std::uint64_t key, double size = 1.0);
/// Token ids in [4, vocabulary): those that stand for words.
std::vector<std::int32_t> random_ids(std::int64_t count, std::int64_t vocabulary, Philox& random);

/// How often a benchmark may repeat what it measures.
constexpr Bounds runs_bounds() { return between(1, 1e6); }

}  // namespace qkv::bench

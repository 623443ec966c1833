// Counter-based random numbers: a value is a pure function of (key, index), so it does not depend
// on threads, on the order of calls or on where a training run was interrupted.
//
// Two strengths. `Philox` (Salmon et al. 2011, Philox4x32-10) fills weights and shuffles data.
// `DropoutKey` drives dropout inside kernels, where a draw must cost less than a multiplication:
// one 32-bit integer hash gives two 16-bit draws; see kernels/dropout.h for the vector form.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

namespace qkv {

/// Mixes 64 bits well (Stafford's variant 13 of the MurmurHash3 finaliser).
constexpr std::uint64_t mix64(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// A key from parts, e.g. key_of(seed, step, tensor): every order of parts gives its own key.
template <class... Parts>
constexpr std::uint64_t key_of(std::uint64_t first, Parts... parts) {
  std::uint64_t key = mix64(first + 0x9e3779b97f4a7c15ULL);
  ((key = mix64(key + 0x9e3779b97f4a7c15ULL + static_cast<std::uint64_t>(parts))), ...);
  return key;
}

/// FNV-1a, for keys from names.
constexpr std::uint64_t hash_name(std::string_view name) {
  std::uint64_t h = 0xcbf29ce484222325ULL;
  for (char c : name) h = (h ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ULL;
  return h;
}

/// Philox4x32-10: four 32-bit words from a 64-bit key and a 64-bit counter.
constexpr std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t counter) {
  std::uint32_t c0 = static_cast<std::uint32_t>(counter),
                c1 = static_cast<std::uint32_t>(counter >> 32);
  std::uint32_t c2 = 0, c3 = 0;
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = 0xD2511F53ULL * c0, p1 = 0xCD9E8D57ULL * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(p1);
    c3 = static_cast<std::uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return {c0, c1, c2, c3};
}

/// A sequence of random numbers under one key; a UniformRandomBitGenerator.
class Philox {
 public:
  using result_type = std::uint64_t;
  explicit Philox(std::uint64_t key, std::uint64_t counter = 0) : key_(key), counter_(counter) {}

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }
  result_type operator()() {
    const auto words = philox(key_, counter_++);
    return (static_cast<std::uint64_t>(words[1]) << 32) | words[0];
  }

  /// Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>((*this)() >> 11) * 0x1.0p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Standard normal by Box–Muller (one of the pair, so that draw i needs only counter i).
  double normal() {
    const auto words = philox(key_, counter_++);
    const double u = (static_cast<double>(words[0]) + 0.5) * 0x1.0p-32;
    const double v = static_cast<double>(words[1]) * 0x1.0p-32;
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v);
  }
  /// Uniform integer in [0, n), n > 0; by multiplication (Lemire), bias below n / 2^64.
  std::uint64_t below(std::uint64_t n) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>((*this)()) * n) >> 64);
  }

 private:
  std::uint64_t key_;
  std::uint64_t counter_;
};

/// Fisher–Yates with our own draws: the same order on every platform.
template <class T>
void shuffle(std::span<T> items, Philox& random) {
  for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random.below(i)]);
}

/// Dropout as kernels take it: element i is kept when draw(i) >= threshold, and then scaled by
/// `scale`. threshold 0 means no dropout. Probabilities are multiples of 2^-16.
struct Dropout {
  std::uint32_t key0 = 0;
  std::uint32_t key1 = 0;
  std::uint32_t threshold = 0;
  float scale = 1.0f;

  constexpr bool active() const { return threshold > 0; }
  static Dropout make(double probability, std::uint64_t key) {
    Dropout d;
    d.key0 = static_cast<std::uint32_t>(key);
    d.key1 = static_cast<std::uint32_t>(key >> 32);
    d.threshold = static_cast<std::uint32_t>(std::lround(probability * 65536.0));
    d.scale = static_cast<float>(65536.0 / (65536.0 - d.threshold));
    return d;
  }
};

/// The 16-bit draw of element `index`: elements 2j and 2j+1 share one hash of j (low, high half).
/// Two rounds of a full-avalanche 32-bit mix ("lowbias32", Wellons) with the key added between.
constexpr std::uint32_t dropout_draw(const Dropout& d, std::uint64_t index) {
  std::uint32_t x = static_cast<std::uint32_t>(index >> 1) ^ d.key0;
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  x ^= x >> 16;
  x += d.key1;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  x ^= x >> 16;
  return (index & 1) ? x >> 16 : x & 0xffffU;
}

/// What element `index` is multiplied by: 0 or `scale` (1 when inactive).
constexpr float dropout_factor(const Dropout& d, std::uint64_t index) {
  if (!d.active()) return 1.0f;
  return dropout_draw(d, index) >= d.threshold ? d.scale : 0.0f;
}

}  // namespace qkv

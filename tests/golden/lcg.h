// The generator that golden values of pictures, sound and graphs are computed from, so that anybody
// can make them again: x ← (1664525·x + 1013904223) mod 2³².
#pragma once

#include <cstdint>

namespace qkv::testing {

class Lcg {
 public:
  explicit Lcg(std::uint32_t seed) : x_(seed) {}
  /// (x ≫ 8)/2²⁴, in [0, 1); exact in float.
  double draw() {
    x_ = 1664525U * x_ + 1013904223U;
    return static_cast<double>(x_ >> 8U) * 0x1.0p-24;
  }
  /// In [−½, ½).
  double next() { return draw() - 0.5; }

 private:
  std::uint32_t x_;
};

}  // namespace qkv::testing

// The numbers of golden values, gain·(v − ½) + add with v of the generator, running on from tensor
// to tensor.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "golden/lcg.h"

#include "qkv/nn/state_dict.h"
#include "qkv/tensor/numbers.h"

namespace qkv::testing {

class Fill {
 public:
  explicit Fill(std::uint32_t seed, double gain = 1.0) : lcg_(seed), gain_(gain) {}

  double operator()() { return (*this)(gain_, 0.0); }
  double operator()(double gain, double add) { return gain * lcg_.next() + add; }
  Tensor tensor(const Shape& shape, DType type = DType::f64) {
    return tensor(shape, gain_, 0.0, type);
  }
  Tensor tensor(const Shape& shape, double gain, double add, DType type = DType::f64) {
    return generated(shape, type, [&](std::int64_t) { return (*this)(gain, add); });
  }

 private:
  Lcg lcg_;
  double gain_;
};

/// A picture c × h × w of the fill, gain 1 around ½, as rows of pixels [h·w c].
inline Tensor filled_picture(std::uint32_t seed, std::int64_t channels, std::int64_t height,
                             std::int64_t width, DType type = DType::f64) {
  Fill fill(seed);
  const Tensor planes = fill.tensor({channels, height * width}, 1.0, 0.5);
  return generated({height * width, channels}, type, [&](std::int64_t i) {
    return number(planes, i % channels * height * width + i / channels);
  });
}

/// Fills a model in the order and the layout of its entries; `norm(name)`: a norm's weight, which
/// is around 1 instead of 0.
template <class IsNorm>
void fill_state(const StateEntries& entries, Fill& fill, double gain, IsNorm&& norm) {
  StateDict state = read_state(entries);
  for (auto& [name, tensor] : state) {
    tensor = fill.tensor(tensor.shape(), gain, norm(std::string_view(name)) ? 1.0 : 0.0);
  }
  write_state(entries, state);
}

}  // namespace qkv::testing

#include "qkv/nn/module.h"

#include <cmath>

#include "qkv/tensor/numbers.h"

namespace qkv {

Initialiser Initialiser::branch(std::uint64_t key) const {
  Initialiser init(key_of(seed_, key), type_);
  init.blank_ = blank_;
  return init;
}

template <class Draw>
Tensor Initialiser::drawn(const Shape& shape, Draw draw) {
  Philox random(key_of(seed_, hash_name("initialise"), next_++));
  if (blank_) return parameter(Tensor::empty(shape, type_));
  return parameter(generated(shape, type_, [&](std::int64_t) { return draw(random); }));
}

Tensor Initialiser::xavier(const Shape& shape, double gain, std::int64_t fan_sum) {
  if (fan_sum == 0) fan_sum = shape[0] + shape[-1];
  return uniform(shape, gain * std::sqrt(6.0 / static_cast<double>(fan_sum)));
}

Tensor Initialiser::normal(const Shape& shape, double deviation) {
  return drawn(shape, [deviation](Philox& random) { return deviation * random.normal(); });
}

Tensor Initialiser::truncated_normal(const Shape& shape, double deviation) {
  return drawn(shape, [deviation](Philox& random) {
    double x = random.normal();
    while (std::abs(x) > 2.0) x = random.normal();
    return deviation * x;
  });
}

Tensor Initialiser::uniform(const Shape& shape, double limit) {
  return drawn(shape, [limit](Philox& random) { return random.uniform(-limit, limit); });
}

}  // namespace qkv

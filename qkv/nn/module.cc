#include "qkv/nn/module.h"

#include <algorithm>
#include <cmath>

#include "qkv/tensor/numbers.h"

namespace qkv {

void Initialiser::take(const Shape& shape) {
  if (stored_ == kAny) return;
  std::int64_t count = 1;
  for (const std::int64_t side : shape) {
    if (side > numbers_ / std::max<std::int64_t>(count, 1)) {
      fail<TooLarge>("a model with a tensor {} beyond the numbers that are there",
                     to_string(shape));
    }
    count *= side;
  }
  if (tensors_-- == 0) fail<TooLarge>("a model of more tensors than are there");
  numbers_ -= count;
}

void Initialiser::require_table(std::int64_t rows, std::int64_t width) const {
  constexpr std::int64_t kAlways = 1 << 20, kTimes = 16;
  if (width == 0 || stored_ > kAny / kTimes) return;
  if (rows <= std::max(kAlways, kTimes * stored_) / width) return;
  fail<TooLarge>("a model with a table of {} × {} beside {} numbers", rows, width, stored_);
}

Initialiser Initialiser::branch(std::uint64_t key) const {
  Initialiser init = *this;
  init.seed_ = key_of(seed_, key);
  init.next_ = 0;
  return init;
}

template <class Draw>
Tensor Initialiser::drawn(const Shape& shape, Draw draw) {
  take(shape);
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

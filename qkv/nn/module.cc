#include "qkv/nn/module.h"

#include <cmath>

namespace qkv {

template <class Draw>
Tensor Initialiser::drawn(const Shape& shape, Draw draw) {
  Philox random(key_of(seed_, hash_name("initialise"), next_++));
  Tensor t = Tensor::empty(shape, type_);
  if (blank_) return parameter(std::move(t));
  for (std::int64_t i = 0; i < t.count(); ++i) {
    const double value = draw(random);
    if (type_ == DType::f64) {
      t.data<double>()[i] = value;
    } else {
      t.data<float>()[i] = static_cast<float>(value);
    }
  }
  return parameter(std::move(t));
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

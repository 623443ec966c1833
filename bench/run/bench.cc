#include "bench/run/bench.h"

#include <algorithm>

namespace qkv::bench {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double fastest(const std::vector<double>& seconds) {
  return *std::min_element(seconds.begin(), seconds.end());
}

Tensor random_numbers(const Shape& shape, std::uint64_t key, double size) {
  Philox random(key_of(17, key));
  Tensor x = Tensor::empty(shape);
  for (float& value : x.values()) value = static_cast<float>(size * random.normal());
  return x;
}

std::vector<std::int32_t> random_ids(std::int64_t count, std::int64_t vocabulary, Philox& random) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
  for (std::int32_t& id : ids) {
    id = static_cast<std::int32_t>(4 + random.below(static_cast<std::uint64_t>(vocabulary - 4)));
  }
  return ids;
}

}  // namespace qkv::bench

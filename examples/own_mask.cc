// A mask of one's own: a row sees the keys whose index divides its own (a graph of divisors), alone
// and together with the built-in masks. Whatever the mask hides costs nothing and gets no gradient.
#include <cstdio>
#include <vector>

#include <qkv/attention/attend.h>
#include <qkv/autograd/check.h>
#include <qkv/base/random.h>

namespace {

qkv::Mask divisors() {
  return qkv::Mask::of("divisors", [](const qkv::MaskRow& row, qkv::Intervals& keys) {
    for (std::int64_t j = 1; j <= row.position; ++j) {
      if (row.position % j == 0) keys.push_back({row.k_begin + j, row.k_begin + j + 1});
    }
  });
}

qkv::Tensor random(const qkv::Shape& shape, std::uint64_t seed) {
  qkv::Philox numbers(seed);
  qkv::Tensor x = qkv::Tensor::empty(shape, qkv::DType::f64);
  for (double& value : x.values<double>()) value = numbers.normal();
  return x;
}

}  // namespace

int main() {
  using qkv::Tensor;
  const std::int64_t n = 13;
  const qkv::Mask mask = divisors() | (qkv::prefix(1) & ~qkv::window(4));
  std::printf("%s\n", to_string(mask).c_str());
  const std::vector<std::uint8_t> seen = qkv::materialise(mask, n, n);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      std::printf("%s", seen[static_cast<std::size_t>(i * n + j)] ? "# " : ". ");
    }
    std::printf("\n");
  }
  const std::vector<Tensor> x{random({n, 1, 3}, 1), random({n, 1, 3}, 2), random({n, 1, 2}, 3)};
  const qkv::GradientCheck check = qkv::check_gradients(
      [&](std::span<const Tensor> y) { return qkv::attend(y[0], y[1], y[2], {.mask = mask}); }, x);
  std::printf("gradients: largest error %.1e\n", check.worst);
  return check.worst < 1e-6 ? 0 : 1;
}

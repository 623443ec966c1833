// A bias of one's own: scores of every other head decay with the logarithm of the distance (as in
// KERPLE, Chi et al. 2022), with the derivative of the new score by the old one.
#include <cmath>
#include <cstdio>
#include <vector>

#include <qkv/attention/attend.h>
#include <qkv/autograd/check.h>
#include <qkv/base/random.h>

namespace {

qkv::FunctionBias kerple() {
  return {.name = "kerple",
          .value =
              [](double s, const auto& where) {
                const double distance = std::abs(static_cast<double>(where.key - where.place));
                return where.head % 2 == 0 ? s - 0.8 * std::log1p(0.5 * distance) : s;
              },
          .derivative = [](double, const auto&) { return 1.0; }};
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
  // Two sentences of 4 and 2 words, two heads.
  const qkv::Segments batch{4, 2};
  const std::vector<Tensor> x{random({6, 2, 3}, 1), random({6, 2, 3}, 2), random({6, 2, 3}, 3)};
  // Biases are a list, applied in order: first the decay, then a soft cap.
  const qkv::Attention how{.bias = {kerple(), qkv::SoftCap{.cap = 5}},
                           .mask = qkv::segments(batch) & qkv::causal()};

  const Tensor out = qkv::attend(x[0], x[1], x[2], how);
  std::printf("out of the last row, head 0: %.4f %.4f %.4f\n", out.data<double>()[30],
              out.data<double>()[31], out.data<double>()[32]);
  const qkv::GradientCheck check = qkv::check_gradients(
      [&](std::span<const Tensor> y) { return qkv::attend(y[0], y[1], y[2], how); }, x);
  std::printf("gradients: largest error %.1e\n", check.worst);
  return check.worst < 1e-6 ? 0 : 1;
}

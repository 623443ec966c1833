// A normaliser of one's own: Taylor softmax, (1 + s + s²/2) over its sum (de Brébisson & Vincent
// 2016), with the gradient of the scores, on additive scores under a causal mask.
#include <cstdio>
#include <vector>

#include <qkv/attention/attend.h>
#include <qkv/autograd/check.h>
#include <qkv/base/random.h>

namespace {

double taylor(double s) { return 1 + s + s * s / 2; }

qkv::RowNormaliser taylor_softmax() {
  return {.name = "taylor",
          .forward =
              [](auto scores, auto weights) {
                double sum = 0;
                for (const double s : scores) sum += taylor(s);
                for (std::size_t j = 0; j < scores.size(); ++j)
                  weights[j] = taylor(scores[j]) / sum;
              },
          .backward =
              [](auto scores, auto weights, auto dweights, auto dscores) {
                double sum = 0, delta = 0;
                for (std::size_t j = 0; j < scores.size(); ++j) {
                  sum += taylor(scores[j]);
                  delta += weights[j] * dweights[j];
                }
                for (std::size_t j = 0; j < scores.size(); ++j) {
                  dscores[j] = (1 + scores[j]) / sum * (dweights[j] - delta);
                }
              }};
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
  // q, k, v of six positions and two heads, and the vector w of w·tanh(q + k).
  const std::vector<Tensor> x{random({6, 2, 4}, 1), random({6, 2, 4}, 2), random({6, 2, 3}, 3),
                              random({4}, 4)};
  const auto run = [](std::span<const Tensor> y) {
    return qkv::attend(
        y[0], y[1], y[2],
        {.score = qkv::Additive{.weight = y[3]}, .mask = qkv::causal(), .norm = taylor_softmax()});
  };
  std::printf("first of the last row: %.4f\n", run(x).data<double>()[30]);
  const qkv::GradientCheck check = qkv::check_gradients(run, x);
  std::printf("gradients: largest error %.1e\n", check.worst);
  return check.worst < 1e-6 ? 0 : 1;
}

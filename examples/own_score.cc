// A score of one's own: the Cauchy kernel, −log(1 + ‖q − k‖²), with its gradient, fused, masked and
// normalised like the built-in ones.
#include <cmath>
#include <cstdio>
#include <vector>

#include <qkv/attention/attend.h>
#include <qkv/autograd/check.h>

namespace {

double square(qkv::PairScore::Vector q, qkv::PairScore::Vector k) {
  double sum = 0;
  for (std::size_t d = 0; d < q.size(); ++d) sum += (q[d] - k[d]) * (q[d] - k[d]);
  return sum;
}

qkv::PairScore cauchy() {
  return {.name = "cauchy",
          .value = [](auto q, auto k) { return -std::log1p(square(q, k)); },
          .gradient =
              [](auto q, auto k, double ds, auto dq, auto dk) {
                const double slope = -2 / (1 + square(q, k)) * ds;
                for (std::size_t d = 0; d < q.size(); ++d) {
                  dq[d] += slope * (q[d] - k[d]);
                  dk[d] -= slope * (q[d] - k[d]);
                }
              }};
}

}  // namespace

int main() {
  using qkv::Tensor;
  // Five places on a line, one head: keys carry their square; queries stand in between.
  const Tensor keys = Tensor::of(std::vector<double>{0, 1, 2, 3, 4}, {5, 1, 1});
  const Tensor values = Tensor::of(std::vector<double>{0, 1, 4, 9, 16}, {5, 1, 1});
  const Tensor queries = Tensor::of(std::vector<double>{0.5, 1.9, 3.2}, {3, 1, 1});
  const qkv::Attention how{.score = cauchy(), .mask = qkv::window(2)};

  const Tensor out = qkv::attend(queries, keys, values, how);
  for (int i = 0; i < 3; ++i) {
    std::printf("at %.1f: %.3f\n", queries.data<double>()[i], out.data<double>()[i]);
  }
  const std::vector<Tensor> inputs{queries, keys, values};
  const qkv::GradientCheck check = qkv::check_gradients(
      [&](std::span<const Tensor> x) { return qkv::attend(x[0], x[1], x[2], how); }, inputs);
  std::printf("gradients: largest error %.1e\n", check.worst);
  return check.worst < 1e-6 ? 0 : 1;
}

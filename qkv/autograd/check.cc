#include "qkv/autograd/check.h"

#include <cmath>
#include <vector>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"

namespace qkv {

GradientCheck check_gradients(const std::function<Tensor(std::span<const Tensor>)>& f,
                              std::span<const Tensor> inputs, const GradientCheckOptions& options) {
  std::vector<Tensor> x;
  for (const Tensor& input : inputs) x.push_back(parameter(input.to(DType::f64).clone()));

  Tape tape;
  Tensor y;
  {
    const Recording on(tape, options.seed);
    y = f(x);
  }
  Philox random(options.seed);
  Tensor weights = Tensor::empty(y.shape(), DType::f64);
  for (double& w : weights.values<double>()) w = random.normal();
  tape.backward(y, weights);

  const auto weighted = [&] {
    Tape scratch;
    const Recording on(scratch, options.seed);  // the same dropout again
    const Tensor out = f(x);
    double sum = 0;
    for (std::int64_t i = 0; i < out.count(); ++i) {
      sum += out.data<double>()[i] * weights.data<double>()[i];
    }
    return sum;
  };

  GradientCheck result;
  for (std::size_t n = 0; n < x.size(); ++n) {
    const Tensor gradient = gradient_of(x[n]);
    const std::int64_t count = x[n].count();
    const std::int64_t stride = std::max<std::int64_t>(1, count / options.most);
    for (std::int64_t i = 0; i < count; i += stride) {
      double& element = x[n].data<double>()[i];
      const double before = element;
      const auto at = [&](double value) {
        element = value;
        parameter_changed(x[n]);
        return weighted();
      };
      const double up = at(before + options.step), down = at(before - options.step);
      element = before;
      parameter_changed(x[n]);
      const double numeric = (up - down) / (2 * options.step);
      const double analytic = gradient.defined() ? gradient.data<double>()[i] : 0.0;
      const double error = std::abs(analytic - numeric) / (1 + std::abs(numeric));
      if (!(error <= result.worst)) {
        result.worst = error;
        result.where =
            fmt::format("input {} element {}: analytic {}, numeric {}", n, i, analytic, numeric);
        if (std::isnan(error)) return result;
      }
    }
  }
  return result;
}

}  // namespace qkv

#include "qkv/nn/kernel_regression.h"

#include <algorithm>
#include <cmath>

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/autograd/check.h"
#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using testing::random_tensor;

Tensor column(const std::vector<double>& values) {
  return Tensor::of(values, {static_cast<std::int64_t>(values.size()), 1});
}

KernelRegression gaussian(double width, DType type = DType::f64) {
  return {.inverse_width = parameter(Tensor::full({1}, 1.0 / width, type))};
}

/// The weights themselves: the values are unit vectors.
Tensor weights(const KernelRegression& m, const Tensor& queries, const Tensor& keys,
               const Mask& mask = everything()) {
  const std::int64_t n = keys.dim(0);
  Tensor unit = Tensor::zeros({n, n}, DType::f64);
  for (std::int64_t i = 0; i < n; ++i) unit.data<double>()[i * n + i] = 1.0;
  return m(queries, keys, unit.to(keys.dtype()), mask);
}

// Who weighs 63 and is 170 tall is how old? (weight, height) -> age.
const Tensor kPeople = Tensor::of(std::vector<double>{50, 160, 65, 165, 60, 175}, {3, 2});
const Tensor kAges = Tensor::of(std::vector<double>{50, 23, 21}, {3, 1});
const Tensor kQuery = Tensor::of(std::vector<double>{63, 170}, {1, 2});

TEST(KernelRegression, TheTableOfWeightHeightAndAge) {
  struct Row {
    double width;
    std::vector<double> weights;
    double age;
  };
  // The first bandwidth is √(5 / (2 ln 1.5)), which makes the weights 3 : 2.
  for (const Row& row :
       {Row{2.483095, {1.2e-21, .6, .4}, 22.2000001}, Row{1, {0, .924142, .075858}, 22.848284},
        Row{10, {.132306, .439270, .428424}, 25.715402}}) {
    for (const DType type : {DType::f64, DType::f32}) {
      // In float a score of some −40 has an error of 4e-6, and the ages differ by tens.
      const double exact = type == DType::f64 ? 1e-5 : 3e-5;
      const KernelRegression m = gaussian(row.width, type);
      const Tensor q = kQuery.to(type), k = kPeople.to(type);
      EXPECT_NEAR(m(q, k, kAges.to(type)).item(), row.age, exact) << row.width;
      const Tensor a = weights(m, q, k).to(DType::f64), same = m.weights(q, k).to(DType::f64);
      double squares = 0;
      for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_NEAR(a.data<double>()[i], row.weights[i], exact);
        EXPECT_NEAR(same.data<double>()[i], row.weights[i], exact);
        squares += row.weights[i] * row.weights[i];
      }
      EXPECT_NEAR(m.effective_sample_size(q, k).item(), 1 / squares, 10 * exact);
    }
  }
}

TEST(KernelRegression, WideKernelsAverageAndNarrowOnesCopy) {
  const Tensor x = random_tensor({9, 2}, 1, DType::f64), y = random_tensor({9, 3}, 2, DType::f64);
  const Tensor wide = gaussian(1e6)(x, x, y), narrow = gaussian(1e-3)(x, x, y);
  for (std::int64_t c = 0; c < 3; ++c) {
    double mean = 0;
    for (std::int64_t i = 0; i < 9; ++i) mean += y.data<double>()[i * 3 + c] / 9;
    for (std::int64_t i = 0; i < 9; ++i) {
      EXPECT_NEAR(wide.data<double>()[i * 3 + c], mean, 1e-9);
      EXPECT_NEAR(narrow.data<double>()[i * 3 + c], y.data<double>()[i * 3 + c], 1e-9);
    }
  }
  const Tensor all = gaussian(1e6).effective_sample_size(x, x);
  const Tensor one = gaussian(1e-3).effective_sample_size(x, x);
  for (std::int64_t i = 0; i < 9; ++i) {
    EXPECT_NEAR(all.data<double>()[i], 9.0, 1e-6);
    EXPECT_NEAR(one.data<double>()[i], 1.0, 1e-6);
  }
}

TEST(KernelRegression, ABandwidthForEachFeature) {
  const Tensor x = random_tensor({6, 2}, 1, DType::f64), y = random_tensor({6, 1}, 2, DType::f64);
  const KernelRegression m{.inverse_width = Tensor::of(std::vector<double>{0.5, 3.0}, {2})};
  const Tensor predicted = m(x, x, y);
  for (std::int64_t i = 0; i < 6; ++i) {
    double total = 0, sum = 0, squares = 0;
    for (std::int64_t j = 0; j < 6; ++j) {
      const double a = 0.5 * (x.data<double>()[2 * i] - x.data<double>()[2 * j]);
      const double b = 3.0 * (x.data<double>()[2 * i + 1] - x.data<double>()[2 * j + 1]);
      const double weight = std::exp(-0.5 * (a * a + b * b)), value = y.data<double>()[j];
      total += weight;
      sum += weight * value;
      squares += weight * value * value;
    }
    EXPECT_NEAR(predicted.data<double>()[i], sum / total, 1e-12);
    EXPECT_NEAR(m.variance(x, x, y).data<double>()[i],
                squares / total - sum / total * (sum / total), 1e-12);
  }
}

TEST(KernelRegression, CompactKernelsForgetWhatIsFar) {
  KernelRegression m = gaussian(2.0);
  m.kernel = KernelSum{KernelSum::Window::epanechnikov};
  const Tensor a = weights(m, column({0}), column({0, 1, 3}));
  const double far = 1 - 0.25;  // 1 − u² with u = 1/2; at u = 3/2 nothing is left
  EXPECT_NEAR(a.data<double>()[0], 1 / (1 + far), 1e-12);
  EXPECT_NEAR(a.data<double>()[1], far / (1 + far), 1e-12);
  EXPECT_EQ(a.data<double>()[2], 0.0);
  EXPECT_EQ(m(column({100}), column({0, 1, 3}), column({5, 6, 7})).item(), 0.0);
  EXPECT_THROW((void)m.effective_sample_size(column({0}), column({0, 1})), Error);
}

TEST(KernelRegression, LeaveOneOutSeesAllOthers) {
  const Tensor x = random_tensor({5, 1}, 1, DType::f64);
  const Tensor a = weights(gaussian(1.0), x, x, leave_one_out());
  for (std::int64_t i = 0; i < 5; ++i) {
    double sum = 0;
    for (std::int64_t j = 0; j < 5; ++j) {
      EXPECT_EQ(a.data<double>()[i * 5 + j] == 0, i == j);
      sum += a.data<double>()[i * 5 + j];
    }
    EXPECT_NEAR(sum, 1.0, 1e-12);
  }
  // Nobody else there: zeros, and no sample.
  EXPECT_EQ(gaussian(1.0)(x.rows(0, 1), x.rows(0, 1), column({7}), leave_one_out()).item(), 0.0);
  EXPECT_EQ(gaussian(1.0).effective_sample_size(x.rows(0, 1), x.rows(0, 1), leave_one_out()).item(),
            0.0);
}

TEST(KernelRegression, GradientsMatchFiniteDifferences) {
  for (const std::int64_t widths : {1, 2}) {
    const std::vector<Tensor> inputs = {
        random_tensor({3, 2}, 1, DType::f64), random_tensor({4, 2}, 2, DType::f64),
        random_tensor({4, 2}, 3, DType::f64), random_tensor({widths}, 4, DType::f64)};
    const auto result = check_gradients(
        [](std::span<const Tensor> x) {
          return KernelRegression{.inverse_width = x[3]}(x[0], x[1], x[2]);
        },
        inputs);
    EXPECT_LT(result.worst, 1e-7) << result.where;
  }
}

/// 50 sorted x in (0, 5), y = 2 sin x + x^0.8 + noise of deviation 0.5.
struct Samples {
  Tensor x, y;
  explicit Samples(std::uint64_t seed) {
    Philox random(seed);
    std::vector<double> xs(50), ys;
    for (double& value : xs) value = random.uniform(0, 5);
    std::sort(xs.begin(), xs.end());
    for (const double value : xs) {
      ys.push_back(2 * std::sin(value) + std::pow(value, 0.8) + 0.5 * random.normal());
    }
    x = column(xs);
    y = column(ys);
  }
};

/// ½ Σ (ŷ − y)² on the keys, each predicted from the others; then a step of SGD.
double fit(const KernelRegression& m, const Samples& s, double rate, double* slope = nullptr) {
  Tape tape;
  Tensor loss;
  {
    const Recording on(tape);
    const Tensor error = add(m(s.x, s.x, s.y, leave_one_out()), scale(s.y, -1.0));
    loss = scale(sum(multiply(error, error)), 0.5);
  }
  tape.backward(loss);
  Tensor w = m.inverse_width;
  const double g = gradient_of(w).item();
  if (slope) *slope = g;
  w.data<double>()[0] -= rate * g;
  clear_gradient(w);
  parameter_changed(w);
  return loss.item();
}

TEST(KernelRegression, LearningSharpensTheWeights) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const Samples s(seed);
    const KernelRegression m = gaussian(1.0);
    const auto sharpness = [&] {
      const Tensor size = m.effective_sample_size(s.x, s.x, leave_one_out());
      double total = 0;
      for (double value : size.values<double>()) total += value;
      return total / 50;
    };
    const double before = sharpness(), first = fit(m, s, 0.5);
    double last = 0;
    for (int epoch = 1; epoch < 5; ++epoch) last = fit(m, s, 0.5);
    EXPECT_LT(last, 0.8 * first) << seed;
    EXPECT_LT(sharpness(), 0.6 * before) << seed;
    EXPECT_GT(std::abs(m.inverse_width.item()), 1.5) << seed;
  }
}

TEST(KernelRegression, TheWidthConverges) {
  for (const double start : {0.5, 1.0, 3.0}) {
    const Samples s(1);
    const KernelRegression m = gaussian(1 / start);
    double slope = 1;
    for (int epoch = 0; epoch < 80; ++epoch) fit(m, s, 0.5, &slope);
    EXPECT_LT(std::abs(slope), 1e-3) << start;
    const double found = m.inverse_width.item(), best = fit(m, s, 0.0);
    for (const double nearby : {0.9 * found, 1.1 * found}) {
      EXPECT_GT(fit(gaussian(1 / nearby), s, 0.0), best) << start;
    }
  }
}

}  // namespace
}  // namespace qkv

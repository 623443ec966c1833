#include "qkv/nn/spectral_norm.h"

#include <vector>

#include "golden/fill.h"
#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/autograd/check.h"
#include "qkv/base/error.h"
#include "qkv/nn/convolution.h"
#include "qkv/nn/linear.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using testing::distance;
using testing::Fill;
using testing::random_tensor;

TEST(SpectralNorm, Golden) {
  Fill fill(13, 2.0);
  const Tensor weight = parameter(fill.tensor({4, 3}));
  const SpectralNorm norm{{fill.tensor({3})}};
  Tape tape;
  Tensor total;
  {
    const Recording on(tape);
    const Tensor y = norm(weight);
    const double row[] = {-.346477, -.056589, .295418};
    for (std::int64_t c = 0; c < 3; ++c) EXPECT_NEAR(number(y, c), row[c], 1e-6);
    total = sum(y);
  }
  const double u[] = {-.825275, -.219358, .520387};
  for (std::int64_t c = 0; c < 3; ++c) EXPECT_NEAR(number(norm.u.value, c), u[c], 1e-6);
  tape.backward(total);
  const Tensor gradient = gradient_of(weight);
  const double row[] = {.399123, .597376, .839417};
  double all = 0;
  for (std::int64_t i = 0; i < 12; ++i) {
    all += number(gradient, i);
  }
  for (std::int64_t c = 0; c < 3; ++c) EXPECT_NEAR(number(gradient, c), row[c], 1e-6);
  EXPECT_NEAR(all, 7.988964, 1e-6);
}

TEST(SpectralNorm, StepsApproachTheLargestSingularValue) {
  Fill fill(13, 2.0);
  const Tensor weight = fill.tensor({4, 3});
  Tensor u = fill.tensor({3});
  std::vector<double> sigma;
  for (int step = 0; step < 100; ++step) {
    const PowerStep next = power_step(weight, u);
    sigma.push_back(next.sigma);
    u = next.u;
  }
  EXPECT_NEAR(sigma[0], 1.494435, 1e-6);
  EXPECT_NEAR(sigma[1], 1.514246, 1e-6);
  EXPECT_NEAR(sigma[4], 1.517840, 1e-6);
  EXPECT_NEAR(sigma[99], 1.517934, 1e-6);
}

TEST(SpectralNorm, AfterManyStepsTheLargestSingularValueIsOne) {
  for (const Shape& shape : {Shape{30, 20}, Shape{3, 3, 8, 40}, Shape{5, 1}}) {
    const Tensor weight = random_tensor(shape, 1, DType::f64);
    Tensor u = random_tensor({shape[-1]}, 2, DType::f64);
    for (int step = 0; step < 50; ++step) u = power_step(weight, u).u;
    const Tensor y = spectral_normalised(weight, power_step(weight, u));
    Tensor w = random_tensor({shape[-1]}, 3, DType::f64);  // another start
    for (int step = 0; step < 2000; ++step) w = power_step(y, w).u;
    EXPECT_NEAR(power_step(y, w).sigma, 1.0, 1e-2);
    for (int step = 0; step < 2000; ++step) u = power_step(weight, u).u;
    EXPECT_NEAR(power_step(spectral_normalised(weight, power_step(weight, u)), w).sigma, 1.0, 1e-5);
  }
}

TEST(SpectralNorm, TheGradientHoldsTheVectorsConstant) {
  const Tensor weight = random_tensor({2, 3, 4}, 1, DType::f64);
  const PowerStep step = power_step(weight, random_tensor({4}, 2, DType::f64));
  const Tensor v = step.v.reshaped({1, 6}), u = step.u.reshaped({4, 1});
  const Tensor inputs[] = {weight};
  const auto check = check_gradients(
      [&](std::span<const Tensor> x) {
        PowerStep now = step;  // σ follows the weight, u and v do not
        now.sigma = linear(linear(v, x[0].reshaped({6, 4})), u).item();
        return spectral_normalised(x[0], now);
      },
      inputs);
  EXPECT_LT(check.worst, 1e-7) << check.where;
}

TEST(SpectralNorm, OnlyAFirstPassOfTrainingMovesIt) {
  Initialiser init(1);
  const auto layer = Spectral<Linear>::of(init, Linear::make(init, 5, 4));
  const Tensor before = layer.norm.u.value.clone(), x = random_tensor({3, 5}, 1);
  (void)layer(x);
  EXPECT_EQ(distance(layer.norm.u.value, before), 0);
  Tape tape;
  const Recording on(tape);
  {
    const KeepBuffers second;
    (void)layer(x);
  }
  EXPECT_EQ(distance(layer.norm.u.value, before), 0);
  (void)layer(x);
  EXPECT_GT(distance(layer.norm.u.value, before), 0);
}

TEST(SpectralNorm, IsStateOfItsModule) {
  Initialiser init(1);
  const auto layer = Spectral<Convolution>::of(init, Convolution::make(init, {.in = 3, .out = 4}));
  EXPECT_EQ(parameter_count(layer), 27 * 4 + 4);
  std::vector<std::string> saved;
  for_each_saved(layer, [&](std::string_view path, const Tensor&) { saved.emplace_back(path); });
  EXPECT_EQ(saved, (std::vector<std::string>{"weight", "bias", "u"}));
  const Tensor x = random_tensor({6, 3}, 1);
  EXPECT_EQ(layer(x, Grids{{2, 3}}).shape(), (Shape{6, 4}));
  EXPECT_THROW((void)spectral_normalised(Tensor::zeros({2, 2}),
                                         power_step(Tensor::zeros({2, 2}), Tensor::full({2}, 1.0))),
               Error);
}

}  // namespace
}  // namespace qkv

#include "qkv/nn/batch_norm.h"

#include <cmath>
#include <string>
#include <vector>

#include "golden/fill.h"
#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/autograd/check.h"
#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::distance;
using testing::Fill;
using testing::random_tensor;

TEST(ConditionalBatchNorm, Golden) {
  Fill fill(15);
  const Tensor x = fill.tensor({8, 3}, 4.0, 0.0);
  Initialiser init(1, DType::f64);
  auto norm = ConditionalBatchNorm::make(
      init,
      {.norm = {.width = 3, .decay = .999, .variance = MovingVariance::biased}, .classes = 4});
  norm.weight = parameter(fill.tensor({4, 3}, 1.0, 1.0));
  norm.bias = parameter(fill.tensor({4, 3}, 1.0, 0.0));
  Tape tape;
  Tensor y;
  {
    const Recording on(tape);
    y = norm(x, Segments({4, 4}), std::vector<std::int32_t>{3, 1});
  }
  const double first[] = {-1.375130, .574620, -.924574}, last[] = {1.222593, -.258161, -.313640};
  const double mean[] = {.168823, -.213623, -.369409};
  const double moved[] = {1.000297, 1.000191, 1.000551};
  for (std::int64_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(number(y, c), first[c], 1e-6);
    EXPECT_NEAR(number(y, 21 + c), last[c], 1e-6);
    EXPECT_NEAR(number(norm.moving.mean.value, c), .001 * mean[c], 1e-9);
    EXPECT_NEAR(number(norm.moving.variance.value, c), moved[c], 1e-6);
  }
}

TEST(ConditionalBatchNorm, WantsAClassOfItsTableForEachPicture) {
  Initialiser init(1);
  const auto norm = ConditionalBatchNorm::make(init, {.norm = {.width = 3}, .classes = 2});
  const Tensor x = random_tensor({6, 3}, 1);
  EXPECT_THROW((void)norm(x, Segments({4, 2}), std::vector<std::int32_t>{0}), ShapeError);
  EXPECT_THROW((void)norm(x, Segments({4, 2}), std::vector<std::int32_t>{0, 2}), ShapeError);
  EXPECT_THROW((void)norm(x, Segments({4, 1}), std::vector<std::int32_t>{0, 1}), ShapeError);
}

BatchNorm shaken(DType type = DType::f32) {
  Initialiser init(1, type);
  BatchNorm norm = BatchNorm::make(init, {.width = 5});
  norm.weight = parameter(random_tensor({5}, 7, type));
  norm.bias = parameter(random_tensor({5}, 8, type));
  return norm;
}

Tensor trained(const BatchNorm& norm, const Tensor& x) {
  Tape tape;
  const Recording on(tape);
  return norm(x);
}

TEST(BatchNorm, StandardisesABatch) {
  Initialiser init(1);
  const BatchNorm norm = BatchNorm::make(init, {.width = 5});
  const Tensor y = trained(norm, random_tensor({2000, 5}, 1));
  for (std::int64_t c = 0; c < 5; ++c) {
    double sum = 0, squares = 0;
    for (std::int64_t t = 0; t < 2000; ++t) {
      sum += number(y, 5 * t + c);
      squares += number(y, 5 * t + c) * number(y, 5 * t + c);
    }
    EXPECT_NEAR(sum / 2000, 0, 1e-6);
    EXPECT_NEAR(squares / 2000, 1, 1e-4);
  }
}

TEST(BatchNorm, TheMovingStatisticsAreThoseOfPyTorch) {
  const BatchNorm norm = shaken(DType::f64);
  const Tensor x = random_tensor({4, 5}, 1, DType::f64);
  (void)trained(norm, x);
  for (std::int64_t c = 0; c < 5; ++c) {
    double mean = 0, squares = 0;
    for (std::int64_t t = 0; t < 4; ++t) mean += number(x, 5 * t + c) / 4;
    for (std::int64_t t = 0; t < 4; ++t) squares += std::pow(number(x, 5 * t + c) - mean, 2);
    EXPECT_NEAR(number(norm.moving.mean.value, c), .1 * mean, 1e-12);
    EXPECT_NEAR(number(norm.moving.variance.value, c), .9 + .1 * squares / 3, 1e-12);
  }
  const BatchNorm lone = shaken();
  EXPECT_THROW((void)trained(lone, random_tensor({1, 5}, 1)), ShapeError);
}

TEST(BatchNorm, KeptBuffersStay) {
  const BatchNorm norm = shaken();
  const Tensor x = random_tensor({40, 5}, 1);
  {
    const KeepBuffers keep;
    (void)trained(norm, x);
  }
  (void)norm(x);  // evaluation
  EXPECT_EQ(distance(norm.moving.mean.value, Tensor::zeros({5})), 0);
  EXPECT_EQ(distance(norm.moving.variance.value, Tensor::full({5}, 1.0)), 0);
  (void)trained(norm, x);
  EXPECT_GT(distance(norm.moving.mean.value, Tensor::zeros({5})), 0);
}

TEST(BatchNorm, InEvaluationARowIsAlone) {
  const BatchNorm norm = shaken();
  (void)trained(norm, random_tensor({40, 5}, 1));
  const Tensor x = random_tensor({9, 5}, 2), y = norm(x);
  for (std::int64_t t = 0; t < 9; ++t) {
    EXPECT_EQ(distance(norm(x.rows(t, t + 1)), y.rows(t, t + 1)), 0);
  }
}

TEST(BatchNorm, GradientsGoThroughTheStatistics) {
  const Tensor inputs[] = {random_tensor({11, 5}, 1, DType::f64), random_tensor({5}, 2, DType::f64),
                           random_tensor({5}, 3, DType::f64)};
  const KeepBuffers keep;
  const auto check = check_gradients(
      [&](std::span<const Tensor> x) {
        BatchNorm norm = shaken(DType::f64);
        norm.weight = x[1];
        norm.bias = x[2];
        return norm(x[0]);
      },
      inputs);
  EXPECT_LT(check.worst, 1e-7) << check.where;
}

TEST(BatchNorm, BuffersAreNoParametersButSaved) {
  const BatchNorm norm = shaken();
  EXPECT_EQ(parameter_count(norm), 10);
  std::vector<std::string> saved;
  for_each_saved(norm, [&](std::string_view path, const Tensor&) { saved.emplace_back(path); });
  EXPECT_EQ(saved, (std::vector<std::string>{"weight", "bias", "running_mean", "running_var"}));
  (void)trained(norm, random_tensor({40, 5}, 1));
  StateEntries from, to;
  list_state(norm, "bn.", from);
  const BatchNorm other = shaken();
  list_state(other, "bn.", to);
  write_state(to, read_state(from));
  const Tensor x = random_tensor({9, 5}, 2);
  EXPECT_EQ(distance(norm(x), other(x)), 0);
}

}  // namespace
}  // namespace qkv

#include "qkv/ops/sparse.h"

#include <algorithm>

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/autograd/check.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/ops/linear.h"

namespace qkv {
namespace {

using testing::distance;
using testing::random_tensor;

/// About one number in four; row 2 has none.
std::shared_ptr<const SparseRows> rows_of(std::int64_t rows, std::int64_t columns) {
  Philox random(3);
  auto x = std::make_shared<SparseRows>();
  x->columns = columns;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t c = 0; c < columns; ++c) {
      if (i == 2 || random.below(4) != 0) continue;
      x->column.push_back(static_cast<std::int32_t>(c));
      x->value.push_back(static_cast<float>(random.normal()));
    }
    x->offsets.push_back(x->entries());
  }
  return x;
}

Tensor dense(const SparseRows& x, DType type) {
  Tensor y = Tensor::zeros({x.rows(), x.columns}, DType::f64);
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    for (auto e = static_cast<std::size_t>(x.offsets[static_cast<std::size_t>(i)]);
         e < static_cast<std::size_t>(x.offsets[static_cast<std::size_t>(i) + 1]); ++e) {
      y.values<double>()[static_cast<std::size_t>(i * x.columns + x.column[e])] =
          static_cast<double>(x.value[e]);
    }
  }
  return y.to(type);
}

TEST(SparseLinear, IsTheProduct) {
  const auto x = rows_of(150, 40);
  for (const DType type : {DType::f64, DType::f32}) {
    const Tensor w = random_tensor({40, 6}, 1, type);
    EXPECT_LT(distance(sparse_linear(x, w), matmul(dense(*x, type), w)), 1e-5);
    EXPECT_LT(distance(sparse_linear(x, w, 3), matmul(dense(*x, type), w)), 1e-5);
  }
}

TEST(SparseLinear, HasTheGradientOfItsWeight) {
  const auto x = rows_of(9, 5);
  for (const double rate : {0.0, 0.4}) {
    const std::vector<Tensor> inputs = {random_tensor({5, 6}, 1, DType::f64)};
    const auto check = check_gradients(
        [&](std::span<const Tensor> in) { return sparse_linear(x, in[0], 3, rate); }, inputs);
    EXPECT_LT(check.worst, 1e-8) << check.where;
  }
}

TEST(SparseLinear, EachHeadDropsForItself) {
  auto x = std::make_shared<SparseRows>();
  x->columns = 400;
  for (std::int32_t c = 0; c < 400; ++c) {
    x->column.push_back(c);
    x->value.push_back(1);
    x->offsets.push_back(c + 1);
  }
  const Tensor w = parameter(Tensor::full({400, 2}, 1.0));
  Tape tape;
  const Recording on(tape, 5);
  const Tensor y = sparse_linear(x, w, 2, 0.25);
  std::int64_t kept = 0, same = 0;
  for (std::size_t i = 0; i < 400; ++i) {
    for (std::size_t h = 0; h < 2; ++h) {
      const float value = y.values()[2 * i + h];
      EXPECT_TRUE(value == 0 || std::abs(value - 4.0f / 3) < 1e-4f) << value;
      kept += value != 0 ? 1 : 0;
    }
    same += (y.values()[2 * i] == 0) == (y.values()[2 * i + 1] == 0) ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(kept) / 800, .75, .05);
  EXPECT_NEAR(static_cast<double>(same) / 400, .75 * .75 + .25 * .25, .08);
}

TEST(SparseLinear, SameBitsForAnyNumberOfThreads) {
  const auto x = rows_of(500, 300);
  const Tensor w = parameter(random_tensor({300, 8}, 1));
  const auto run = [&](int threads) {
    const ThreadScope scope(threads);
    clear_gradient(w);
    Tape tape;
    Tensor y;
    {
      const Recording on(tape, 5);
      y = sparse_linear(x, w, 2, 0.5);
    }
    tape.backward(y, random_tensor(y.shape(), 7));
    return std::pair{y.clone(), gradient_of(w).clone()};
  };
  const auto [y1, d1] = run(1);
  const auto [y3, d3] = run(3);
  EXPECT_TRUE(std::ranges::equal(y1.values(), y3.values()));
  EXPECT_TRUE(std::ranges::equal(d1.values(), d3.values()));
}

TEST(SparseLinear, RefusesWhatDoesNotFit) {
  const auto x = rows_of(3, 5);
  EXPECT_THROW(sparse_linear(x, Tensor::zeros({4, 2})), Error);
  EXPECT_THROW(sparse_linear(x, Tensor::zeros({5, 3}), 2), Error);
}

}  // namespace
}  // namespace qkv

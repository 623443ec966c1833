#include "ops/op_table.h"

#include <cstring>

#include <gtest/gtest.h>

#include "qkv/autograd/check.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/parallel.h"

namespace qkv {
namespace {

using testing::OpRow;

std::vector<Tensor> random_inputs(const OpRow& row, DType type) {
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < row.inputs.size(); ++i) {
    Philox random(key_of(7, i));
    Tensor x = Tensor::empty(row.inputs[i], DType::f64);
    for (double& value : x.values<double>()) value = random.normal();
    inputs.push_back(x.to(type));
  }
  return inputs;
}

/// The value and all gradients, one after the other.
std::vector<Tensor> evaluate(const OpRow& row, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> x;
  for (const Tensor& input : inputs) x.push_back(parameter(input.clone()));
  Tape tape;
  Tensor y;
  {
    const Recording on(tape, 5);
    y = row.run(x);
  }
  Philox random(11);
  Tensor dy = Tensor::empty(y.shape(), y.dtype());
  for (float& value : dy.values()) value = static_cast<float>(random.normal());
  tape.backward(y, dy);
  std::vector<Tensor> results = {y};
  for (const Tensor& input : x) results.push_back(gradient_of(input));
  return results;
}

class EveryOp : public ::testing::TestWithParam<OpRow> {};

TEST_P(EveryOp, GradientsMatchFiniteDifferences) {
  const auto result = check_gradients(GetParam().run, random_inputs(GetParam(), DType::f64));
  EXPECT_LT(result.worst, 1e-7) << result.where;
}

TEST_P(EveryOp, FastFormEqualsDefinition) {
  const std::vector<Tensor> inputs = random_inputs(GetParam(), DType::f32);
  const bool poison = set_poison(true);
  const std::vector<Tensor> fast = evaluate(GetParam(), inputs);
  std::vector<Tensor> slow;
  {
    const DefinitionOnly definition;
    slow = evaluate(GetParam(), inputs);
  }
  set_poison(poison);
  ASSERT_EQ(fast.size(), slow.size());
  for (std::size_t i = 0; i < fast.size(); ++i) {
    ASSERT_TRUE(fast[i].defined()) << "no gradient for input " << i;
    for (std::int64_t j = 0; j < fast[i].count(); ++j) {
      const double a = static_cast<double>(fast[i].data()[j]);
      const double b = static_cast<double>(slow[i].data()[j]);
      ASSERT_LT(std::abs(a - b) / (1 + std::abs(b)), GetParam().tolerance)
          << "result " << i << " element " << j << ": " << a << " and " << b;
    }
  }
}

TEST_P(EveryOp, BitsDoNotDependOnThreads) {
  const std::vector<Tensor> inputs = random_inputs(GetParam(), DType::f32);
  const int before = threads();
  set_threads(1);
  const std::vector<Tensor> one = evaluate(GetParam(), inputs);
  set_threads(2);
  const std::vector<Tensor> two = evaluate(GetParam(), inputs);
  set_threads(before);
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(std::memcmp(one[i].data(), two[i].data(), sizeof(float) * one[i].values().size()), 0)
        << "result " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, EveryOp, ::testing::ValuesIn(testing::op_table()),
                         [](const auto& row) {
                           std::string name;
                           for (char c : row.param.name)
                             name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

TEST(Ops, ShapesAreChecked) {
  const Tensor x = Tensor::zeros({5, 3}), w = Tensor::zeros({4, 2});
  EXPECT_THROW((void)linear(x, w), ShapeError);
  EXPECT_THROW((void)add(x, w), ShapeError);
  EXPECT_THROW((void)embed(std::vector<std::int32_t>{4}, w), ShapeError);
  EXPECT_THROW((void)linear(x, w.to(DType::f64)), ShapeError);
  EXPECT_THROW((void)cross_entropy(x, Tensor::zeros({3, 4}), VocabularyMatrix::projection, {},
                                   std::vector<std::int32_t>{0, 1, 2, 3, 4}),
               ShapeError);
}

TEST(Ops, DropoutIsOffOutsideTraining) {
  const Tensor x = Tensor::full({100}, 1.0);
  const Tensor kept = dropout(x, 0.5);
  for (float value : kept.values()) EXPECT_EQ(value, 1.0f);
}

}  // namespace
}  // namespace qkv

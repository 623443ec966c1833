#include "qkv/ops/deviation.h"

#include <cmath>

#include <gtest/gtest.h>

#include "qkv/autograd/check.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

TEST(Deviations, AreWhatTheyAre) {
  const Tensor y = Tensor::of(std::vector<float>{1, -2, 3}, {3});
  const Tensor t = Tensor::of(std::vector<float>{0.5F, 1, 3}, {3});
  const Tensor d = deviations(y, t, 0);
  EXPECT_FLOAT_EQ(d.values()[0], 0.5F);
  EXPECT_FLOAT_EQ(d.values()[1], 3);
  EXPECT_FLOAT_EQ(d.values()[2], 0);
  EXPECT_FLOAT_EQ(deviations(y, t, 0.16).values()[2], 0.4F);
  EXPECT_THROW((void)deviations(y, Tensor::zeros({2}), 0), ShapeError);
}

TEST(Deviations, HaveNoSlopeWhereNothingDeviates) {
  Tensor y = parameter(Tensor::of(std::vector<float>{2, 1, 0}, {3}));
  const Tensor t = Tensor::of(std::vector<float>{1, 1, 1}, {3});
  Tape tape;
  Tensor loss;
  {
    const Recording on(tape, 1);
    loss = sum(deviations(y, t, 0));
  }
  tape.backward(loss);
  const Tensor g = gradient_of(y);
  EXPECT_FLOAT_EQ(g.values()[0], 1);
  EXPECT_FLOAT_EQ(g.values()[1], 0);
  EXPECT_FLOAT_EQ(g.values()[2], -1);
}

}  // namespace
}  // namespace qkv

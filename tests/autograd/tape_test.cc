#include "qkv/autograd/tape.h"

#include <gtest/gtest.h>

#include "qkv/autograd/check.h"

namespace qkv {
namespace {

Tensor doubled(const Tensor& x) {  // y = 2x, written with the interface for operations
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  for (std::int64_t i = 0; i < x.count(); ++i) y.data<double>()[i] = 2 * x.data<double>()[i];
  record(y, {&x}, [x](const Tensor& dy) {
    Tensor dx = gradient_sum(x);
    for (std::int64_t i = 0; i < x.count(); ++i) dx.data<double>()[i] += 2 * dy.data<double>()[i];
  });
  return y;
}

TEST(Tape, ChainsAndAccumulates) {
  const Tensor x = parameter(Tensor::full({1}, 3.0, DType::f64));
  for (int pass = 1; pass <= 2; ++pass) {
    Tape tape;
    Tensor y;
    {
      const Recording on(tape);
      y = doubled(doubled(x));
    }
    EXPECT_EQ(tape.size(), 2U);
    tape.backward(y);
    EXPECT_EQ(tape.size(), 0U);
    EXPECT_EQ(gradient_of(x).item(), 4.0 * pass) << "gradients add up until cleared";
  }
  clear_gradient(x);
  EXPECT_FALSE(gradient_of(x).defined());
}

TEST(Tape, RecordsOnlyWhatIsNeeded) {
  const Tensor constant = Tensor::full({1}, 3.0, DType::f64);
  const Tensor x = parameter(constant.clone());
  Tape tape;
  (void)doubled(x);
  {
    const Recording on(tape);
    (void)doubled(constant);
    const NoRecording off;
    (void)doubled(x);
  }
  EXPECT_EQ(tape.size(), 0U);
  EXPECT_THROW(tape.backward(constant), Error);
}

TEST(Tape, SharedContributionsStayApart) {
  const Tensor x = parameter(Tensor::full({2}, 1.0, DType::f64));
  Tape tape;
  Tensor a, b;
  {
    const Recording on(tape);
    a = doubled(x);
    b = Tensor::empty({2}, DType::f64);
    record(b, {&a}, [a](const Tensor& dy) {
      accumulate_shared(a, dy);
      accumulate_shared(a, dy);  // must add, not alias
    });
  }
  const Tensor dy = Tensor::full({2}, 1.0, DType::f64);
  tape.backward(b, dy);
  EXPECT_EQ(gradient_of(x).data<double>()[0], 4.0);
  EXPECT_EQ(dy.data<double>()[0], 1.0) << "the caller's gradient is untouched";
}

TEST(Tape, TransposedCopyFollowsTheParameter) {
  Tensor w = parameter(Tensor::of<float>(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3}));
  EXPECT_EQ(transposed_parameter(w).data()[1], 4);
  w.data()[3] = 9;
  EXPECT_EQ(transposed_parameter(w).data()[1], 4) << "kept until the change is announced";
  parameter_changed(w);
  EXPECT_EQ(transposed_parameter(w).data()[1], 9);
}

TEST(Tape, DropoutFollowsKeyAndOrder) {
  Tape tape;
  EXPECT_FALSE(draw_dropout(0.5).active()) << "no noise outside recording";
  Dropout first, second, again;
  {
    const Recording on(tape, 42);
    first = draw_dropout(0.5);
    second = draw_dropout(0.5);
  }
  {
    const Recording on(tape, 42);
    again = draw_dropout(0.5);
  }
  EXPECT_EQ(first.key0, again.key0);
  EXPECT_NE(first.key0, second.key0);
}

TEST(GradientCheck, FindsAWrongGradient) {
  const auto wrong = [](std::span<const Tensor> in) {
    const Tensor& x = in[0];
    Tensor y = Tensor::empty(x.shape(), x.dtype());
    for (std::int64_t i = 0; i < x.count(); ++i) y.data<double>()[i] = 2 * x.data<double>()[i];
    record(y, {&x}, [x](const Tensor& dy) { accumulate_shared(x, dy); });  // should be 2 dy
    return y;
  };
  const std::vector<Tensor> x = {Tensor::full({3}, 0.5, DType::f64)};
  EXPECT_GT(check_gradients(wrong, x).worst, 0.1);
  EXPECT_LT(check_gradients([](auto in) { return doubled(in[0]); }, x).worst, 1e-9);
}

}  // namespace
}  // namespace qkv

#include "qkv/nn/convolution.h"

#include <cstring>

#include "golden/fill.h"
#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/nn/linear.h"
#include "qkv/ops/sequence.h"

namespace qkv {
namespace {

using testing::random_tensor;

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() &&
         std::memcmp(a.data(), b.data(), sizeof(float) * a.values().size()) == 0;
}

TEST(Convolution, HasTheParametersOfItsKernel) {
  Initialiser init(1);
  EXPECT_EQ(parameter_count(Convolution::make(init, {.in = 3, .out = 8})), 27 * 8 + 8);
  const Convolution grouped =
      Convolution::make(init, {.in = 6, .out = 9, .size = 2, .groups = 3, .bias = false});
  EXPECT_EQ(parameter_count(grouped), 4 * 2 * 9);
  const Convolution time =
      Convolution::make(init, {.in = 40, .out = 64, .axes = ConvolutionAxes::time});
  EXPECT_EQ(parameter_count(time), 7744);  // the first of a clip's two (sound)
  EXPECT_THROW(Convolution::make(init, {.in = 3, .out = 8, .groups = 2}), ShapeError);
  EXPECT_THROW(Convolution::make(init, {.in = 3}), ShapeError);
}

TEST(Convolution, OneByOneIsLinear) {
  Initialiser init(1);
  const Convolution c = Convolution::make(init, {.in = 5, .out = 7, .size = 1, .pad = 0});
  const Tensor x = random_tensor({12, 5}, 1);
  EXPECT_TRUE(same_bits(c(x, Grids{{3, 4}}), linear(x, c.weight.reshaped({5, 7}), c.bias)));
}

TEST(Convolution, InTimeItIsWindowsTimesAMatrix) {
  Initialiser init(1);
  const Convolution c = Convolution::make(init, {.in = 4, .out = 6, .axes = ConvolutionAxes::time});
  const Segments segments({5, 0, 1, 7});
  const Tensor x = random_tensor({13, 4}, 1);
  EXPECT_TRUE(same_bits(c(x, Grids::lines(segments)),
                        linear(windows(x, segments, 1, 1), c.weight.reshaped({12, 6}), c.bias)));
}

TEST(Convolution, StridesRecomputeTheOffsets) {
  Initialiser init(1);
  const Convolution c =
      Convolution::make(init, {.in = 2, .out = 2, .stride = 2, .axes = ConvolutionAxes::time});
  const Grids halved = c.over(Grids::lines(Segments({5, 4, 1})));
  EXPECT_EQ(halved, Grids::lines(Segments({3, 2, 1})));
}

TEST(Convolution, IsReadAndWrittenInPyTorchsLayout) {
  Initialiser init(1, DType::f64);
  for (const auto axes : {ConvolutionAxes::picture, ConvolutionAxes::time}) {
    const Convolution c = Convolution::make(init, {.in = 2, .out = 3, .axes = axes});
    StateEntries entries;
    list_state(c, "conv.", entries);
    const StateDict state = read_state(entries);
    ASSERT_EQ(state[0].first, "conv.weight");
    const bool time = axes == ConvolutionAxes::time;
    ASSERT_EQ(state[0].second.shape(), time ? (Shape{3, 2, 3}) : (Shape{3, 2, 3, 3}));
    // Output 2, channel 1, the last entry.
    const std::int64_t taps = time ? 3 : 9;
    EXPECT_EQ(number(state[0].second, (2 * 2 + 1) * taps + taps - 1),
              number(c.weight, ((taps - 1) * 2 + 1) * 3 + 2));
    Initialiser other(2, DType::f64);
    const Convolution copy = Convolution::make(other, {.in = 2, .out = 3, .axes = axes});
    StateEntries to;
    list_state(copy, "conv.", to);
    write_state(to, state);
    EXPECT_EQ(testing::distance(copy.weight, c.weight), 0);
    EXPECT_EQ(testing::distance(copy.bias, c.bias), 0);
  }
}

}  // namespace
}  // namespace qkv

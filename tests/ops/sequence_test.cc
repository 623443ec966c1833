#include "qkv/ops/sequence.h"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

TEST(Sequence, WindowsEndWithTheirSequence) {
  const Tensor x = Tensor::of(std::vector<float>{1, 2, 3, 4, 5}, {5, 1});
  const Tensor y = windows(x, Segments({3, 0, 2}), 1, 1);
  ASSERT_EQ(y.shape(), (Shape{5, 3}));
  const std::vector<float> wanted{0, 1, 2, 1, 2, 3, 2, 3, 0, 0, 4, 5, 4, 5, 0};
  EXPECT_EQ(std::vector<float>(y.values().begin(), y.values().end()), wanted);
}

TEST(Sequence, AnEmptySequenceGivesZeros) {
  const Tensor x = Tensor::of(std::vector<float>{-1, -4, -3, -2}, {2, 2});
  const Segments segments({0, 2, 0});
  const Tensor mean = segment_mean(x, segments), most = segment_max(x, segments);
  EXPECT_EQ(std::vector<float>(mean.values().begin(), mean.values().end()),
            (std::vector<float>{0, 0, -2, -3, 0, 0}));
  EXPECT_EQ(std::vector<float>(most.values().begin(), most.values().end()),
            (std::vector<float>{0, 0, -1, -2, 0, 0}));
}

TEST(Sequence, TheMaximumKeepsANaN) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor y = segment_max(Tensor::of(std::vector<float>{1, nan, 7}, {3, 1}), Segments({3}));
  EXPECT_NE(y.data()[0], y.data()[0]);
}

TEST(Sequence, ShapesAreChecked) {
  const Tensor x = Tensor::zeros({3, 2});
  EXPECT_THROW((void)windows(x, Segments({4}), 1, 1), ShapeError);
  EXPECT_THROW((void)windows(x, Segments({3}), -1, 1), ShapeError);
  EXPECT_THROW((void)segment_mean(x, Segments({2})), ShapeError);
  EXPECT_THROW((void)segment_max(Tensor::zeros({3}), Segments({3})), ShapeError);
}

}  // namespace
}  // namespace qkv

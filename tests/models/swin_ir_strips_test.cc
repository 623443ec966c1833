#include "qkv/models/swin_ir_strips.h"

#include <cmath>

#include "models/picture_helpers.h"
#include <gtest/gtest.h>

namespace qkv {
namespace {

using testing::pictures_of;
using testing::same_bits;

SwinIr::Config small(SwinIrEnd end, std::int64_t scale) {
  SwinIr::Config c;
  c.width = 12;
  c.depths = {2, 3};
  c.heads = {2, 3};
  c.window = 4;
  c.end = end;
  c.scale = scale;
  return c;
}

struct Case {
  SwinIrEnd end;
  std::int64_t scale;
  SwinIrJoint joint = SwinIrJoint::one_conv;
  SwinIrResidual residual = SwinIrResidual::none;
};
const Case kCases[] = {
    {SwinIrEnd::pixel_shuffle_direct, 2},
    {SwinIrEnd::pixel_shuffle_direct, 3, SwinIrJoint::one_conv, SwinIrResidual::bicubic},
    {SwinIrEnd::pixel_shuffle, 3},
    {SwinIrEnd::pixel_shuffle, 4, SwinIrJoint::three_conv},
    {SwinIrEnd::nearest_conv, 4, SwinIrJoint::three_conv},
    {SwinIrEnd::none, 1},
};

SwinIr model_of(const Case& at) {
  SwinIr::Config c = small(at.end, at.scale);
  c.joint = at.joint;
  c.residual = at.residual;
  SwinIr m = SwinIr::make(3, c);
  for (Convolution& up : m.upsample) {  // else a fresh one is bicubic alone
    up.weight = testing::random_tensor(up.weight.shape(), 4);
  }
  return m;
}

TEST(SwinIrStrips, HaveTheBitsOfTheWholePicture) {
  // Whole windows, parts of one, less than one, one pixel, and shifted windows over many strips.
  const Grid grids[] = {{8, 8}, {21, 7}, {1, 2}};
  for (const Case& at : kCases) {
    const SwinIr m = model_of(at);
    for (const Grid& grid : grids) {
      const Tensor x = pictures_of(Grids{grid}, 3, 1);
      for (const auto padding : {SwinIrPadding::reflect, SwinIrPadding::flip}) {
        if (padding == SwinIrPadding::flip && &at != &kCases[0]) continue;
        const Tensor whole = m(x, Grids{grid}, padding);
        for (const std::int64_t rows : {1, 8}) {
          EXPECT_TRUE(same_bits(restore_pixels(m, x, grid, padding, rows), whole))
              << grid.rows << " × " << grid.cols << ", " << rows << " at once, scale " << at.scale;
        }
      }
    }
  }
}

TEST(SwinIrStrips, ThreadsChangeNoBit) {
  const SwinIr m = model_of(kCases[1]);
  const Grid grid{40, 23};
  const Tensor x = pictures_of(Grids{grid}, 3, 1);
  testing::expect_same_on_two_threads([&] { return restore_pixels(m, x, grid); });
}

TEST(SwinIrStrips, MemoryDoesNotGrowWithTheHeight) {
  const SwinIr m = model_of(kCases[0]);
  const auto peak = [&](std::int64_t rows) {
    std::int64_t most = 0, done = 0;
    run_in_strips(m, {rows, 16},
                  {.rows =
                       [](std::int64_t, std::int64_t count) {
                         return Tensor::zeros({count * 16, 3});
                       },
                   .take =
                       [&](std::int64_t first, const Tensor& y) {
                         EXPECT_EQ(first, done);
                         done += y.dim(0) / 32;
                         most = std::max(most, pool_statistics().bytes_in_use);
                       }},
                  SwinIrPadding::reflect, 4);
    EXPECT_EQ(done, 2 * rows);
    return most;
  };
  const std::int64_t low = peak(60);
  EXPECT_LE(peak(160), low + low / 10);
}

TEST(SwinIrStrips, RefuseAPictureWithoutAPixel) {
  EXPECT_THROW((void)restore_pixels(model_of(kCases[0]), Tensor::zeros({0, 3}), {0, 5}),
               ShapeError);
}

TEST(Windows, StripsAreThoseOfTheWholePicture) {
  for (const std::int64_t shift : {0, 2}) {
    const Windows whole = Windows::of(Grids{{12, 8}}, 4, shift);
    std::int64_t pairs = 0, first = 0;
    for (const std::int64_t rows : window_pieces(12, 4, shift)) {
      pairs += Windows::strip({12, 8}, 4, shift, first, first + rows).pairs();
      first += rows;
    }
    EXPECT_EQ(pairs, whole.pairs());
    EXPECT_THROW((void)Windows::strip({12, 8}, 4, shift, 1, 8), ShapeError);
  }
}

}  // namespace
}  // namespace qkv

#include "qkv/models/swin_ir.h"

#include <cmath>

#include "models/picture_helpers.h"
#include <gtest/gtest.h>

#include "qkv/ops/pixels.h"

namespace qkv {
namespace {

using testing::Fill;
using testing::filled_picture;
using testing::pictures_of;

SwinIr::Config tiny() {
  SwinIr::Config c;
  c.width = 12;
  c.depths = {2, 2};
  c.heads = {2, 2};
  c.window = 4;
  c.end = SwinIrEnd::pixel_shuffle_direct;
  return c;
}

SwinIr golden(const SwinIr::Config& c, DType type = DType::f64) {
  SwinIr m = SwinIr::make({1, type}, c);
  Fill fill(9);
  fill_state(state_entries(m), fill, 0.25, testing::is_norm_weight);
  return m;
}

/// Number of channel c at (y, x) of a picture of this width.
double at(const Tensor& x, std::int64_t c, std::int64_t row, std::int64_t col, std::int64_t width) {
  return number(x, (row * width + col) * x.dim(1) + c);
}

struct Wanted {
  Grid grid;
  SwinIrPadding padding;
  double first[4], last[4], middle, sum, squares;
};

TEST(SwinIr, Golden) {
  const Wanted cases[] = {{{10, 7},
                           SwinIrPadding::reflect,
                           {.022555, -.106581, -.382746, .845397},
                           {.127762, -.153446, -.562260, .379541},
                           .310295,
                           276.629770,
                           314.887278},
                          {{10, 7},
                           SwinIrPadding::flip,
                           {.022420, -.106596, -.383290, .845837},
                           {-.073324, .105099, -.343399, .773279},
                           .306875,
                           274.079294,
                           319.939247},
                          {{8, 8},
                           SwinIrPadding::reflect,
                           {.090258, .242756, -.211658, .817881},
                           {.249942, -.419068, .157704, -.125003},
                           .422076,
                           252.715961,
                           264.728609}};
  for (const DType type : {DType::f64, DType::f32}) {
    const SwinIr m = golden(tiny(), type);
    EXPECT_EQ(parameter_count(m), 11144);
    for (const Wanted& w : cases) {
      const Tensor x = filled_picture(10, 3, w.grid.rows, w.grid.cols, type);
      const Tensor y = m(x, Grids{w.grid}, w.padding);
      const Grid out = w.grid.times(2);
      ASSERT_EQ(y.shape(), (Shape{out.count(), 3}));
      for (std::int64_t i = 0; i < 4; ++i) {
        EXPECT_NEAR(at(y, 0, 0, i, out.cols), w.first[i], 1e-5) << i;
        EXPECT_NEAR(at(y, 2, out.rows - 1, out.cols - 4 + i, out.cols), w.last[i], 1e-5) << i;
      }
      EXPECT_NEAR(at(y, 1, w.grid.rows, w.grid.cols, out.cols), w.middle, 1e-5);
      double sum = 0, squares = 0;
      for (std::int64_t i = 0; i < y.count(); ++i) {
        sum += number(y, i);
        squares += number(y, i) * number(y, i);
      }
      EXPECT_NEAR(sum, w.sum, type == DType::f64 ? 2e-6 : 1e-3);
      EXPECT_NEAR(squares, w.squares, type == DType::f64 ? 2e-6 : 1e-3);
    }
  }
}

TEST(SwinIr, GoldenInside) {
  const SwinIr m = golden(tiny());
  const std::vector<Tensor> seen = m.first_group(filled_picture(10, 3, 8, 8), Grids{{8, 8}});
  ASSERT_EQ(seen.size(), 4u);
  const double conv[] = {-.197474, .072670, .063425, .106022};
  const double block0[] = {-2.293583, .869908, .441938, 1.422996};
  const double block1[] = {-2.340144, .973721, .537253, 1.403967};
  const double last[] = {-1.748689, 1.229667, -.362210, .922034};
  for (std::int64_t c = 0; c < 4; ++c) {
    EXPECT_NEAR(number(seen[0], c), conv[c], 1e-6);
    EXPECT_NEAR(number(seen[2], c), block0[c], 1e-6);
    EXPECT_NEAR(number(seen[3], c), block1[c], 1e-6);
    EXPECT_NEAR(number(seen[3], 63 * 12 + c), last[c], 1e-6);
  }
}

TEST(SwinIr, GoldenOfTheRealWorld) {
  SwinIr::Config c = tiny();
  c.scale = 4;
  c.end = SwinIrEnd::nearest_conv;
  c.joint = SwinIrJoint::three_conv;
  const SwinIr m = golden(c);
  EXPECT_EQ(parameter_count(m), 127428);
  const Tensor y = m(filled_picture(10, 3, 8, 8), Grids{{8, 8}});
  ASSERT_EQ(y.shape(), (Shape{1024, 3}));
  const double first[] = {.653539, .742889, .687650, .590490};
  double sum = 0, squares = 0;
  for (std::int64_t i = 0; i < 4; ++i) EXPECT_NEAR(at(y, 0, 0, i, 32), first[i], 1e-6);
  for (std::int64_t i = 0; i < y.count(); ++i) {
    sum += number(y, i);
    squares += number(y, i) * number(y, i);
  }
  EXPECT_NEAR(sum, 1910.566746, 1e-5);
  EXPECT_NEAR(squares, 1356.932566, 1e-5);
}

std::int64_t count(std::string_view name, std::int64_t scale) {
  return parameter_count(SwinIr::make(Initialiser::blank(), swin_ir_sizes(name, scale)));
}

TEST(SwinIr, CountsOfThePublishedModels) {
  EXPECT_EQ(count("classical", 2), 11752487);
  EXPECT_EQ(count("classical", 3), 11937127);
  EXPECT_EQ(count("classical", 4), 11900199);
  EXPECT_EQ(count("classical", 8), 12047911);
  EXPECT_EQ(count("lightweight", 2), 910152);
  EXPECT_EQ(count("lightweight", 3), 918267);
  EXPECT_EQ(count("lightweight", 4), 929628);
  EXPECT_EQ(count("real-m", 4), 11715559);
  EXPECT_EQ(count("denoise-colour", 1), 11504163);
  EXPECT_EQ(count("denoise-grey", 1), 11497681);
  EXPECT_EQ(count("jpeg-grey", 1), 11485585);
  EXPECT_EQ(count("jpeg-colour", 1), 11492067);
  EXPECT_THROW((void)swin_ir_sizes("real-m", 2), Error);
  EXPECT_THROW((void)swin_ir_sizes("classical", 5), Error);
  EXPECT_THROW((void)swin_ir_sizes("heavy", 2), Error);
}

TEST(SwinIr, CountOfTheLargeRealWorldModelByTheSameArithmetic) {
  // A layer: two norms, the table, qkv, proj, two products inside; then 3conv.
  const std::int64_t c = 240, layer = 2 * 2 * c + 225 * 8 + 3 * c * (c + 1) + c * (c + 1) +
                                      2 * c * (c + 1) + c * (2 * c + 1);
  const std::int64_t q = c / 4, joint = (9 * c + 1) * q + (q + 1) * q + (9 * q + 1) * c;
  const std::int64_t end = (9 * c + 1) * 64 + 3 * (9 * 64 + 1) * 64 + (9 * 64 + 1) * 3;
  EXPECT_EQ(count("real-l", 4),
            (27 + 1) * c + 2 * c + 9 * (6 * layer + joint) + 2 * c + joint + end);
}

TEST(SwinIr, CountOfTheSmallOne) {
  SwinIr::Config c = tiny();
  c.width = 32;
  c.depths = {4, 4};
  c.heads = {4, 4};
  c.window = 8;
  EXPECT_EQ(parameter_count(SwinIr::make(1, c)), 107788);
}

SwinIr::Config other_end(SwinIrEnd end, std::int64_t scale) {
  SwinIr::Config c = tiny();
  c.end = end;
  c.scale = scale;
  return c;
}

TEST(SwinIr, NeighboursAndThreadsChangeNoBit) {
  const Grids grids{{9, 5}, {8, 8}, {4, 13}, {1, 2}};
  for (const auto& [end, scale] :
       {std::pair{SwinIrEnd::pixel_shuffle, 3}, std::pair{SwinIrEnd::pixel_shuffle, 4},
        std::pair{SwinIrEnd::pixel_shuffle_direct, 2}, std::pair{SwinIrEnd::nearest_conv, 4},
        std::pair{SwinIrEnd::none, 1}}) {
    const SwinIr m = SwinIr::make(1, other_end(end, scale));
    const Tensor x = pictures_of(grids, 3, 1);
    for (const auto padding : {SwinIrPadding::reflect, SwinIrPadding::flip}) {
      const auto run = [&](const Tensor& pixels, const Grids& on) {
        return m(pixels, on, padding);
      };
      EXPECT_TRUE(testing::same_bits(run(x, grids), testing::one_by_one(x, grids, run)));
      testing::expect_same_on_two_threads([&] { return run(x, grids); });
    }
  }
}

TEST(SwinIr, BicubicIsWhatAFreshOneStartsFrom) {
  SwinIr::Config c = tiny();
  c.residual = SwinIrResidual::bicubic;
  const Grids grids{{9, 5}, {8, 8}};
  const Tensor x = pictures_of(grids, 3, 1);
  EXPECT_TRUE(testing::same_bits(SwinIr::make(1, c)(x, grids), enlarge_bicubic(x, grids, 2)));
}

// The matrix of the resizing that MATLAB does, not rounded.
TEST(SwinIr, BicubicIsThatOfMatlab) {
  const Tensor x = generated({48, 1}, DType::f64, [](std::int64_t p) {
    const std::int64_t i = p / 8, j = p % 8;
    return static_cast<double>((37 * i + 61 * j + 11 * i * j + 5 * i * i) % 256);
  });
  const Tensor y = enlarge_bicubic(x, Grids{{6, 8}}, 2);
  const double wanted[] = {-9.559570, 6.838135,   39.633545,  70.460938,
                           99.320312, 135.867188, 180.101562, 223.210938};
  for (std::int64_t i = 0; i < 8; ++i) EXPECT_NEAR(number(y, i), wanted[i], 1e-6);
}

TEST(SwinIr, Gradients) {
  const Grids grids{{3, 2}};  // the convolutions of 64 channels in double take their time
  const Tensor x = pictures_of(grids, 3, 1, DType::f64);
  for (const SwinIrEnd end : {SwinIrEnd::pixel_shuffle, SwinIrEnd::pixel_shuffle_direct,
                              SwinIrEnd::nearest_conv, SwinIrEnd::none}) {
    SwinIr::Config c = other_end(end, end == SwinIrEnd::none ? 1 : 2);
    c.depths = {2};
    c.heads = {2};
    c.drop_path = 0.4;
    c.joint = SwinIrJoint::three_conv;
    testing::check_module<SwinIr>(
        golden(c), [&](const SwinIr& m) { return m(x, grids); }, 1);
  }
}

TEST(SwinIr, ReadsThePublishedFiles) {
  const SwinIr m = golden(tiny());
  StateDict file;
  for (const auto& [name, tensor] : read_state(state_entries(m))) {
    file.emplace_back("params." + name, Tensor::zeros(tensor.shape(), tensor.dtype()));
    file.emplace_back("params_ema." + name, tensor);
  }
  file.emplace_back("params_ema.layers.0.residual_group.blocks.1.attn_mask", Tensor::zeros({4}));
  file.emplace_back("params_ema.layers.0.residual_group.blocks.0.attn.relative_position_index",
                    Tensor::zeros({4}));
  const SwinIr other = SwinIr::make({2, DType::f64}, tiny());
  write_state(state_entries(other), weights_of_swin_ir(file));
  const Tensor x = filled_picture(10, 3, 8, 8);
  testing::expect_near(m(x, Grids{{8, 8}}), other(x, Grids{{8, 8}}), 0);
  const StateDict names = read_state(state_entries(m));
  EXPECT_EQ(names[4].first, "layers.0.residual_group.blocks.0.norm1.weight");
  EXPECT_EQ(names[6].first, "layers.0.residual_group.blocks.0.attn.relative_position_bias_table");
  EXPECT_EQ(names.back().first, "upsample.0.bias");
}

TEST(SwinIr, WhatMakesNoModelIsRefusedByName) {
  for (const auto& change : std::vector<void (*)(SwinIr::Config&)>{
           [](SwinIr::Config& c) { c.heads = {2}; },
           [](SwinIr::Config& c) {
             c.heads = {2, 5};
           },
           [](SwinIr::Config& c) { c.window = 1; }, [](SwinIr::Config& c) { c.drop_path = 1; },
           [](SwinIr::Config& c) { c.end = SwinIrEnd::none; },
           [](SwinIr::Config& c) { c.range = 0; }}) {
    SwinIr::Config c = tiny();
    change(c);
    EXPECT_THROW((void)SwinIr::make(1, c), Error);
  }
  const SwinIr m = SwinIr::make(1, tiny());
  EXPECT_THROW((void)m(Tensor::zeros({0, 3}), Grids{{0, 4}}), ShapeError);
  EXPECT_THROW((void)m(Tensor::zeros({16, 1}), Grids{{4, 4}}), ShapeError);
}

}  // namespace
}  // namespace qkv

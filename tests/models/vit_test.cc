#include "qkv/models/vit.h"

#include "models/picture_helpers.h"
#include <gtest/gtest.h>

#include "qkv/attention/observer.h"
#include "qkv/nn/grid_positions.h"

namespace qkv {
namespace {

using testing::check_module;
using testing::Fill;
using testing::filled_picture;
using testing::is_norm_weight;
using testing::pictures_of;

Vit::Config tiny() {
  Vit::Config c;
  c.image = {8, 8};
  c.patch = 4;
  c.width = 12;
  c.layers = 2;
  c.heads = 3;
  c.feed_forward = 24;
  c.classes = 5;
  return c;
}

Vit golden(Vit::Config c = tiny(), DType type = DType::f64) {
  Vit m = Vit::make({1, type}, c);
  Fill fill(5);
  fill_state(state_entries(m), fill, 1.0, is_norm_weight);
  return m;
}

TEST(Vit, Golden) {
  for (const DType type : {DType::f64, DType::f32}) {
    const Vit m = golden(tiny(), type);
    EXPECT_EQ(parameter_count(m), 3317);
    const Tensor x = filled_picture(6, 3, 8, 8, type);
    const Grids grids{{8, 8}};
    const double tolerance = type == DType::f64 ? 1e-6 : 1e-5;
    const double row0[] = {.538985, 1.189514, -2.794401, .568052};
    const double row4[] = {-1.051882, .006568, -2.340027, -.144825};
    const Tensor rows = m.encode(x, grids).x;
    ASSERT_EQ(rows.shape(), (Shape{5, 12}));
    for (std::int64_t c = 0; c < 4; ++c) {
      EXPECT_NEAR(number(rows, c), row0[c], tolerance);
      EXPECT_NEAR(number(rows, 4 * 12 + c), row4[c], tolerance);
    }
    const double logits[] = {.721831, -2.185643, -1.165528, -1.499051, 1.658005};
    const Tensor y = m(x, grids);
    for (std::int64_t k = 0; k < 5; ++k) EXPECT_NEAR(number(y, k), logits[k], tolerance);
  }
}

TEST(Vit, GoldenFirstPatch) {
  const Vit m = golden();
  const Tensor patches = m.patches(filled_picture(6, 3, 8, 8), Grids{{8, 8}});
  const double wanted[] = {-.517679, -2.106991, .373057, -.453951};
  for (std::int64_t c = 0; c < 4; ++c) {
    EXPECT_NEAR(number(patches, c) + number(m.positions, 12 + c), wanted[c], 1e-6);
  }
}

TEST(Vit, CountsOfThePublishedSizes) {
  const auto count = [](std::string_view name) {
    return parameter_count(Vit::make(Initialiser::blank(), vit_sizes(name)));
  };
  EXPECT_EQ(count("ti/16"), 5717416);
  EXPECT_EQ(count("s/16"), 22050664);
  EXPECT_EQ(count("b/16"), 86567656);
  EXPECT_EQ(count("b/32"), 88224232);
  EXPECT_THROW(vit_sizes("b/8"), Error);
  Vit::Config c = vit_sizes("ti/16");
  c.classes = 0;
  EXPECT_EQ(parameter_count(Vit::make(Initialiser::blank(), c)), 5524416);
  c.classes = 1000;
  c.distilled = true;
  EXPECT_EQ(parameter_count(Vit::make(Initialiser::blank(), c)), 5910800);
}

TEST(Vit, CountsOfTheSmallOnes) {
  Vit::Config c;
  c.image = {28, 28};
  c.patch = 7;
  c.channels = 1;
  c.width = 64;
  c.layers = 4;
  c.heads = 4;
  c.feed_forward = 128;
  c.classes = 10;
  EXPECT_EQ(parameter_count(Vit::make(1, c)), 139018);
  c.image = {32, 32};
  c.patch = 4;
  c.channels = 3;
  EXPECT_EQ(parameter_count(Vit::make(1, c)), 142026);
}

TEST(Vit, NeighboursAndThreadsChangeNoBit) {
  for (const VitPooling pooling :
       {VitPooling::token, VitPooling::norm_mean, VitPooling::mean_then_norm}) {
    Vit::Config c = tiny();
    c.pooling = pooling;
    c.class_token = pooling != VitPooling::mean_then_norm;
    const Vit m = golden(c, DType::f32);
    const Grids grids{{8, 8}, {12, 4}, {8, 8}, {16, 20}};
    const Tensor x = pictures_of(grids, 3, 1);
    EXPECT_TRUE(testing::same_bits(m(x, grids), testing::one_by_one(x, grids, m)));
    testing::expect_same_on_two_threads([&] { return m(x, grids); });
  }
}

TEST(Vit, PositionsAreResizedWithTheirCornersAligned) {
  const Tensor table = Tensor::of(std::vector<double>{0, 1, 2, 3}, {4, 1});
  const double wanted[] = {0, .5, 1, 1, 1.5, 2, 2, 2.5, 3};
  const Tensor y = resized_positions(table, {2, 2}, {3, 3});
  for (std::int64_t i = 0; i < 9; ++i) EXPECT_DOUBLE_EQ(number(y, i), wanted[i]);
  EXPECT_EQ(number(resized_positions(table, {2, 2}, {1, 1}), 0), 0.0);
  EXPECT_THROW((void)resized_positions(table, {2, 3}, {3, 3}), ShapeError);
}

TEST(Vit, OtherSizesAreCutIntoWholePatches) {
  const Vit m = golden();
  const Tensor x = pictures_of(Grids{{8, 9}}, 3, 1, DType::f64);
  EXPECT_THROW((void)m(x, Grids{{8, 9}}), ShapeError);
  Vit::Config c = tiny();
  c.image = {8, 9};
  EXPECT_THROW((void)Vit::make(1, c), Error);
}

TEST(Vit, AFreshHeadSaysNothing) {
  const Vit m = Vit::make(1, tiny());
  const Tensor y = m(pictures_of(Grids{{8, 8}}, 3, 1), Grids{{8, 8}});
  for (const float v : y.values()) EXPECT_EQ(v, 0.0f);
}

TEST(Vit, ADistilledModelGivesTheMeanOfItsHeads) {
  Vit::Config c = tiny();
  c.distilled = true;
  const Vit m = golden(c);
  const Tensor x = filled_picture(6, 3, 8, 8);
  const Tensor mean = m(x, Grids{{8, 8}});
  Tape tape;
  const Recording on(tape);
  const Tensor both = m(x, Grids{{8, 8}});
  ASSERT_EQ(both.shape(), (Shape{2, 5}));
  for (std::int64_t k = 0; k < 5; ++k) {
    EXPECT_NEAR(number(mean, k), (number(both, k) + number(both, 5 + k)) / 2, 1e-12);
  }
}

TEST(Vit, Gradients) {
  const Grids grids{{8, 8}, {4, 8}};
  const Tensor x = pictures_of(grids, 3, 1, DType::f64);
  for (const VitPooling pooling : {VitPooling::token, VitPooling::mean_then_norm}) {
    Vit::Config c = tiny();
    c.pooling = pooling;
    c.layers = 1;
    check_module<Vit>(golden(c), [&](const Vit& m) { return m(x, grids); });
  }
}

TEST(Vit, ShowsItsAttention) {
  const Vit m = golden(tiny(), DType::f32);
  const Tensor x = pictures_of(Grids{{8, 8}}, 3, 1);
  const auto seen = attention_seen([&] { (void)m(x, Grids{{8, 8}}); });
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[1].path, "encoder.layers.1.self");
  EXPECT_EQ(seen[1].weights.shape(), (Shape{3, 5, 5}));
}

TEST(Vit, NamesOfTimm) {
  Vit::Config c = tiny();
  const StateDict state = read_state(state_entries(Vit::make(1, c)));
  EXPECT_EQ(state[0].first, "cls_token");
  EXPECT_EQ(state[1].first, "pos_embed");
  EXPECT_EQ(state[2].first, "patch_embed.proj.weight");
  EXPECT_EQ(state[2].second.shape(), (Shape{12, 3, 4, 4}));
  EXPECT_EQ(state[6].first, "blocks.0.attn.qkv.weight");
  EXPECT_EQ(state[6].second.shape(), (Shape{36, 12}));
  EXPECT_EQ(state.back().first, "head.bias");
}

}  // namespace
}  // namespace qkv

#include "qkv/models/mixer.h"

#include "models/picture_helpers.h"
#include <gtest/gtest.h>

namespace qkv {
namespace {

using testing::Fill;
using testing::filled_picture;
using testing::pictures_of;

Mixer::Config tiny() {
  Mixer::Config c;
  c.image = {8, 8};
  c.patch = 4;
  c.width = 6;
  c.layers = 2;
  c.token_width = 3;
  c.channel_width = 12;
  c.classes = 3;
  return c;
}

Mixer golden(Mixer::Config c = tiny(), DType type = DType::f64) {
  Mixer m = Mixer::make({1, type}, c);
  Fill fill(7);
  fill_state(state_entries(m), fill, 1.0, testing::is_norm_weight);
  return m;
}

TEST(Mixer, Golden) {
  for (const DType type : {DType::f64, DType::f32}) {
    const Mixer m = golden(tiny(), type);
    EXPECT_EQ(parameter_count(m), 761);
    const Tensor x = filled_picture(8, 3, 8, 8, type);
    const Grids grids{{8, 8}};
    const double tolerance = type == DType::f64 ? 1e-6 : 1e-5;
    const double stem[] = {.337522, -.255705, .748039, -1.038076, 1.202997, .141936};
    const double first[] = {.843902, -.516593, -.021225, -1.445547, 1.233697, .330245};
    const Tensor none = m.mixed(x, grids, 0), one = m.mixed(x, grids, 1);
    for (std::int64_t c = 0; c < 6; ++c) {
      EXPECT_NEAR(number(none, c), stem[c], tolerance);
      EXPECT_NEAR(number(one, c), first[c], tolerance);
    }
    const double logits[] = {.354034, -1.052396, .007155};
    const Tensor y = m(x, grids);
    for (std::int64_t k = 0; k < 3; ++k) EXPECT_NEAR(number(y, k), logits[k], tolerance);
  }
}

TEST(Mixer, GoldenWithTheOtherGelu) {
  Mixer::Config c = tiny();
  c.activation = Activation::gelu_tanh;
  const double logits[] = {.354066, -1.052514, .007145};
  const Tensor y = golden(c)(filled_picture(8, 3, 8, 8), Grids{{8, 8}});
  for (std::int64_t k = 0; k < 3; ++k) EXPECT_NEAR(number(y, k), logits[k], 1e-6);
}

TEST(Mixer, CountsOfThePublishedSizes) {
  struct Count {
    std::string_view name;
    std::int64_t whole, headless;
  };
  for (const Count& count :
       {Count{"s/32", 19104624, 18591624}, Count{"s/16", 18528264, 18015264},
        Count{"b/32", 60293428, 59524428}, Count{"b/16", 59880472, 59111472},
        Count{"l/32", 206939264, 205914264}, Count{"h/14", 432350952, 431069952}}) {
    Mixer::Config c = mixer_sizes(count.name);
    EXPECT_EQ(c.parameters(), count.whole) << count.name;
    c.classes = 0;
    EXPECT_EQ(c.parameters(), count.headless) << count.name;
  }
  // The formula is the model's.
  EXPECT_EQ(parameter_count(Mixer::make(Initialiser::blank(), mixer_sizes("s/16"))), 18528264);
  EXPECT_EQ(parameter_count(Mixer::make(Initialiser::blank(), mixer_sizes("b/32"))), 60293428);
  EXPECT_THROW(mixer_sizes("b/8"), Error);
}

TEST(Mixer, CountsOfTheSmallOnes) {
  Mixer::Config c;
  c.image = {28, 28};
  c.patch = 7;
  c.channels = 1;
  c.width = 64;
  c.layers = 6;
  c.token_width = 32;
  c.channel_width = 160;
  c.classes = 10;
  EXPECT_EQ(parameter_count(Mixer::make(1, c)), 136170);
  c.image = {32, 32};
  c.patch = 4;
  c.channels = 3;
  c.layers = 5;
  c.token_width = 64;
  EXPECT_EQ(parameter_count(Mixer::make(1, c)), 150314);
}

TEST(Mixer, ChannelsShareTheMixingOfTokens) {
  const Mixer m = golden();
  const Tensor x = testing::random_tensor({8, 6}, 1, DType::f64);
  const auto turned = [](const Tensor& from) {
    return generated(from.shape(), from.dtype(),
                     [&](std::int64_t i) { return number(from, i / 6 * 6 + (i % 6 + 2) % 6); });
  };
  testing::expect_near(mix_tokens(turned(x), 4, m.blocks[0].tokens),
                       turned(mix_tokens(x, 4, m.blocks[0].tokens)), 1e-15);
}

TEST(Mixer, NeighboursAndThreadsChangeNoBit) {
  const Mixer m = golden(tiny(), DType::f32);
  const Grids grids = Grids::of(3, {8, 8});
  const Tensor x = pictures_of(grids, 3, 1);
  EXPECT_TRUE(testing::same_bits(m(x, grids), testing::one_by_one(x, grids, m)));
  testing::expect_same_on_two_threads([&] { return m(x, grids); });
}

TEST(Mixer, ReadsPicturesOfOneSize) {
  const Mixer m = golden();
  EXPECT_THROW((void)m(pictures_of(Grids{{8, 12}}, 3, 1, DType::f64), Grids{{8, 12}}), ShapeError);
}

TEST(Mixer, Gradients) {
  const Grids grids = Grids::of(2, {8, 8});
  const Tensor x = pictures_of(grids, 3, 1, DType::f64);
  testing::check_module<Mixer>(golden(), [&](const Mixer& m) { return m(x, grids); });
}

}  // namespace
}  // namespace qkv

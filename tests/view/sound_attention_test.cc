#include "qkv/view/sound_attention.h"

#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

/// Eight frames of four bands, the third loud at the end; two symbols over four rows.
SoundAttention example() {
  SoundAttention s{.frames = Tensor::zeros({8, 4}), .seconds = 0.08, .highest = 4000};
  for (std::int64_t t = 4; t < 8; ++t) s.frames.data()[t * 4 + 2] = 2;
  s.maps.title = "hi </script>";
  s.maps.source = {"0.00", "0.02", "0.04", "0.06"};
  s.maps.target = s.maps.target_in = {"h", "i"};
  const std::vector<float> cross = {1, 0, 0, 0, 0, 0, 0.5F, 0.5F};
  s.maps.maps.push_back({.weights = Tensor::of(cross, {2, 4})});
  std::vector<float> self(16, 0.25F);
  self[6] = 0.75F;
  s.maps.maps.push_back(
      {.kind = AttentionMap::Kind::encoder_self, .weights = Tensor::of(self, {4, 4})});
  return s;
}

TEST(SoundAttention, SpectrogramAboveQueries) {
  const HeatMap map = sound_heat_map(example(), {.bands = 4});
  ASSERT_EQ(map.rows, (std::vector<std::string>{"4000 Hz", "", "", "0 Hz", "", "h", "i"}));
  ASSERT_EQ(map.columns.size(), 4U);
  EXPECT_EQ(map.at(1, 2), 1.0F);  // the third band from below, at the end
  EXPECT_EQ(map.at(1, 1), 0.0F);
  EXPECT_EQ(map.at(2, 2), 0.0F);
  EXPECT_EQ(map.at(5, 0), 1.0F);
  EXPECT_EQ(map.at(6, 3), 0.5F);
}

TEST(SoundAttention, OneMomentOfTheEncoder) {
  SoundLook look{.kind = AttentionMap::Kind::encoder_self, .at = 0.03, .bands = 2};
  const HeatMap map = sound_heat_map(example(), look);
  ASSERT_EQ(map.rows.size(), 4U);
  EXPECT_EQ(map.rows.back(), "0.02");
  EXPECT_EQ(map.at(3, 2), 1.0F);  // .75, the largest
  look.at = 0.08;
  EXPECT_THROW((void)sound_heat_map(example(), look), Error);
  look.kind = AttentionMap::Kind::cross;
  look.at = 0.01;
  EXPECT_THROW((void)sound_heat_map(example(), look), Error);
  EXPECT_THROW((void)sound_heat_map(example(), {.kind = AttentionMap::Kind::decoder_self}), Error);
}

TEST(SoundAttention, MomentsMerge) {
  const HeatMap map = sound_heat_map(example(), {.columns = 2, .bands = 4});
  ASSERT_EQ(map.columns.size(), 2U);
  EXPECT_EQ(map.at(6, 1), 1.0F);  // .5 + .5
  EXPECT_EQ(map.at(1, 1), 1.0F);
}

TEST(SoundAttention, PageHoldsTheDataSafely) {
  const std::string page = sound_page(example(), "a & b.wav");
  EXPECT_NE(page.find("<title>a &amp; b.wav</title>"), std::string::npos);
  EXPECT_EQ(page.find("hi </script>"), std::string::npos);
  EXPECT_NE(page.find("\"across\":8"), std::string::npos);
  EXPECT_EQ(page.find("{{"), std::string::npos);
  EXPECT_EQ(page.find("http"), page.find("http-equiv"));  // loads nothing
}

}  // namespace
}  // namespace qkv

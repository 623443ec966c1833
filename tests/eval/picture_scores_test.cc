// PSNR and SSIM against values computed elsewhere.
#include "qkv/eval/picture_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "media/fill.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/media/colour_planes.h"

namespace qkv {
namespace {

Picture of_pixels(std::vector<std::uint8_t> pixels, int height, int width) {
  return from_interleaved(pixels, 3, height, width);
}

struct Sample {
  Sample() {
    std::vector<std::uint8_t> x(768), y(768);
    Lcg first(3), second(4);
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<std::uint8_t>(256 * first.draw());
      const int off = static_cast<int>(21 * second.draw()) - 10;
      y[i] = static_cast<std::uint8_t>(std::clamp(x[i] + off, 0, 255));
    }
    a = of_pixels(x, 16, 16);
    b = of_pixels(y, 16, 16);
  }
  double psnr_of(ScoreChannel channel, int border) const {
    return psnr(score_planes(a, channel), score_planes(b, channel), border);
  }
  double ssim_of(ScoreChannel channel, int border) const {
    return ssim(score_planes(a, channel), score_planes(b, channel), border);
  }
  Picture a, b;
};

TEST(PictureScores, TheSampleIsTheOneOfTheReference) {
  const Sample s;
  EXPECT_EQ(std::accumulate(s.a.bytes.begin(), s.a.bytes.end(), 0), 96561);
  EXPECT_EQ(std::accumulate(s.b.bytes.begin(), s.b.bytes.end(), 0), 96675);
  EXPECT_EQ(s.a.at(0, 0, 0), 60);
  EXPECT_EQ(s.a.at(1, 0, 0), 140);
  EXPECT_EQ(s.a.at(2, 0, 0), 223);
}

TEST(PictureScores, KnownValues) {
  const Sample s;
  EXPECT_NEAR(s.psnr_of(ScoreChannel::rgb, 0), 32.434444, 1e-6);
  EXPECT_NEAR(s.psnr_of(ScoreChannel::y, 0), 37.327443, 1e-6);
  EXPECT_NEAR(s.ssim_of(ScoreChannel::y, 0), 0.997115, 1e-6);
  EXPECT_NEAR(s.psnr_of(ScoreChannel::rgb, 2), 32.244456, 1e-6);
  EXPECT_NEAR(s.psnr_of(ScoreChannel::y, 2), 36.961044, 1e-6);
  EXPECT_NEAR(s.ssim_of(ScoreChannel::y, 2), 0.997384, 1e-6);
  EXPECT_NEAR(s.ssim_of(ScoreChannel::rgb, 0), 0.996573, 1e-6);
}

TEST(PictureScores, LumaOfKnownColours) {
  const std::pair<std::vector<std::uint8_t>, double> kColours[] = {
      {{255, 255, 255}, 235}, {{255, 0, 0}, 81.481},     {{0, 255, 0}, 144.553},
      {{0, 0, 255}, 40.966},  {{18, 52, 86}, 55.256824}, {{200, 100, 50}, 122.665882}};
  for (const auto& [rgb, y] : kColours) {
    EXPECT_NEAR(luma_of(of_pixels(rgb, 1, 1)).values[0], y, 1e-6);
  }
  Picture grey(1, 1, 1);
  grey.bytes[0] = 255;
  EXPECT_NEAR(luma_of(grey).values[0], 235, 1e-9) << "as white";
}

TEST(PictureScores, EqualPicturesAreInfinitelyGood) {
  const Sample s;
  const ScorePlanes planes = score_planes(s.a, ScoreChannel::y);
  EXPECT_TRUE(std::isinf(psnr(planes, planes)));
  EXPECT_NEAR(ssim(planes, planes), 1, 1e-12);
  PictureReport report{.metric = "PSNR",
                       .protocol = "rgb",
                       .names = {"a"},
                       .scores = {std::numeric_limits<double>::infinity()}};
  EXPECT_NE(report.text().find("= inf"), std::string::npos) << report.text();
  EXPECT_TRUE(nlohmann::json::parse(report.json())["mean"].is_null());
}

TEST(PictureScores, WhatHasNone) {
  const auto planes = [](int height, int width) {
    return score_planes(Picture(1, height, width), ScoreChannel::y);
  };
  EXPECT_THROW(psnr(planes(4, 4), planes(4, 5)), ShapeError);
  EXPECT_THROW(psnr(planes(4, 4), planes(4, 4), 2), Error);
  EXPECT_THROW(ssim(planes(10, 20), planes(10, 20)), Error);
  EXPECT_NO_THROW(ssim(planes(11, 11), planes(11, 11)));
  EXPECT_THROW(ssim(planes(15, 15), planes(15, 15), 3), Error) << "nine pixels are left";
  EXPECT_THROW(bicubic_pair(Picture(3, 8, 8), 2, SrProtocol::y_float, ScoreChannel::rgb),
               UsageError);
  EXPECT_THROW(bicubic_pair(Picture(3, 8, 8), 9, SrProtocol::rgb, ScoreChannel::y), Error);
}

}  // namespace
}  // namespace qkv

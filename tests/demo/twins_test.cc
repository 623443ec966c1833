#include "demo/twins.h"

#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"

namespace qkv {
namespace {

Picture half_of(const Picture& p, int half) { return cropped(p, 0, 8 * half, 16, 8); }

/// Halves of two pictures beside each other.
Picture joined(const Picture& left, const Picture& right) {
  Picture p(1, 16, 16);
  for (int y = 0; y < 16; ++y) {
    for (int x = 0; x < 16; ++x) p.at(0, y, x) = x < 8 ? left.at(0, y, x) : right.at(0, y, x - 8);
  }
  return p;
}

TEST(Twins, KeepTheirRule) {
  const PictureSet set = twins(400, 5);
  const TwinReport report = count_twins(set.pictures);
  EXPECT_EQ(report.pictures, 400);
  EXPECT_EQ(report.recognised, 400);
  EXPECT_EQ(report.twins, 400);
  for (const std::int64_t n : report.shapes) EXPECT_EQ(n, 100);
  std::set<std::vector<std::uint8_t>> different;
  for (std::size_t n = 0; n < set.pictures.size(); ++n) {
    EXPECT_EQ(static_cast<int>(*twin_shape(set.pictures[n], 1)), set.labels[n]);
    different.insert(set.pictures[n].bytes);
  }
  EXPECT_GT(different.size(), 330u) << "of 400 · 20 places in either half";
  EXPECT_EQ(twins(400, 5).pictures, set.pictures);
  EXPECT_NE(twins(400, 6).pictures, set.pictures);
}

TEST(Twins, DifferentShapesAreNone) {
  const PictureSet set = twins(8, 1);
  const Picture mixed = joined(half_of(set.pictures[0], 0), half_of(set.pictures[1], 1));
  EXPECT_EQ(*twin_shape(mixed, 0), TwinShape::square);
  EXPECT_EQ(*twin_shape(mixed, 1), TwinShape::plus);
  const TwinReport report = count_twins(std::vector<Picture>{mixed, set.pictures[2]});
  EXPECT_EQ(report.recognised, 2);
  EXPECT_EQ(report.twins, 1);
  EXPECT_EQ(nlohmann::json::parse(report.json())["shapes"]["cross"], 1);
  EXPECT_NE(report.text().find("twins 50.0 % of 2 pictures"), std::string::npos) << report.text();
}

TEST(Twins, WhatIsNoShapeIsNotRecognised) {
  Picture p(1, 16, 16);
  EXPECT_FALSE(twin_shape(p, 0).has_value()) << "nothing at all";
  for (std::size_t i = 0; i < p.bytes.size(); ++i) {
    p.bytes[i] = static_cast<std::uint8_t>(i * 97 % 251);
  }
  EXPECT_FALSE(twin_shape(p, 0).has_value()) << "noise";
  // Correlation is blind to brightness and contrast.
  Picture faint = twins(1, 1).pictures[0];
  for (std::uint8_t& b : faint.bytes) b = static_cast<std::uint8_t>(100 + b / 10);
  EXPECT_EQ(*twin_shape(faint, 0), TwinShape::square);
  EXPECT_EQ(*twin_shape(rgb_of(faint), 1), TwinShape::square);
  EXPECT_THROW((void)twin_shape(Picture(1, 16, 8), 0), Error);
}

}  // namespace
}  // namespace qkv

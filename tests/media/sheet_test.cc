#include "qkv/media/sheet.h"

#include <vector>

#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

Picture plain(std::uint8_t value, int side = 2) {
  Picture p(1, side, side);
  for (std::uint8_t& b : p.bytes) b = value;
  return p;
}

TEST(PictureSheet, StandsRowByRowWithGaps) {
  const std::vector<Picture> three = {plain(1), plain(2), plain(3)};
  const Picture sheet = picture_sheet(three, {.columns = 2, .gap = 1, .zoom = 2});
  ASSERT_EQ(sheet.height, 1 + 2 * 5);
  ASSERT_EQ(sheet.width, 1 + 2 * 5);
  EXPECT_EQ(sheet.at(0, 0, 0), 255);
  EXPECT_EQ(sheet.at(0, 1, 1), 1);
  EXPECT_EQ(sheet.at(0, 4, 4), 1);
  EXPECT_EQ(sheet.at(0, 5, 5), 255);
  EXPECT_EQ(sheet.at(0, 1, 6), 2);
  EXPECT_EQ(sheet.at(0, 6, 1), 3);
  EXPECT_EQ(sheet.at(0, 6, 6), 255) << "a place that is left";
}

TEST(PictureSheet, IsAsWideAsItsPictures) {
  const std::vector<Picture> one = {plain(1)};
  EXPECT_EQ(picture_sheet(one, {.columns = 8, .gap = 0, .zoom = 1}), plain(1));
  EXPECT_EQ(picture_sheet(one, {.columns = 8, .gap = 0}).width, 48) << "small ones are enlarged";
}

TEST(PictureSheet, RefusesWhatDoesNotFit) {
  EXPECT_THROW((void)picture_sheet({}), Error);
  EXPECT_THROW((void)picture_sheet(std::vector<Picture>{plain(1), plain(1, 3)}), Error);
  EXPECT_THROW((void)picture_sheet(std::vector<Picture>{plain(1), Picture(3, 2, 2)}), Error);
  EXPECT_THROW((void)picture_sheet(std::vector<Picture>{plain(1)}, {.columns = 0}), Error);
  EXPECT_THROW((void)picture_sheet(std::vector<Picture>{plain(1)}, {.zoom = 1 << 16}), Error);
}

}  // namespace
}  // namespace qkv

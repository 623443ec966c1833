// Pixels and their planes, grey and RGB, EXIF's eight ways to hold a camera.
#include "qkv/media/picture.h"

#include "media/fill.h"
#include "media/picture_bytes.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/media/exif.h"

namespace qkv {
namespace {

using ::testing::ElementsAre;
using Bytes = std::vector<std::uint8_t>;

Picture six() {
  Picture picture(1, 2, 3);
  picture.bytes = {1, 2, 3, 4, 5, 6};
  return picture;
}

TEST(Picture, EightOrientations) {
  const std::pair<int, Bytes> kShown[] = {{1, {1, 2, 3, 4, 5, 6}}, {2, {3, 2, 1, 6, 5, 4}},
                                          {3, {6, 5, 4, 3, 2, 1}}, {4, {4, 5, 6, 1, 2, 3}},
                                          {5, {1, 4, 2, 5, 3, 6}}, {6, {4, 1, 5, 2, 6, 3}},
                                          {7, {6, 3, 5, 2, 4, 1}}, {8, {3, 6, 2, 5, 1, 4}},
                                          {0, {1, 2, 3, 4, 5, 6}}, {9, {1, 2, 3, 4, 5, 6}}};
  for (const auto& [orientation, shown] : kShown) {
    const Picture out = turned(six(), orientation);
    EXPECT_EQ(out.bytes, shown) << orientation;
    EXPECT_EQ(out.height, orientation >= 5 && orientation <= 8 ? 3 : 2) << orientation;
  }
}

TEST(Picture, InterleavedAndBack) {
  const Picture picture = noise_picture(5, 3, 4, 7);
  const Bytes pixels = interleaved(picture);
  EXPECT_EQ(pixels[4], picture.at(1, 0, 1));
  EXPECT_EQ(from_interleaved(pixels, 3, 4, 7), picture);
}

TEST(Picture, GreyAndRgb) {
  const Picture rgb = rgb_of(six());
  EXPECT_EQ(rgb.channels, 3);
  EXPECT_EQ(rgb.at(2, 1, 2), 6);
  EXPECT_EQ(grey_of(rgb), six());
  Picture colours(3, 1, 3);
  colours.bytes = {255, 0, 0, 0, 255, 0, 0, 0, 255};
  EXPECT_THAT(grey_of(colours).bytes, ElementsAre(76, 150, 29));
}

TEST(Picture, Cropped) {
  EXPECT_THAT(cropped(six(), 0, 1, 2, 2).bytes, ElementsAre(2, 3, 5, 6));
  EXPECT_THROW(cropped(six(), 1, 0, 2, 3), Error);
  EXPECT_THROW(cropped(six(), 0, 0, 0, 3), Error);
}

TEST(Picture, SizesBeyondTheLimits) {
  EXPECT_THROW(Picture(2, 1, 1), Error);
  EXPECT_THROW(Picture(1, 0, 1), Error);
  EXPECT_THROW(Picture(1, 1, 65537), Error);
  EXPECT_THROW(Picture(1, 65536, 65536), Error);
  EXPECT_THROW(check_picture_size("x", 4, 4, 15), DataError);
  EXPECT_NO_THROW(check_picture_size("x", 4, 4, 16));
}

TEST(Exif, BothByteOrdersAndEveryDamage) {
  for (const bool little : {false, true}) {
    for (int o = 1; o <= 8; ++o) EXPECT_EQ(exif_orientation(exif_block(little, o)), o);
    EXPECT_EQ(exif_orientation(exif_block(little, 9)), 1);
    EXPECT_EQ(exif_orientation(exif_block(little, 0)), 1);
    const std::string whole = exif_block(little, 6);
    for (std::size_t size = 0; size < 20; ++size) {
      EXPECT_EQ(exif_orientation(std::string_view(whole).substr(0, size)), 1) << size;
    }
    std::string far = whole;  // a directory beyond the end
    far[little ? 4 : 7] = '\x7F';
    EXPECT_EQ(exif_orientation(far), 1);
  }
  EXPECT_EQ(exif_orientation(""), 1);
  EXPECT_EQ(exif_orientation("II*"), 1);
}

}  // namespace
}  // namespace qkv

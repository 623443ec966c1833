// MATLAB's bicubic: taps as fractions, a small picture down and up, in bytes and in numbers.
#include "qkv/media/resize.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/threads.h"
#include "qkv/media/colour_planes.h"

namespace qkv {
namespace {

using ::testing::ElementsAre;
using Numbers = std::vector<double>;

Picture pattern() {
  Picture a(1, 6, 8);
  for (int i = 0; i < 6; ++i) {
    for (int j = 0; j < 8; ++j) {
      a.at(0, i, j) = static_cast<std::uint8_t>((37 * i + 61 * j + 11 * i * j + 5 * i * i) % 256);
    }
  }
  return a;
}

/// The weights of a place far from the border, in the order of its places.
void expect_taps(double scale, int place, const Numbers& right) {
  const Taps taps =
      bicubic_taps(40, scaled_size(40, scale), scale)[static_cast<std::size_t>(place)];
  Numbers weights;  // without the zeros between and around
  for (const double w : right) {
    if (w != 0) weights.push_back(w);
  }
  ASSERT_EQ(taps.weights.size(), weights.size()) << scale;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    EXPECT_NEAR(taps.weights[i], weights[i], 1e-15) << scale << " tap " << i;
  }
}

TEST(Resize, TapsAreTheseFractions) {
  const auto over = [](Numbers x, double by) {
    for (double& v : x) v /= by;
    return x;
  };
  expect_taps(1.0 / 2, 10, over({-3, -9, 29, 111, 111, 29, -9, -3}, 256));
  expect_taps(1.0 / 3, 6, over({-1, -2, 0, 9, 21, 27, 21, 9, 0, -2, -1}, 81));
  expect_taps(
      1.0 / 4, 5,
      over({-7, -45, -75, -49, 93, 399, 745, 987, 987, 745, 399, 93, -49, -75, -45, -7}, 4096));
  expect_taps(2, 40, over({-3, 29, 111, -9}, 128));
  expect_taps(2, 41, over({-9, 111, 29, -3}, 128));
  expect_taps(3, 61, {1});
}

TEST(Resize, BordersMirrorWithTheEdgeRepeated) {
  EXPECT_THAT(bicubic_taps(4, 8, 2)[0].places, ElementsAre(1, 0, 0, 1));
  EXPECT_THAT(bicubic_taps(1, 2, 2)[1].places, ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(bicubic_taps(2, 1, 0.5)[0].places, ElementsAre(1, 1, 0, 0, 1, 1, 0, 0))
      << "the period is twice the size";
}

TEST(Resize, HalfInNumbersAndInBytes) {
  const Plane half = resize_bicubic(plane_of(pattern(), 0), 0.5);
  const Numbers right = {52.711960,  127.404984, 139.028610, 127.034134, 155.462891, 95.755859,
                         143.837891, 129.255859, 134.092728, 95.977829,  115.494827, 156.942429};
  ASSERT_EQ(half.height, 3);
  for (std::size_t i = 0; i < right.size(); ++i) EXPECT_NEAR(half.values[i], right[i], 1e-6) << i;
  EXPECT_THAT(resize_bicubic(pattern(), 0.5).bytes,
              ElementsAre(53, 127, 139, 127, 155, 96, 144, 129, 134, 96, 116, 157))
      << "rounded after each direction: one rounding would give 115";
}

TEST(Resize, TwiceInNumbersAndInBytes) {
  const Plane twice = resize_bicubic(plane_of(pattern(), 0), 2);
  const Numbers right = {-9.559570, 6.838135,   39.633545,  70.460938,
                         99.320312, 135.867188, 180.101562, 223.210938};
  for (std::size_t i = 0; i < right.size(); ++i) EXPECT_NEAR(twice.values[i], right[i], 1e-6) << i;
  const Picture bytes = resize_bicubic(pattern(), 2);
  EXPECT_THAT(std::vector<int>(bytes.bytes.begin(), bytes.bytes.begin() + 16),
              ElementsAre(0, 10, 40, 70, 99, 136, 180, 222, 255, 214, 81, 35, 77, 121, 168, 192));
}

TEST(Resize, Sizes) {
  EXPECT_EQ(scaled_size(255, 1.0 / 3), 85);
  EXPECT_EQ(scaled_size(256, 1.0 / 3), 86);
  EXPECT_EQ(scaled_size(10, 0.1), 1);
  EXPECT_EQ(scaled_size(10, 0.3), 3);
  EXPECT_THROW(scaled_size(70000, 1), Error);
  EXPECT_THROW(scaled_size(5, 0), Error);
  EXPECT_THROW(scaled_size(5, std::nan("")), Error);
  EXPECT_THROW(resize_bicubic(pattern(), 0, 5), Error);
  EXPECT_EQ(cropped_to_multiple(pattern(), 4).height, 4);
  EXPECT_THROW(cropped_to_multiple(pattern(), 7), Error);
}

// Two scales: the smaller direction first, so that turning the picture turns the result.
TEST(Resize, TurnedInTurnedOut) {
  const Picture a = resize_bicubic(turned(pattern(), 5), 16, 3);
  EXPECT_EQ(turned(a, 5), resize_bicubic(pattern(), 3, 16));
  EXPECT_EQ(resize_bicubic(pattern(), 6, 8), pattern());
}

TEST(Resize, AConstantStaysOne) {
  Picture flat(3, 5, 9);
  std::ranges::fill(flat.bytes, std::uint8_t{77});
  for (const double scale : {0.3, 0.5, 1.7, 3.0}) {
    for (const std::uint8_t byte : resize_bicubic(flat, scale).bytes) EXPECT_EQ(byte, 77);
  }
}

}  // namespace
}  // namespace qkv

#include "qkv/nn/positions.h"

#include <cmath>
#include <vector>

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

namespace qkv {
namespace {

void expect_row(const Tensor& table, std::int64_t row, const std::vector<double>& wanted,
                double tolerance = 1e-6) {
  ASSERT_EQ(table.dim(1), std::ssize(wanted));
  const Tensor t = table.to(DType::f64);
  for (std::size_t c = 0; c < wanted.size(); ++c) {
    const double got = t.data<double>()[row * table.dim(1) + static_cast<std::int64_t>(c)];
    EXPECT_NEAR(got, wanted[c], tolerance) << "row " << row << ", column " << c;
  }
}

TEST(Sinusoid, PublishedValues) {
  const Tensor four = sinusoid(3, 4);
  expect_row(four, 0, {0, 1, 0, 1});
  expect_row(four, 1, {.841471, .5403023, .0099998, .99995});
  expect_row(four, 2, {.9092974, -.4161468, .0199987, .9998});
  const Tensor eight = sinusoid(3, 8);
  expect_row(eight, 0, {0, 1, 0, 1, 0, 1, 0, 1});
  expect_row(eight, 1, {.841471, .5403023, .0998334, .9950042, .0099998, .99995, .001, .9999995});
  expect_row(eight, 2, {.9092974, -.4161468, .1986693, .9800666, .0199987, .9998, .002, .999998});
}

TEST(Sinusoid, LegacySlipOfTheExponent) {
  expect_row(sinusoid(2, 4, Sinusoid::legacy), 1, {.841471, .99995, .0001, 1.0});
}

TEST(Sinusoid, BlocksOfSinesAndCosines) {
  const Tensor t = sinusoid(3, 6, Sinusoid::blocks);
  expect_row(t, 0, {0, 0, 0, 1, 1, 1});
  // Frequencies 1, 10000^{−1/2}, 10000^{−1}.
  for (int p = 1; p < 3; ++p) {
    expect_row(t, p,
               {std::sin(p), std::sin(p * 1e-2), std::sin(p * 1e-4), std::cos(p),
                std::cos(p * 1e-2), std::cos(p * 1e-4)});
  }
  expect_row(sinusoid(2, 2, Sinusoid::blocks), 1, {.841471, .5403023});
  // fairseq counts from padding_idx + 1 = 2.
  expect_row(sinusoid(2, 4, Sinusoid::blocks, 2), 0,
             {std::sin(2.0), std::sin(2e-4), std::cos(2.0), std::cos(2e-4)});
}

TEST(Sinusoid, HalvesAreInterleavedInAnotherOrder) {
  for (const std::int64_t width : {1, 2, 5, 6, 12}) {
    const Tensor mixed = sinusoid(9, width), t = sinusoid(9, width, Sinusoid::halves);
    const std::int64_t sines = (width + 1) / 2;
    for (std::int64_t p = 0; p < 9; ++p) {
      for (std::int64_t c = 0; c < width; ++c) {
        const std::int64_t to = c % 2 == 0 ? c / 2 : sines + c / 2;
        EXPECT_EQ(t.data()[p * width + to], mixed.data()[p * width + c]) << width << " " << c;
      }
    }
  }
  // Marian itself has other frequencies in the same places.
  EXPECT_GT(testing::distance(sinusoid(9, 12, Sinusoid::halves), sinusoid(9, 12, Sinusoid::blocks)),
            0.1);
}

TEST(Places, CountInEverySequence) {
  using Rows = std::vector<std::int32_t>;
  EXPECT_EQ(places(Segments({2, 0, 3})), (Rows{0, 1, 0, 1, 2}));
  EXPECT_EQ(places(Segments({2, 0, 3}), 2), (Rows{2, 3, 2, 3, 4}));
  EXPECT_EQ(places(Segments({})), Rows{});
}

TEST(Sinusoid, OddWidthsDropTheLastCosine) {
  // Frequencies of width 5: 1, 10000^{−2/5}, 10000^{−4/5}.
  const double second = std::pow(10000.0, -0.4), third = std::pow(10000.0, -0.8);
  expect_row(sinusoid(2, 5), 1,
             {std::sin(1.0), std::cos(1.0), std::sin(second), std::cos(second), std::sin(third)});
  expect_row(sinusoid(2, 1), 1, {.841471});
  expect_row(sinusoid(2, 5, Sinusoid::blocks), 1,
             {std::sin(1.0), std::sin(1e-4), std::cos(1.0), std::cos(1e-4), 0.0});
}

TEST(Sinusoid, OffsetGivesTheSameRows) {
  for (const Sinusoid form :
       {Sinusoid::interleaved, Sinusoid::blocks, Sinusoid::halves, Sinusoid::legacy}) {
    const Tensor whole = sinusoid(50, 12, form);
    const Tensor part = sinusoid(7, 12, form, 31);
    EXPECT_EQ(testing::distance(whole.rows(31, 38), part), 0.0);
  }
}

TEST(Sinusoid, PreciseFarOut) {
  const std::int64_t width = 512;
  const Tensor t = sinusoid(5000, width);
  for (const std::int64_t p : {1L, 999L, 4999L}) {
    for (std::int64_t c = 0; c < width; ++c) {
      const double angle =
          static_cast<double>(p) *
          std::pow(10000.0, -static_cast<double>(c - c % 2) / static_cast<double>(width));
      const double wanted = c % 2 == 0 ? std::sin(angle) : std::cos(angle);
      ASSERT_NEAR(static_cast<double>(t.data()[p * width + c]), wanted, 1e-7)
          << "p " << p << ", c " << c;
    }
  }
}

TEST(Sinusoid, AStepIsARotation) {
  const std::int64_t width = 8, step = 37;
  const Tensor t = sinusoid(4000, width, Sinusoid::interleaved, 0, DType::f64);
  for (std::int64_t c = 0; c < width; c += 2) {
    const double angle = static_cast<double>(step) *
                         std::pow(10000.0, -static_cast<double>(c) / static_cast<double>(width));
    for (const std::int64_t p : {0L, 1L, 500L, 3900L}) {
      const double* from = t.data<double>() + p * width + c;
      const double* to = from + step * width;
      EXPECT_NEAR(to[0], std::cos(angle) * from[0] + std::sin(angle) * from[1], 1e-9);
      EXPECT_NEAR(to[1], std::cos(angle) * from[1] - std::sin(angle) * from[0], 1e-9);
    }
  }
}

TEST(Sinusoid, EmptyTables) {
  EXPECT_EQ(sinusoid(0, 4).shape(), (Shape{0, 4}));
  EXPECT_EQ(sinusoid(4, 0).shape(), (Shape{4, 0}));
}

}  // namespace
}  // namespace qkv

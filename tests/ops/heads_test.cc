#include "qkv/ops/heads.h"

#include <cmath>
#include <limits>
#include <numeric>

#include <gtest/gtest.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/norm.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

Tensor normal(const Shape& shape, std::uint64_t seed, DType type = DType::f32) {
  Philox random(seed);
  Tensor x = Tensor::empty(shape, DType::f64);
  for (double& value : x.values<double>()) value = random.normal();
  return x.to(type);
}

double dot(const Tensor& a, std::int64_t i, const Tensor& b, std::int64_t j) {
  double sum = 0;
  for (std::int64_t c = 0; c < a.dim(-1); ++c) {
    sum += a.data<double>()[i * a.dim(-1) + c] * b.data<double>()[j * b.dim(-1) + c];
  }
  return sum;
}

TEST(UnitRows, HaveLengthOneWhateverTheirSize) {
  for (const float size : {1e-30f, 1e-22f, 1.0f, 1e19f, 1e37f}) {
    Tensor x = normal({3, 20}, 1);
    for (float& value : x.values()) value *= size;
    const Tensor y = unit_rows(x, 1e-45).to(DType::f64);
    for (std::int64_t i = 0; i < 3; ++i) EXPECT_NEAR(dot(y, i, y, i), 1.0, 1e-5) << size;
  }
}

TEST(UnitRows, ZeroStaysZeroAndNanIsNotHidden) {
  Tensor start = normal({3, 5}, 1);
  for (std::int64_t c = 0; c < 5; ++c) start.data()[5 + c] = 0.0f;
  start.data()[12] = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = parameter(start);
  Tape tape;
  Tensor y;
  {
    const Recording on(tape);
    y = unit_rows(x);
  }
  tape.backward(y, Tensor::full({3, 5}, 1.0));
  const Tensor dx = gradient_of(x);
  for (std::int64_t c = 0; c < 5; ++c) {
    EXPECT_EQ(y.data()[5 + c], 0.0f);
    EXPECT_EQ(dx.data()[5 + c], 0.0f);
    EXPECT_TRUE(std::isfinite(dx.data()[c]));
    EXPECT_TRUE(std::isnan(y.data()[10 + c]));
  }
}

TEST(RmsNorm, IsLayerNormOfRowsWithoutMean) {
  Tensor x = normal({4, 6}, 1);
  for (std::int64_t i = 0; i < 4; ++i) {  // mirrored: the mean is 0
    for (std::int64_t c = 0; c < 3; ++c) x.data()[i * 6 + 3 + c] = -x.data()[i * 6 + c];
  }
  const Tensor gamma = normal({6}, 2);
  const Tensor a = rms_norm(x, gamma, 1e-5), b = layer_norm(x, gamma, {}, 1e-5);
  for (std::int64_t i = 0; i < a.count(); ++i) EXPECT_NEAR(a.data()[i], b.data()[i], 1e-5);
}

TEST(ProjectHeads, IsAProductForEachHead) {
  const Tensor x = normal({5, 3, 4}, 1), w = normal({3, 4, 2}, 2);
  const Tensor y = project_heads(x, w);
  ASSERT_EQ(y.shape(), (Shape{5, 3, 2}));
  for (std::int64_t h = 0; h < 3; ++h) {
    std::vector<std::int64_t> rows;
    for (std::int64_t t = 0; t < 5; ++t) rows.push_back(t * 3 + h);
    const Tensor head = select_rows(x.reshaped({15, 4}), rows);
    const Tensor want = matmul(head, w.rows(h, h + 1).reshaped({4, 2}));
    for (std::int64_t t = 0; t < 5; ++t) {
      for (std::int64_t e = 0; e < 2; ++e) {
        EXPECT_NEAR(y.data()[(t * 3 + h) * 2 + e], want.data()[t * 2 + e], 1e-6);
      }
    }
  }
}

TEST(Clamp, KeepsTheBoundsAndNan) {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor x = parameter(Tensor::of(
      std::vector<float>{-inf, -2, -1, 0, 1, 2, inf, std::numeric_limits<float>::quiet_NaN()},
      {8}));
  Tape tape;
  Tensor y;
  {
    const Recording on(tape);
    y = clamp(x, -1, 1);
  }
  tape.backward(y, Tensor::full({8}, 1.0));
  const std::vector<float> want = {-1, -1, -1, 0, 1, 1, 1}, slope = {0, 0, 1, 1, 1, 0, 0};
  for (std::size_t i = 0; i < 7; ++i) {
    EXPECT_EQ(y.data()[i], want[i]);
    EXPECT_EQ(gradient_of(x).data()[i], slope[i]);
  }
  EXPECT_TRUE(std::isnan(y.data()[7]));
  EXPECT_THROW((void)clamp(x, 1, -1), ShapeError);
}

// Su et al. 2021: ⟨R_m q, R_n k⟩ = ⟨q, R_{n−m} k⟩.
TEST(Rotary, ProductsDependOnTheDistanceAlone) {
  const Tensor q = normal({1, 1, 12}, 1, DType::f64), k = normal({1, 1, 12}, 2, DType::f64);
  using Places = std::vector<std::int32_t>;
  for (const bool interleaved : {false, true}) {
    for (const std::int64_t dims : {0, 8}) {
      const RotaryOptions o{.dims = dims, .interleaved = interleaved};
      const auto at = [&](const Tensor& x, std::int32_t p) { return rotary(x, Places{p}, o); };
      for (const std::int32_t distance : {0, 1, 5, 100}) {
        const double want = dot(at(q, 0), 0, at(k, distance), 0);
        for (const std::int32_t m : {1, 17, 3000}) {
          EXPECT_NEAR(dot(at(q, m), 0, at(k, m + distance), 0), want, 1e-9);
        }
        if (distance > 0) {
          EXPECT_GT(std::abs(want - dot(q, 0, k, 0)), 1e-6);
        }
      }
      const Tensor there = at(q, 9), back = rotary(there, Places{-9}, o);
      for (std::int64_t c = 0; c < 12; ++c) {
        EXPECT_NEAR(back.data<double>()[c], q.data<double>()[c], 1e-12);
        if (dims == 8 && c >= 8) {
          EXPECT_EQ(there.data<double>()[c], q.data<double>()[c]);
        }
      }
    }
  }
}

TEST(Rotary, BandsStretchLongWavesAlone) {
  const RotaryBands bands{.factor = 8, .low = 1, .high = 4, .original = 8192};
  const auto plain = rotary_frequencies(64, {.base = 500000});
  const auto slow = rotary_frequencies(64, {.base = 500000, .bands = bands});
  int kept = 0, mixed = 0, stretched = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const double wave = 2 * 3.141592653589793 / plain[i];  // positions of a whole turn
    if (wave < 8192.0 / 4) {
      EXPECT_EQ(slow[i], plain[i]);
      ++kept;
    } else if (wave > 8192.0) {
      EXPECT_DOUBLE_EQ(slow[i], plain[i] / 8);
      ++stretched;
    } else {
      EXPECT_LT(slow[i], plain[i]);
      EXPECT_GT(slow[i], plain[i] / 8);
      ++mixed;
    }
    if (i > 0) {
      EXPECT_LT(slow[i], slow[i - 1]);
    }
  }
  EXPECT_GT(kept, 20);
  EXPECT_GT(mixed, 4);
  EXPECT_GT(stretched, 20);
  // A scale is one of the positions, whatever the bands.
  const auto both = rotary_frequencies(64, {.base = 500000, .scale = 0.25, .bands = bands});
  for (std::size_t i = 0; i < both.size(); ++i) EXPECT_DOUBLE_EQ(both[i], slow[i] / 4);
}

TEST(Rotary, OptionsWithoutMeaningAreRefused) {
  const Tensor x = normal({1, 1, 4}, 1);
  const std::vector<std::int32_t> at = {0};
  for (const RotaryBands& bad :
       {RotaryBands{.factor = 0}, RotaryBands{.low = 4, .high = 4}, RotaryBands{.low = -1},
        RotaryBands{.original = 0}, RotaryBands{.factor = std::nan("")}}) {
    EXPECT_THROW((void)rotary(x, at, {.bands = bad}), ShapeError);
  }
  EXPECT_THROW((void)rotary(x, at, {.base = 0}), ShapeError);
  EXPECT_THROW((void)rotary(x, at, {.base = std::nan("")}), ShapeError);
}

TEST(Rotary, TurnsPairsByTheirOwnFrequency) {
  const Tensor x = Tensor::of(std::vector<double>{1, 2, 3, 4}, {1, 1, 4});
  const std::vector<std::int32_t> at = {3};
  const double f0 = 3.0, f1 = 3.0 / 100.0;  // base^(−2/4) = 1/100
  const auto halves = rotary(x, at).to(DType::f64);
  EXPECT_NEAR(halves.data<double>()[0], std::cos(f0) - 3 * std::sin(f0), 1e-12);
  EXPECT_NEAR(halves.data<double>()[1], 2 * std::cos(f1) - 4 * std::sin(f1), 1e-12);
  EXPECT_NEAR(halves.data<double>()[2], 3 * std::cos(f0) + std::sin(f0), 1e-12);
  EXPECT_NEAR(halves.data<double>()[3], 4 * std::cos(f1) + 2 * std::sin(f1), 1e-12);
  const auto pairs = rotary(x, at, {.interleaved = true});
  EXPECT_NEAR(pairs.data<double>()[0], std::cos(f0) - 2 * std::sin(f0), 1e-12);
  EXPECT_NEAR(pairs.data<double>()[1], 2 * std::cos(f0) + std::sin(f0), 1e-12);
  EXPECT_NEAR(pairs.data<double>()[3], 4 * std::cos(f1) + 3 * std::sin(f1), 1e-12);
  const auto squeezed = rotary(x, std::vector<std::int32_t>{12}, {.scale = 0.25});
  for (std::int64_t c = 0; c < 4; ++c) {
    EXPECT_EQ(squeezed.data<double>()[c], halves.data<double>()[c]);
  }
}

TEST(Heads, ShapesAreChecked) {
  const Tensor x = Tensor::zeros({5, 3, 4});
  const std::vector<std::int32_t> five(5), four(4);
  EXPECT_THROW((void)unit_rows(Tensor::zeros({})), ShapeError);
  EXPECT_THROW((void)rms_norm(x, Tensor::zeros({3})), ShapeError);
  EXPECT_THROW((void)project_heads(x, Tensor::zeros({3, 4})), ShapeError);
  EXPECT_THROW((void)project_heads(x, Tensor::zeros({2, 4, 4})), ShapeError);
  EXPECT_THROW((void)rotary(x, four), ShapeError);
  EXPECT_THROW((void)rotary(x, five, {.dims = 3}), ShapeError);
  EXPECT_THROW((void)rotary(x, five, {.dims = 6}), ShapeError);
  EXPECT_EQ(rotary(Tensor::zeros({0, 3, 4}), std::vector<std::int32_t>{}).shape(),
            (Shape{0, 3, 4}));
  EXPECT_EQ(project_heads(Tensor::zeros({0, 3, 4}), Tensor::zeros({3, 4, 2})).shape(),
            (Shape{0, 3, 2}));
  EXPECT_EQ(unit_rows(Tensor::zeros({4, 0})).shape(), (Shape{4, 0}));
}

}  // namespace
}  // namespace qkv

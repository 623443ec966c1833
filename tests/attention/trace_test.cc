#include "qkv/attention/trace.h"

#include <limits>

#include "attention/algebra.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

using testing::kDim;
using testing::kHeads;
using testing::kKvHeads;

Tensor normal(const Shape& shape, std::uint64_t seed) {
  Tensor x = Tensor::empty(shape);
  Philox random(seed);
  for (float& value : x.values()) value = static_cast<float>(random.normal());
  return x;
}

/// P [Tq H Tk] by definition: what attend makes of values that are unit vectors.
Tensor by_definition(const Tensor& q, const Tensor& k, Attention how) {
  const std::int64_t keys = k.dim(0), heads = k.dim(1);
  Tensor v = Tensor::zeros({keys, heads, keys});
  for (std::int64_t j = 0; j < keys; ++j) {
    for (std::int64_t h = 0; h < heads; ++h) v.data()[(j * heads + h) * keys + j] = 1.0f;
  }
  how.run = Execution::definition;
  return attend(q, k, v, how);
}

void expect_close(const Tensor& weights, const Tensor& p, const std::string& what) {
  const std::int64_t heads = weights.dim(0), rows = weights.dim(1), keys = weights.dim(2);
  for (std::int64_t h = 0; h < heads; ++h) {
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < keys; ++j) {
        ASSERT_NEAR(weights.data()[(h * rows + i) * keys + j], p.data()[(i * heads + h) * keys + j],
                    2e-5f)
            << what << ", head " << h << ", row " << i << ", key " << j;
      }
    }
  }
}

/// The trace against the whole matrix [H Tq Tk].
void expect_summary(const Trace& t, const Tensor& weights, std::int64_t top,
                    const std::string& what) {
  const std::int64_t heads = weights.dim(0), rows = weights.dim(1), keys = weights.dim(2);
  std::vector<double> received(static_cast<std::size_t>(keys * heads), 0.0);
  for (std::int64_t h = 0; h < heads; ++h) {
    for (std::int64_t i = 0; i < rows; ++i) {
      const float* row = weights.data() + (h * rows + i) * keys;
      float most = 0;
      for (std::int64_t j = 0; j < keys; ++j) {
        received[static_cast<std::size_t>(j * heads + h)] += static_cast<double>(row[j]);
        most = std::max(most, row[j]);
      }
      for (std::int64_t n = 0; n < top; ++n) {
        const std::int64_t at = (i * heads + h) * top + n;
        const std::int32_t key = t.top_keys[static_cast<std::size_t>(at)];
        ASSERT_EQ(t.top_weights.data()[at], key < 0 ? 0.0f : row[key]) << what;
        if (n == 0) {
          ASSERT_EQ(t.top_weights.data()[at], most) << what;
        }
      }
    }
  }
  for (std::int64_t n = 0; n < keys * heads; ++n) {
    ASSERT_NEAR(t.received.data()[n], received[static_cast<std::size_t>(n)], 1e-5) << what;
  }
}

Attention looked_at(const Score& score, const Biases& bias, const Mask& mask,
                    const Normaliser& norm) {
  return {.score = score, .bias = bias, .mask = mask, .norm = norm};
}

class TraceTable : public ::testing::Test {
 protected:
  template <class Part>
  Part make(const testing::Row<Part>& row) {
    std::vector<Tensor> parameters;
    for (const Shape& shape : row.parameters) {
      parameters.push_back(normal(shape, 40 + parameters.size()));
    }
    return row.make(parameters);
  }
  void check(const std::string& what, const Attention& how) {
    const Tensor weights = attention_weights(q_, k_, how);
    expect_close(weights, by_definition(q_, k_, how), what);
    expect_summary(trace(q_, k_, how, {.top = 3}), weights, 3, what);
  }
  const Tensor q_ = normal({testing::kQueries.total(), kHeads, kDim}, 1);
  const Tensor k_ = normal({testing::kKeys.total(), kKvHeads, kDim}, 2);
  const Mask own_ = segments(testing::kQueries, testing::kKeys);
};

TEST_F(TraceTable, EveryScore) {
  for (const auto& score : testing::scores()) {
    for (const auto& mask : testing::masks()) {
      check(score.name + ", " + mask.name, looked_at(make(score), {}, mask.mask, Softmax{}));
    }
  }
}

TEST_F(TraceTable, EveryBias) {
  for (const auto& bias : testing::biases()) {
    check(bias.name, looked_at(ScaledDot{}, make(bias), own_ & causal(), Softmax{}));
    check(bias.name + ", l1", looked_at(L1{}, make(bias), own_, SoftmaxSink{}));
  }
}

TEST_F(TraceTable, EveryNormaliser) {
  for (const auto& norm : testing::normalisers()) {
    check(norm.name, looked_at(ScaledDot{}, {}, own_ & causal(), make(norm)));
    check(norm.name + ", gaussian", looked_at(Gaussian{.width = 2.0}, {}, own_, make(norm)));
  }
}

TEST_F(TraceTable, StatisticsAreThoseOfAttend) {
  for (const Normaliser& norm : {Normaliser(Softmax{}), Normaliser(SoftmaxSink{})}) {
    const Attention how{.bias = {SoftCap{.cap = 2.0}}, .mask = own_ & causal(), .norm = norm};
    const Tensor v = normal({k_.dim(0), kKvHeads, 1}, 3);
    const Attended y = attend_with_entropy(q_, k_, v, how);
    const Trace t = trace(q_, k_, how);
    for (std::int64_t n = 0; n < y.lse.count(); ++n) {
      ASSERT_NEAR(t.entropy.data()[n], y.entropy.data()[n], 1e-5);
      if (std::isfinite(y.lse.data()[n])) {
        ASSERT_NEAR(t.lse.data()[n], y.lse.data()[n], 1e-5);
      }
    }
  }
}

/// 300 rows: several pieces, bands and tiles a head.
class LongTrace : public ::testing::Test {
 protected:
  const Tensor q_ = normal({301, 2, 20}, 4), k_ = normal({290, 1, 20}, 5);
  const Attention how_{.mask = causal() & (window(90) | prefix(3) | dilated(99, 7))};
};

TEST_F(LongTrace, WeightsSummaryAndBlocks) {
  const Tensor weights = attention_weights(q_, k_, how_);
  expect_close(weights, by_definition(q_, k_, how_), "long");
  expect_summary(trace(q_, k_, how_, {.top = 5}), weights, 5, "long");
  const Tensor block = attention_weights(q_, k_, how_, {37, 150}, {60, 201});
  for (std::int64_t h = 0; h < 2; ++h) {
    for (std::int64_t i = 0; i < 113; ++i) {
      for (std::int64_t j = 0; j < 141; ++j) {
        ASSERT_EQ(block.data()[(h * 113 + i) * 141 + j],
                  weights.data()[(h * 301 + 37 + i) * 290 + 60 + j]);
      }
    }
  }
  EXPECT_THROW(attention_weights(q_, k_, how_, {0, 302}, {0, 1}), ShapeError);
  EXPECT_THROW(attention_weights(q_, k_, how_, {0, 1}, {-1, 1}), ShapeError);
}

TEST_F(LongTrace, Maps) {
  const Tensor weights = attention_weights(q_, k_, how_);
  for (const MapBy by : {MapBy::mean, MapBy::largest}) {
    const Tensor map = trace(q_, k_, how_, {.map_rows = 7, .map_cols = 400, .map_by = by}).map;
    ASSERT_EQ(map.shape(), (Shape{2, 7, 290}));
    std::vector<double> cells(2 * 7 * 290, 0.0), counts(7, 0.0);
    for (std::size_t i = 0; i < 301; ++i) counts[i * 7 / 301] += 1;
    for (std::size_t h = 0; h < 2; ++h) {
      for (std::size_t i = 0; i < 301; ++i) {
        for (std::size_t j = 0; j < 290; ++j) {
          double& cell = cells[(h * 7 + i * 7 / 301) * 290 + j];
          const double w = static_cast<double>(weights.data()[(h * 301 + i) * 290 + j]);
          cell = by == MapBy::largest ? std::max(cell, w) : cell + w / counts[i * 7 / 301];
        }
      }
    }
    for (std::size_t n = 0; n < cells.size(); ++n) ASSERT_NEAR(map.data()[n], cells[n], 1e-6);
  }
}

TEST_F(LongTrace, SameBitsForAnyThreads) {
  const int before = threads();
  set_threads(1);
  const Trace one = trace(q_, k_, how_);
  set_threads(2);
  const Trace two = trace(q_, k_, how_);
  set_threads(before);
  EXPECT_EQ(one.top_keys, two.top_keys);
  for (const auto& [a, b] : {std::pair(one.received, two.received),
                             {one.map, two.map},
                             {one.entropy, two.entropy},
                             {one.lse, two.lse}}) {
    EXPECT_TRUE(std::ranges::equal(a.values(), b.values()));
  }
}

TEST_F(LongTrace, WhatTheMaskHidesDoesNotLeak) {
  Tensor poisoned = k_.clone();
  for (std::int64_t d = 0; d < 20; ++d) {
    poisoned.data()[200 * 20 + d] = std::numeric_limits<float>::quiet_NaN();
  }
  const Attention how{.mask = window(3) & ~dense({1, 290, [] {
                                                    std::vector<std::uint8_t> one(290, 0);
                                                    one[200] = 1;
                                                    return one;
                                                  }()})};
  const Trace a = trace(q_, poisoned, how), b = trace(q_, k_, how);
  EXPECT_TRUE(std::ranges::equal(a.received.values(), b.received.values()));
  EXPECT_TRUE(std::ranges::equal(a.lse.values(), b.lse.values()));
}

TEST(Trace, ANanThatIsSeenShows) {
  for (const std::int64_t keys : {1, 3, 40}) {
    Tensor k = normal({keys, 1, 3}, 2);
    k.data()[0] = std::numeric_limits<float>::quiet_NaN();
    const Trace t = trace(normal({2, 1, 3}, 1), k);
    EXPECT_TRUE(std::isnan(t.lse.data()[0]));
    EXPECT_TRUE(std::isnan(t.entropy.data()[1]));
    EXPECT_TRUE(std::isnan(t.received.data()[0]));
  }
}

TEST(Trace, NothingToSee) {
  const Trace t = trace(normal({2, 1, 3}, 1), normal({4, 1, 3}, 2), {.mask = prefix(0)});
  EXPECT_EQ(t.top_keys, std::vector<std::int32_t>(8, -1));
  EXPECT_EQ(t.lse.data()[1], -std::numeric_limits<float>::infinity());
  EXPECT_EQ(t.max_logit.data()[0], -std::numeric_limits<float>::infinity());
  EXPECT_EQ(t.entropy.data()[0], 0.0f);
  const Trace none = trace(Tensor::zeros({0, 1, 3}), Tensor::zeros({0, 1, 3}));
  EXPECT_EQ(none.map.count(), 0);
}

}  // namespace
}  // namespace qkv

#include "qkv/attention/cache.h"

#include <cmath>
#include <cstring>

#include <gtest/gtest.h>

#include "qkv/attention/attend.h"
#include "qkv/base/error.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

Tensor random_tensor(const Shape& shape, Philox& random) {
  Tensor t = Tensor::empty(shape);
  for (float& x : t.values()) x = static_cast<float>(random.normal());
  return t;
}

/// A hypothesis remembered in full, beside the cache.
struct Memory {
  std::vector<float> keys, values;
};

TEST(KvCache, FollowsReorderedHypothesesAsFullMemoriesWould) {
  constexpr std::int64_t kLayers = 2, kKvHeads = 2, kDim = 5, kValueDim = 3, kHeads = 4;
  Philox random(3);
  KvCache cache({kLayers, kKvHeads, kDim, kValueDim}, 3);
  std::vector<std::vector<Memory>> memories(3, std::vector<Memory>(kLayers));
  std::int64_t rows = 3;
  for (int step = 0; step < 40; ++step) {
    cache.begin_step();
    for (std::int64_t layer = 0; layer < kLayers; ++layer) {
      const Tensor k = random_tensor({rows, kKvHeads, kDim}, random);
      const Tensor v = random_tensor({rows, kKvHeads, kValueDim}, random);
      const Tensor q = random_tensor({rows, kHeads, kDim}, random);
      cache.append(layer, k, v);
      Tensor weights;
      const Tensor out = cache.attend(layer, q, 0.0, &weights);
      for (std::int64_t b = 0; b < rows; ++b) {
        Memory& m = memories[static_cast<std::size_t>(b)][static_cast<std::size_t>(layer)];
        const auto kb = k.rows(b, b + 1), vb = v.rows(b, b + 1);
        m.keys.insert(m.keys.end(), kb.values().begin(), kb.values().end());
        m.values.insert(m.values.end(), vb.values().begin(), vb.values().end());
        const std::int64_t n = cache.length(b);
        ASSERT_EQ(static_cast<std::int64_t>(m.keys.size()), n * kKvHeads * kDim);
        const Tensor want = attend(q.rows(b, b + 1), Tensor::of(m.keys, {n, kKvHeads, kDim}),
                                   Tensor::of(m.values, {n, kKvHeads, kValueDim}));
        for (std::int64_t i = 0; i < kHeads * kValueDim; ++i) {
          ASSERT_NEAR(out.data()[b * kHeads * kValueDim + i], want.data()[i], 1e-5f) << step;
        }
      }
    }
    std::vector<std::int32_t> parents(1 + random.below(6));
    std::vector<std::vector<Memory>> next;
    for (std::int32_t& parent : parents) {
      parent = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(rows) + 1)) - 1;
      next.push_back(parent < 0 ? std::vector<Memory>(kLayers)
                                : memories[static_cast<std::size_t>(parent)]);
    }
    cache.reorder(parents);
    memories = std::move(next);
    rows = static_cast<std::int64_t>(parents.size());
    ASSERT_EQ(cache.rows(), rows);
  }
}

TEST(KvCache, StorageFollowsWhatIsAlive) {
  KvCache cache({1, 1, 4}, 5);
  const Tensor row = Tensor::zeros({5, 1, 4});
  for (int step = 0; step < 200; ++step) {
    cache.begin_step();
    cache.append(0, row, row);
    cache.reorder(std::vector<std::int32_t>{0, 0, 0, 0, 0});  // one prefix survives
  }
  EXPECT_LE(cache.bytes(), 2 * 4 * 4 * 330);  // 204 rows, in steps of one and a half
}

TEST(KvCache, MisuseIsNamed) {
  KvCache cache({1, 1, 4}, 2);
  const Tensor row = Tensor::zeros({2, 1, 4});
  EXPECT_THROW(cache.append(0, row, row), Error);
  cache.begin_step();
  EXPECT_THROW(cache.append(0, Tensor::zeros({3, 1, 4}), Tensor::zeros({3, 1, 4})), ShapeError);
  EXPECT_THROW(cache.append(0, Tensor::zeros({2, 1, 5}), row), ShapeError);
  EXPECT_THROW(cache.attend(0, Tensor::zeros({2, 1, 3})), ShapeError);
  EXPECT_THROW(cache.reorder(std::vector<std::int32_t>{2}), Error);
}

TEST(SourceCache, HypothesesShareTheRowsOfTheirSentence) {
  Philox random(5);
  const Segments source({4, 0, 7});
  SourceCache cache({1, 2, 6, 6}, source, std::vector<std::int32_t>{0, 2, 1, 2});
  const Tensor k = random_tensor({11, 2, 6}, random), v = random_tensor({11, 2, 6}, random);
  EXPECT_THROW(cache.attend(0, Tensor::zeros({4, 2, 6})), Error);
  cache.set(0, k, v);
  const Tensor q = random_tensor({1, 2, 6}, random);
  Tensor four = Tensor::empty({4, 2, 6});
  for (std::int64_t b = 0; b < 4; ++b) std::copy_n(q.data(), 12, four.data() + b * 12);
  Tensor weights;
  const auto expect = [&](const std::vector<std::int64_t>& sentences) {
    const Tensor out = cache.attend(0, four.rows(0, cache.rows()), 0.0, &weights);
    EXPECT_EQ(weights.shape(), (Shape{cache.rows(), 2, 7}));
    for (std::int64_t b = 0; b < cache.rows(); ++b) {
      const std::int64_t s = sentences[static_cast<std::size_t>(b)];
      EXPECT_EQ(cache.sentence(b), s);
      const Tensor want =
          attend(q, k.rows(source.begin(s), source.end(s)), v.rows(source.begin(s), source.end(s)));
      for (std::int64_t i = 0; i < 12; ++i) {
        ASSERT_NEAR(out.data()[b * 12 + i], want.data()[i], 1e-5f) << b;
      }
    }
  };
  expect({0, 2, 1, 2});
  cache.reorder(std::vector<std::int32_t>{3, 3, 0});
  expect({2, 2, 0});
}

}  // namespace
}  // namespace qkv

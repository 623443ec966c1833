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
      const Tensor out = cache.attend(layer, q, {}, &weights);
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
  KvCache cache({1, 1, 16}, 5);
  const Tensor row = Tensor::zeros({5, 1, 16});
  for (int step = 0; step < 200; ++step) {
    cache.begin_step();
    cache.append(0, row, row);
    cache.reorder(std::vector<std::int32_t>{0, 0, 0, 0, 0});  // one prefix survives
  }
  EXPECT_LE(cache.bytes(), 2 * 4 * 16 * 336);  // 204 rows, in steps of one and a half
}

TEST(KvCache, LeftOverPlacesInPagesAreUsedBeforeStorageGrows) {
  // The child that goes on is always the one that had to begin a page of its own.
  KvCache cache({1, 1, 16}, 2);
  const Tensor row = Tensor::zeros({2, 1, 16});
  for (int step = 0; step < 400; ++step) {
    cache.begin_step();
    cache.append(0, row, row);
    cache.reorder(std::vector<std::int32_t>{1, 1});
  }
  EXPECT_LE(cache.bytes(), 2 * 4 * 16 * 2 * 402);  // at most twice what is alive
}

TEST(KvCache, BytesFollowTheStorageType) {
  const auto bytes = [](CacheType type) {
    KvCache cache({2, 3, 128, 64, type}, 1);
    cache.reserve(1024);
    return cache.bytes();
  };
  const std::int64_t elements = 2 * 3 * 1024 * (128 + 64);
  EXPECT_EQ(bytes(CacheType::f32), 4 * elements);
  EXPECT_EQ(bytes(CacheType::bf16), 2 * elements);
  EXPECT_EQ(bytes(CacheType::int8), elements + 4 * 2 * 3 * 1024 * 2);  // and a scale a row
}

TEST(KvCache, FillsWhatWasReservedExactly) {
  KvCache cache({1, 2, 16}, 2);
  cache.reserve(64);
  const std::int64_t bytes = cache.bytes();
  Philox random(4);
  Memory memory;
  const Tensor q = random_tensor({2, 2, 16}, random);
  for (int step = 0; step < 32; ++step) {
    const Tensor k = random_tensor({2, 2, 16}, random);
    cache.begin_step();
    cache.append(0, k, k);
    memory.keys.insert(memory.keys.end(), k.data() + 32, k.data() + 64);
  }
  EXPECT_EQ(cache.bytes(), bytes);
  const Tensor all = Tensor::of(memory.keys, {32, 2, 16});
  const Tensor out = cache.attend(0, q), want = attend(q.rows(1, 2), all, all);
  for (std::int64_t i = 0; i < 32; ++i) {
    EXPECT_NEAR(out.data()[32 + i], want.data()[i], 1e-5f);
  }
  cache.begin_step();
  EXPECT_GT(cache.bytes(), bytes);
}

/// Steps through a sequence of 40 tokens in pieces of these sizes; the outputs end to end.
std::vector<float> in_pieces(const CacheShape& shape, const std::vector<std::int64_t>& pieces,
                             const Attention& how = {}) {
  Philox random(8);
  const Tensor k = random_tensor({40, shape.kv_heads, shape.dim}, random);
  const Tensor v = random_tensor({40, shape.kv_heads, shape.dim}, random);
  const Tensor q = random_tensor({40, 2 * shape.kv_heads, shape.dim}, random);
  KvCache cache(shape, 1);
  std::vector<float> all;
  std::int64_t at = 0;
  for (const std::int64_t piece : pieces) {
    cache.begin_step(Segments({piece}));
    cache.append(0, k.rows(at, at + piece), v.rows(at, at + piece));
    const Tensor out = cache.attend(0, q.rows(at, at + piece), how);
    all.insert(all.end(), out.values().begin(), out.values().end());
    at += piece;
  }
  return all;
}

TEST(KvCache, PiecesOfAnySizeGiveTheSameBits) {
  const Attention how{.bias = {SoftCap{3.0}, Alibi{.slopes = Tensor::full({4}, 0.1)}},
                      .mask = causal(),
                      .norm = SoftmaxSink{Tensor::full({4}, 0.5)}};
  for (const CacheType type : {CacheType::f32, CacheType::bf16, CacheType::int8}) {
    for (const std::int64_t window : {0, 7}) {
      const CacheShape shape{1, 2, 24, 0, type, window};
      const std::vector<float> one_by_one = in_pieces(shape, std::vector<std::int64_t>(40, 1), how);
      for (const auto& pieces :
           std::vector<std::vector<std::int64_t>>{{40}, {1, 39}, {17, 0, 16, 7}}) {
        const std::vector<float> got = in_pieces(shape, pieces, how);
        ASSERT_EQ(got.size(), one_by_one.size());
        EXPECT_EQ(std::memcmp(got.data(), one_by_one.data(), got.size() * sizeof(float)), 0);
      }
    }
  }
}

TEST(KvCache, RefusedGuessesLeaveNoTrace) {
  Philox random(6);
  const Tensor k = random_tensor({30, 1, 16}, random), q = random_tensor({1, 2, 16}, random);
  for (const std::int64_t window : {0, 5}) {
    KvCache straight({1, 1, 16, 0, CacheType::f32, window}, 1), guessing = straight;
    for (std::int64_t t = 0; t < 20; ++t) {
      straight.begin_step();
      straight.append(0, k.rows(t, t + 1), k.rows(t, t + 1));
      guessing.begin_step(Segments({4}));  // the first is right
      const Tensor guess = random_tensor({4, 1, 16}, random);
      Tensor with = guess.clone();
      std::copy_n(k.data() + t * 16, 16, with.data());
      guessing.append(0, with, with);
      guessing.shorten(std::vector<std::int64_t>{t + 1});
      ASSERT_EQ(guessing.length(0), t + 1);
      const Tensor a = straight.attend(0, q), b = guessing.attend(0, q);
      ASSERT_EQ(std::memcmp(a.data(), b.data(), 32 * sizeof(float)), 0) << t;
    }
    EXPECT_EQ(straight.bytes(), guessing.bytes());
    if (window > 0) {
      EXPECT_THROW(guessing.shorten(std::vector<std::int64_t>{2}), Error);
    }
    EXPECT_THROW(guessing.shorten(std::vector<std::int64_t>{21}), Error);
  }
}

TEST(KvCache, AWindowBoundsMemoryAndBeamsShareIt) {
  Philox random(7);
  KvCache windowed({1, 1, 16, 0, CacheType::f32, 10}, 2);
  std::vector<Memory> memories(2);
  for (int step = 0; step < 300; ++step) {
    const Tensor k = random_tensor({2, 1, 16}, random), q = random_tensor({2, 1, 16}, random);
    windowed.begin_step();
    windowed.append(0, k, k);
    const Tensor out = windowed.attend(0, q);
    for (std::int64_t b = 0; b < 2; ++b) {
      std::vector<float>& keys = memories[static_cast<std::size_t>(b)].keys;
      keys.insert(keys.end(), k.data() + b * 16, k.data() + (b + 1) * 16);
      if (keys.size() > 160) keys.erase(keys.begin(), keys.begin() + 16);
      const Tensor all = Tensor::of(keys, {static_cast<std::int64_t>(keys.size()) / 16, 1, 16});
      const Tensor want = attend(q.rows(b, b + 1), all, all);
      for (std::int64_t i = 0; i < 16; ++i) {
        ASSERT_NEAR(out.data()[b * 16 + i], want.data()[i], 1e-5f) << step;
      }
    }
    const auto parent = static_cast<std::int32_t>(step % 3);
    const std::vector<std::int32_t> parents = {parent == 1 ? 1 : 0, parent == 2 ? 0 : 1};
    windowed.reorder(parents);
    memories = {memories[static_cast<std::size_t>(parents[0])],
                memories[static_cast<std::size_t>(parents[1])]};
  }
  EXPECT_LE(windowed.bytes(), 2 * 4 * 16 * 64);  // the first 64 places were enough
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
  EXPECT_THROW(cache.begin_step(Segments({1})), ShapeError);
  EXPECT_THROW(cache.shorten(std::vector<std::int64_t>{1}), ShapeError);
  EXPECT_THROW(
      cache.attend(0, Tensor::zeros({2, 1, 4}), {.bias = {Alibi{.slopes = Tensor::zeros({2})}}}),
      ShapeError);
}

// Keys and values of one hypothesis, in a cache and at hand.
struct OneText {
  static constexpr std::int64_t kLength = 21, kHeads = 4;
  Tensor q, k, v;
  KvCache cache;
  OneText() : cache({1, 2, 8}, 1) {
    Philox random(12);
    q = random_tensor({kLength, kHeads, 8}, random);
    k = random_tensor({kLength, 2, 8}, random);
    v = random_tensor({kLength, 2, 8}, random);
    cache.begin_step(Segments({kLength}));
    cache.append(0, k, v);
  }
};

TEST(KvCache, TakesTheAttentionOfAttend) {
  const OneText text;
  const std::vector<std::int64_t> length = {OneText::kLength};
  const Mask one = segments(Segments(length));
  const Tensor slopes = Tensor::full({OneText::kHeads}, 0.3);
  for (const Attention& how :
       {Attention{.mask = one & causal()}, Attention{.score = ScaledDot{0.7}, .mask = causal()},
        Attention{.bias = {SoftCap{2.0}, Alibi{}}, .mask = causal()},
        Attention{.bias = {Alibi{.slopes = slopes}}, .mask = causal() & window(5)},
        Attention{.mask = one & window(3, 0)},
        Attention{.mask = causal(), .norm = SoftmaxSink{Tensor::full({OneText::kHeads}, 1.5)}},
        Attention{.mask = causal(), .norm = SoftmaxSink{}, .dropout = 0.4}}) {
    const Tensor want = attend(text.q, text.k, text.v, how);
    const Tensor got = text.cache.attend(0, text.q, how);
    Attention slow = how;
    slow.run = Execution::definition;
    const Tensor by_definition = text.cache.attend(0, text.q, slow);
    for (std::int64_t i = 0; i < want.count(); ++i) {
      ASSERT_NEAR(got.data()[i], want.data()[i], 2e-5f) << to_string(how.mask) << i;
      ASSERT_NEAR(by_definition.data()[i], want.data()[i], 2e-5f) << to_string(how.mask) << i;
    }
  }
}

TEST(KvCache, RefusesByNameWhatItCannotHonour) {
  const OneText text;
  const auto refused = [&](const Attention& how, const std::string& name) {
    try {
      (void)text.cache.attend(0, text.q, how);
      ADD_FAILURE() << name << " was ignored";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(name), std::string::npos) << e.what();
    }
  };
  refused({.score = Cosine{}}, "score");
  refused({.score = FeatureProduct{}}, "score");
  refused({.bias = {Alibi{}, SoftCap{}}}, "SoftCap");
  refused({.bias = {Alibi{}, Alibi{}}}, "Alibi");
  refused({.bias = {Alibi{.alignment = Alignment::top_left}}}, "Alibi");
  refused({.bias = {DistanceBias{.table = Tensor::zeros({1, 3})}}}, "bias");
  refused({.norm = Relu{}}, "normaliser");
  refused({.mask = prefix(3)}, "prefix(3)");
  refused({.mask = causal() | prefix(3)}, "prefix(3)");
  refused({.mask = window(0)}, "window");
  refused({.mask = causal(Alignment::top_left)}, "top_left");
  refused({.mask = lengths({4})}, "lengths");
  refused({.mask = segments(Segments({20, 1}))}, "segments");
  SourceCache source({1, 2, 8}, Segments({OneText::kLength}), std::vector<std::int32_t>{0});
  source.set(0, text.k, text.v);
  EXPECT_THROW((void)source.attend(0, text.q.rows(0, 1), {.mask = causal()}), Error);
  EXPECT_THROW((void)source.attend(0, text.q.rows(0, 1), {.mask = window(4)}), Error);
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
    const Tensor out = cache.attend(0, four.rows(0, cache.rows()), {}, &weights);
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

TEST(SourceCache, NeighboursOfASentenceDoNotChangeBits) {
  Philox random(15);
  const Segments source({40, 33});
  const Tensor k = random_tensor({73, 2, 24}, random), v = random_tensor({73, 2, 24}, random);
  const Tensor q = random_tensor({6, 4, 24}, random);
  for (const CacheType type : {CacheType::f32, CacheType::bf16, CacheType::int8}) {
    const CacheShape shape{1, 2, 24, 0, type};
    SourceCache together(shape, source, std::vector<std::int32_t>{0, 0, 0, 1, 1, 0});
    together.set(0, k, v);
    const Tensor all = together.attend(0, q);
    for (std::int64_t b = 0; b < 6; ++b) {
      SourceCache alone(shape, source,
                        std::vector<std::int32_t>{static_cast<std::int32_t>(together.sentence(b))});
      alone.set(0, k, v);
      const Tensor one = alone.attend(0, q.rows(b, b + 1));
      EXPECT_EQ(std::memcmp(one.data(), all.data() + b * 96, 96 * sizeof(float)), 0) << b;
    }
  }
}

}  // namespace
}  // namespace qkv

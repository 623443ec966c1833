// MPT's attention by itself. Its golden values and its part in the model: models/mpt_test.cc.
#include "qkv/nn/mpt_attention.h"

#include <algorithm>
#include <cmath>

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::distance;
using testing::random_tensor;

MptAttention make(const MptAttnConfig& options, bool no_bias = false) {
  Initialiser init(1);
  return MptAttention::make(
      init, {.d_model = 16, .n_heads = 4, .attn_config = options, .no_bias = no_bias});
}

/// All that changes what a token sees or how.
std::vector<MptAttention> variants() {
  return {make({}),
          make({.kv_n_heads = 1, .qk_ln = true, .clip_qkv = 0.7, .alibi = true}),
          make({.softmax_scale = 0.2, .alibi = true, .alibi_bias_max = 16}, true),
          make({.kv_n_heads = 2, .rope = true, .rope_theta = 100}),
          make({.kv_n_heads = 1, .qk_ln = true, .rope = true, .linear = true}),
          make({.clip_qkv = 0.7, .linear = true})};
}

/// Rows [begin, end) of each of two sequences of ten.
Tensor taken(const Tensor& x, std::int64_t begin, std::int64_t end) {
  Tensor y = Tensor::empty({2 * (end - begin), 16});
  for (const std::int64_t b : {0, 1}) {
    const Tensor from = x.rows(10 * b + begin, 10 * b + end);
    std::ranges::copy(from.values(),
                      y.rows(b * (end - begin), (b + 1) * (end - begin)).values().begin());
  }
  return y;
}

TEST(MptAttention, IsMultiHeadWithTheOptionsApplied) {
  const MptAttention m = make({.kv_n_heads = 2,
                               .qk_ln = true,
                               .clip_qkv = 0.7,
                               .softmax_scale = 0.3,
                               .alibi = true,
                               .rope = true});
  MultiHead want = m.heads;
  want.config.clip = 0.7;
  want.config.head_norm = HeadNorm::layer;
  want.config.rotary = RotaryOptions{.base = 10000.0};
  want.config.score = ScaledDot{0.3};
  want.config.biases = {Alibi{}};
  const Segments rows({5, 3});
  const Tensor x = random_tensor({8, 16}, 1);
  const std::vector<std::int32_t> places = {0, 1, 2, 3, 4, 0, 1, 2};
  EXPECT_EQ(m.heads.k.weight.shape(), (Shape{16, 8}));
  EXPECT_EQ(distance(m(x, {.segments = rows}), want(x, x, segments(rows) & causal(), places)), 0.0);
}

TEST(MptAttention, StepsAreTheWhole) {
  const Tensor x = random_tensor({20, 16}, 2);
  for (const MptAttention& m : variants()) {
    const Tensor whole = m(x, {.segments = Segments({10, 10})});
    MptCache cache(2);
    const auto feed = [&](std::int64_t begin, std::int64_t end) {
      const MptRows step{.segments = Segments({end - begin, end - begin})};
      EXPECT_LT(distance(m.extend(cache, taken(x, begin, end), step), taken(whole, begin, end)),
                1e-5);
      EXPECT_EQ(cache.length(1), end);
    };
    feed(0, 4);  // a prompt, a few at once, then one by one
    feed(4, 7);
    for (std::int64_t t = 7; t < 10; ++t) feed(t, t + 1);
  }
}

TEST(MptAttention, ReorderedSequencesGoOn) {
  const MptAttention m = make({.alibi = true});
  const Tensor x = random_tensor({4, 16}, 3);
  MptCache cache(2);
  (void)m.extend(cache, x.rows(0, 4), {.segments = Segments({2, 2})});
  cache.reorder(std::vector<std::int32_t>{1, -1, 1});
  EXPECT_EQ(cache.rows(), 3);
  EXPECT_EQ(cache.length(1), 0);
  const Tensor next = random_tensor({2, 16}, 4);
  const Tensor y = m.extend(cache, next, {.segments = Segments({1, 0, 1})});
  Tensor whole = Tensor::empty({3, 16});
  std::ranges::copy(x.rows(2, 4).values(), whole.values().begin());
  std::ranges::copy(next.rows(0, 1).values(), whole.rows(2, 3).values().begin());
  EXPECT_LT(distance(y.rows(0, 1), m(whole, {.segments = Segments({3})}).rows(2, 3)), 1e-5);
}

TEST(MptAttention, PrefixesAndSequenceIdsAreTheMask) {
  const MptAttention m = make({.prefix_lm = true, .attn_uses_sequence_id = true, .alibi = true});
  const Tensor x = random_tensor({6, 16}, 5);
  const std::vector<std::uint8_t> prefix = {1, 1, 0, 1, 1, 0};
  const std::vector<std::int32_t> ids = {0, 0, 0, 1, 1, 1};
  MptRows rows{.segments = Segments({6}), .prefix = prefix, .sequence_id = ids};
  const Tensor y = m(x, rows);
  // Both packed sequences in segments of their own are the same rows to each other.
  rows.segments = Segments({3, 3});
  EXPECT_LT(distance(m(x, rows), y), 1e-5);
  rows.prefix = std::span(prefix).first(5);
  EXPECT_THROW((void)m(x, rows), ShapeError);
  EXPECT_THROW((void)make({})(x, {.segments = Segments({6}), .prefix = prefix}), Error);

  const MptAttention given = make({.prefix_lm = true});
  const Tensor whole =
      given(x, {.segments = Segments({6}), .prefix = std::vector<std::uint8_t>{1, 1, 1, 0, 0, 0}});
  MptCache cache;
  const MptRows first{.segments = Segments({3}), .prefix = std::span(prefix).first(2)};
  EXPECT_THROW((void)given.extend(cache, x.rows(0, 3), first), ShapeError);
  const std::vector<std::uint8_t> ones = {1, 1, 1};
  const MptRows start{.segments = Segments({3}), .prefix = ones};
  EXPECT_LT(distance(given.extend(cache, x.rows(0, 3), start), whole.rows(0, 3)), 1e-5);
  EXPECT_LT(
      distance(given.extend(cache, x.rows(3, 6), {.segments = Segments({3})}), whole.rows(3, 6)),
      1e-5);
  EXPECT_THROW((void)given.extend(cache, x.rows(0, 3), start), Error);  // too late for a prefix
}

TEST(MptAttention, NumbersAreKaimingAndNamesThoseOfTheHeads) {
  Initialiser init(1);
  const auto m = MptAttention::make(init, {.d_model = 64, .n_heads = 4, .no_bias = true});
  std::string names;
  for_each_parameter(m, [&](std::string_view path, const Tensor& p) {
    names += std::string(path) + " ";
    double squares = 0;
    for (float value : p.values()) squares += double(value) * double(value);
    EXPECT_NEAR(std::sqrt(squares / double(p.count()) * 64 / 2), 1.0, 0.05) << path;
  });
  EXPECT_EQ(names, "q.weight k.weight v.weight o.weight ");
}

TEST(MptAttention, RefusesWhatMakesNoAttention) {
  EXPECT_THROW((void)make({.kv_n_heads = 3}), Error);
  EXPECT_THROW((void)make({.attn_pdrop = 1.0}), Error);
  EXPECT_THROW((void)make({.alibi = true, .linear = true}), Error);
  Initialiser init(1);
  EXPECT_THROW((void)MptAttention::make(init, {.d_model = 10, .n_heads = 4}), Error);
  const MptAttention m = make({}), sums = make({.linear = true});
  const Tensor x = random_tensor({4, 16}, 1);
  EXPECT_THROW((void)m(x, {.segments = Segments({3})}), ShapeError);
  MptCache two(2), windowed(1, {.window = 8});
  EXPECT_THROW((void)m.extend(two, x, {.segments = Segments({4})}), ShapeError);
  EXPECT_THROW((void)m.extend(two, x, {.segments = Segments({2, 1})}), ShapeError);
  EXPECT_EQ(two.length(0), 0);
  EXPECT_THROW((void)sums.extend(windowed, x, {.segments = Segments({4})}), Error);
}

}  // namespace
}  // namespace qkv

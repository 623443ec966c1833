#include "qkv/attention/explain.h"

#include <gtest/gtest.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/kernels/attention/schedule.h"

namespace qkv {
namespace {

using kernels::AttendPath;

struct Sizes {
  std::int64_t queries = 200, keys = 200, heads = 4, kv_heads = 2, dim = 16, value_dim = 8;
};
Explanation explained(const Attention& how, const Sizes& n = {}, DType type = DType::f32) {
  return explain(Tensor::zeros({n.queries, n.heads, n.dim}, type),
                 Tensor::zeros({n.keys, n.kv_heads, n.dim}, type),
                 Tensor::zeros({n.keys, n.kv_heads, n.value_dim}, type), how);
}

TEST(Explain, TilesAreThoseThatTheMaskTouches) {
  const Segments rows{70, 0, 130}, keys{100, 30, 70};
  const Mask mask = segments(rows, keys) & (causal() | dilated(2, 40));
  const Explanation e = explained({.mask = mask});
  const auto dense = materialise(mask, 200, 200);
  std::int64_t full = 0, partial = 0, skipped = 0, visible = 0, visited = 0;
  for (std::int64_t b = 0; b < 3; ++b) {
    for (std::int64_t i = rows.begin(b); i < rows.end(b); i += e.query_tile) {
      for (std::int64_t j = keys.begin(b); j < keys.end(b); j += e.key_tile) {
        const std::int64_t i_end = std::min(i + e.query_tile, rows.end(b));
        const std::int64_t j_end = std::min(j + e.key_tile, keys.end(b));
        std::int64_t seen = 0;
        for (std::int64_t r = i; r < i_end; ++r) {
          for (std::int64_t c = j; c < j_end; ++c) {
            seen += dense[static_cast<std::size_t>(r * 200 + c)];
          }
        }
        const std::int64_t all = (i_end - i) * (j_end - j);
        ++(seen == 0 ? skipped : seen == all ? full : partial);
        visited += seen == 0 ? 0 : all;
        visible += seen;
      }
    }
  }
  EXPECT_EQ(e.full, full);
  EXPECT_EQ(e.partial, partial);
  EXPECT_EQ(e.skipped, skipped);
  EXPECT_EQ(e.visible, visible);
  EXPECT_EQ(e.visited, visited);
  EXPECT_EQ(e.pairs, 200 * 200);
  EXPECT_DOUBLE_EQ(e.saved(), 1.0 - static_cast<double>(visited) / 40000.0);
  EXPECT_DOUBLE_EQ(e.operations, static_cast<double>(visited) * 4 * 2 * (16 + 8));
  EXPECT_GT(full, 0);
  EXPECT_GT(partial, 0);
  EXPECT_GT(skipped, 0);
}

TEST(Explain, SaysWhichPathIsTaken) {
  EXPECT_EQ(explained({}).path, AttendPath::product_tiles);
  EXPECT_EQ(explained({.score = Cosine{}}).path, AttendPath::product_tiles)
      << "cosine is a product";
  EXPECT_TRUE(explained({}).slow.empty());
  EXPECT_EQ(explained({.run = Execution::definition}).path, AttendPath::definition);
  EXPECT_EQ(explained({}, {}, DType::f64).path, AttendPath::definition);
  for (const Attention& how : {Attention{.bias = {Alibi{}}}, Attention{.score = L1{}},
                               Attention{.norm = Entmax{}}, Attention{.norm = SoftmaxSink{}}}) {
    EXPECT_NE(explained(how).path, AttendPath::product_tiles);
  }
}

TEST(Explain, FewRowsSaySo) {
  const Explanation all = explained({}, {.queries = 3, .keys = 100});
  EXPECT_EQ(all.path, AttendPath::product_rows);
  EXPECT_EQ(all.few, 1);
  EXPECT_NE(to_string(all).find("path         product rows: few rows"), std::string::npos);
  const Explanation some =
      explained({.mask = segments(Segments{3, 0, 70}, Segments{100, 5, 70})}, {73, 175});
  EXPECT_EQ(some.path, AttendPath::product_tiles);
  EXPECT_EQ(some.few, 1);
  EXPECT_NE(to_string(some).find("product tiles: streaming, tuned; 1 of 3 sequences by few rows\n"),
            std::string::npos)
      << to_string(some);
  EXPECT_EQ(explained({}, {.queries = 50, .keys = 100}).few, 0);
  EXPECT_EQ(explained({.bias = {Alibi{}}}, {.queries = 3, .keys = 100}).few, 0);
  Tape tape;
  const Recording on(tape);
  EXPECT_EQ(explained({.dropout = 0.1}, {.queries = 3, .keys = 100}).path,
            AttendPath::product_tiles);
}

TEST(Explain, WhateverIsSlowSaysSo) {
  const PairScore pair{"own", [](auto, auto) { return 0.0; },
                       [](auto, auto, double, auto, auto) {}};
  for (const Attention& how :
       {Attention{.run = Execution::definition}, Attention{.score = pair},
        Attention{.norm = RowNormaliser{"own", [](auto, auto) {}, [](auto, auto, auto, auto) {}}},
        Attention{.norm = Sparsemax{}},
        Attention{.bias = {FunctionBias{"own", [](double s, const auto&) { return s; },
                                        [](double, const auto&) { return 1.0; }}}}}) {
    const Explanation e = explained(how);
    ASSERT_FALSE(e.slow.empty());
    EXPECT_NE(to_string(e).find("\nslow "), std::string::npos);
  }
}

TEST(Explain, TheTable) {
  const std::string text = to_string(explained({.bias = {SoftCap{.cap = 30}}, .mask = causal()}));
  EXPECT_NE(text.find("200 queries × 200 keys, 4 heads on 2, D 16, Dv 8, 1 sequence\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("scaled_dot; bias soft_cap 30; normaliser softmax\n"), std::string::npos);
  EXPECT_NE(text.find("20100 of 40000 pairs visible (50.2 %)"), std::string::npos) << text;
}

TEST(Explain, MeasuresWhenAsked) {
  const Tensor x = Tensor::full({64, 1, 16}, 0.1);
  EXPECT_FALSE(explain(x, x, x, {}).measured.has_value());
  const Explanation e = explain(x, x, x, {}, true);
  ASSERT_TRUE(e.measured.has_value());
  EXPECT_GT(e.measured->seconds, 0.0);
  EXPECT_GT(e.measured->peak, 0.0);
  EXPECT_NE(to_string(e).find("of the FMA peak"), std::string::npos);
}

TEST(Explain, NothingAtAll) {
  const Explanation e = explained({}, {.queries = 0, .keys = 0});
  EXPECT_EQ(e.saved(), 0.0);
  EXPECT_EQ(e.full + e.partial + e.skipped, 0);
  EXPECT_THROW(explained({}, {.heads = 3}), ShapeError);
}

}  // namespace
}  // namespace qkv

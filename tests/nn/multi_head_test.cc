#include "qkv/nn/multi_head.h"

#include <cmath>
#include <numeric>

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/attention/observer.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/nn/positions.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/heads.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using testing::distance;
using testing::random_tensor;

MultiHead make(const MultiHead::Config& config, std::uint64_t seed = 1) {
  Initialiser init(seed);
  MultiHead m = MultiHead::make(init, config);
  for (Linear* linear : {&m.q, &m.k, &m.v, &m.o}) {
    if (linear->bias.defined()) linear->bias = random_tensor(linear->bias.shape(), ++seed);
  }
  return m;
}

TEST(MultiHead, Shapes) {
  const Tensor x = random_tensor({7, 12}, 1), memory = random_tensor({5, 12}, 2);
  const MultiHead plain = make({.width = 12, .heads = 3});
  EXPECT_EQ(plain.queries(x).shape(), (Shape{7, 3, 4}));
  EXPECT_EQ(plain.keys(memory).shape(), (Shape{5, 3, 4}));
  EXPECT_EQ(plain(x, memory, everything()).shape(), (Shape{7, 12}));
  EXPECT_EQ(parameter_count(plain), 4 * (12 * 12 + 12));

  const MultiHead grouped = make({.width = 12, .heads = 6, .kv_heads = 2, .head_dim = 5});
  EXPECT_EQ(grouped.queries(x).shape(), (Shape{7, 6, 5}));
  EXPECT_EQ(grouped.values(memory).shape(), (Shape{5, 2, 5}));
  EXPECT_EQ(grouped(x, memory, everything()).shape(), (Shape{7, 12}));
  EXPECT_EQ(parameter_count(grouped), (12 * 30 + 30) + 2 * (12 * 10 + 10) + (30 * 12 + 12));

  const MultiHead wide = make({.width = 12, .heads = 3, .kv_width = 9, .bias = false});
  EXPECT_EQ(wide(x, random_tensor({5, 9}, 3), everything()).shape(), (Shape{7, 12}));
  EXPECT_EQ(parameter_count(wide), 2 * 12 * 12 + 2 * 9 * 12);
  EXPECT_THROW(wide(x, memory, everything()), ShapeError);

  const MultiHead bare = make({.width = 12, .heads = 3, .output = false});
  EXPECT_EQ(bare(x, memory, everything()).shape(), (Shape{7, 12}));
  EXPECT_EQ(parameter_count(bare), 3 * (12 * 12 + 12));
  EXPECT_EQ(plain(Tensor::zeros({0, 12}), memory, everything()).shape(), (Shape{0, 12}));
}

TEST(MultiHead, RefusesWhatDoesNotDivide) {
  Initialiser init(1);
  EXPECT_THROW(MultiHead::make(init, {.width = 10, .heads = 3}), ShapeError);
  EXPECT_THROW(MultiHead::make(init, {.width = 12, .heads = 4, .kv_heads = 3}), ShapeError);
  EXPECT_THROW(MultiHead::make(init, {.width = 12, .heads = 0}), ShapeError);
  EXPECT_THROW(MultiHead::make(init, {.width = 12, .heads = 3, .head_dim = 5, .output = false}),
               ShapeError);
}

/// The formula, written out for one head after the other in double.
Tensor by_hand(const MultiHead& m, const Tensor& x, const Tensor& memory) {
  const std::int64_t h = m.config.heads, d = m.config.head_dim, group = h / m.config.kv_heads;
  const auto projected = [&](const Linear& linear, const Tensor& y) {
    return activate(linear(y), m.config.projection).to(DType::f64);
  };
  const Tensor q = projected(m.q, x), k = projected(m.k, memory), v = projected(m.v, memory);
  const std::int64_t tq = x.dim(0), tk = memory.dim(0), kv = m.config.kv_heads;
  Tensor out = Tensor::zeros({tq, h * d}, DType::f64);
  for (std::int64_t i = 0; i < tq; ++i) {
    for (std::int64_t a = 0; a < h; ++a) {
      std::vector<double> weights(static_cast<std::size_t>(tk));
      double sum = 0;
      for (std::int64_t j = 0; j < tk; ++j) {
        double score = 0;
        for (std::int64_t c = 0; c < d; ++c) {
          score += q.data<double>()[(i * h + a) * d + c] *
                   k.data<double>()[(j * kv + a / group) * d + c];
        }
        sum += weights[static_cast<std::size_t>(j)] =
            std::exp(score / std::sqrt(static_cast<double>(d)));
      }
      for (std::int64_t j = 0; j < tk; ++j) {
        for (std::int64_t c = 0; c < d; ++c) {
          out.data<double>()[(i * h + a) * d + c] += weights[static_cast<std::size_t>(j)] / sum *
                                                     v.data<double>()[(j * kv + a / group) * d + c];
        }
      }
    }
  }
  return m.config.output ? m.o(out.to(DType::f32)) : out.to(DType::f32);
}

TEST(MultiHead, EqualsTheFormula) {
  const Tensor x = random_tensor({7, 12}, 1), memory = random_tensor({5, 12}, 2);
  for (const MultiHead::Config& c :
       {MultiHead::Config{.width = 12, .heads = 3},
        MultiHead::Config{.width = 12, .heads = 6, .kv_heads = 2, .head_dim = 5},
        MultiHead::Config{.width = 12, .heads = 1, .bias = false},
        MultiHead::Config{
            .width = 12, .heads = 4, .output = false, .projection = Activation::relu}}) {
    const MultiHead m = make(c);
    EXPECT_LT(distance(m(x, memory, everything()), by_hand(m, x, memory)), 1e-5);
  }
}

TEST(MultiHead, GroupedHeadsAreRepeatedHeads) {
  const MultiHead grouped = make({.width = 12, .heads = 6, .kv_heads = 2});
  MultiHead repeated = make({.width = 12, .heads = 6});
  repeated.q = grouped.q;
  repeated.o = grouped.o;
  // Key head h of the plain form is head h / 3 of the grouped one: two columns each.
  const auto repeat = [](const Linear& from, Linear& to) {
    for (std::int64_t column = 0; column < 12; ++column) {
      const std::int64_t source = column / 2 / 3 * 2 + column % 2;
      for (std::int64_t row = 0; row < 12; ++row) {
        to.weight.data()[row * 12 + column] = from.weight.data()[row * 4 + source];
      }
      to.bias.data()[column] = from.bias.data()[source];
    }
  };
  repeat(grouped.k, repeated.k);
  repeat(grouped.v, repeated.v);
  const Tensor x = random_tensor({9, 12}, 5);
  const Mask mask = segments(Segments({4, 5})) & causal();
  EXPECT_LT(distance(grouped(x, x, mask), repeated(x, x, mask)), 1e-6);
}

TEST(MultiHead, PermutationEquivariantWithoutPositions) {
  const MultiHead m = make({.width = 12, .heads = 3});
  const Tensor x = random_tensor({6, 12}, 5);
  const std::vector<std::int64_t> order = {3, 0, 5, 1, 4, 2};
  const auto self = [&](const Tensor& y) { return m(y, y, everything()); };
  EXPECT_LT(distance(self(select_rows(x, order)), select_rows(self(x), order)), 1e-5);
  const Tensor positions = sinusoid(6, 12);
  const auto placed = [&](const Tensor& y) { return self(add(y, positions)); };
  EXPECT_GT(distance(placed(select_rows(x, order)), select_rows(placed(x), order)), 1e-2);
}

TEST(MultiHead, IdentityAdjacencyIsAMapOfEachNode) {
  const MultiHead m = make({.width = 12, .heads = 3});
  const Tensor x = random_tensor({6, 12}, 5);
  EXPECT_LT(distance(m(x, x, window(1)), m.o(m.v(x))), 1e-5);
}

TEST(MultiHead, AdjacencyIsMessagePassing) {
  const MultiHead m = make({.width = 12, .heads = 3});
  const Tensor x = random_tensor({5, 12}, 5);
  const std::vector<std::vector<std::int64_t>> neighbours = {{0, 3}, {1}, {0, 2, 4}, {3}, {1, 2}};
  const Mask graph = Mask::of("graph", [&](const MaskRow& row, Intervals& keys) {
    for (std::int64_t j : neighbours[static_cast<std::size_t>(row.query)])
      keys.push_back({j, j + 1});
  });
  const Tensor y = m(x, x, graph);
  for (std::int64_t i = 0; i < 5; ++i) {
    const Tensor node = x.rows(i, i + 1);
    const Tensor messages = select_rows(x, neighbours[static_cast<std::size_t>(i)]);
    EXPECT_LT(distance(y.rows(i, i + 1), m(node, messages, everything())), 1e-5) << "node " << i;
  }
}

TEST(MultiHead, AWideWindowIsEverything) {
  const MultiHead m = make({.width = 12, .heads = 3});
  const Tensor x = random_tensor({6, 12}, 5);
  EXPECT_LT(distance(m(x, x, window(6)), m(x, x, everything())), 1e-6);
  EXPECT_GT(distance(m(x, x, window(2)), m(x, x, everything())), 1e-2);
}

std::vector<std::int32_t> from(std::int32_t first, std::int64_t count) {
  std::vector<std::int32_t> positions(static_cast<std::size_t>(count));
  std::iota(positions.begin(), positions.end(), first);
  return positions;
}

TEST(MultiHead, ClipsQueriesKeysAndValuesBeforeTheNorms) {
  const Tensor x = random_tensor({7, 12}, 1);
  const MultiHead m = make({.width = 12, .heads = 3, .clip = 0.25, .head_norm = HeadNorm::layer});
  const auto clipped = [&](const Linear& linear) { return clamp(linear(x), -0.25, 0.25); };
  EXPECT_EQ(distance(m.values(x).reshaped({7, 12}), clipped(m.v)), 0.0);
  EXPECT_EQ(distance(m.queries(x).reshaped({7, 12}), m.q_norm(clipped(m.q))), 0.0);
  EXPECT_EQ(distance(m.keys(x).reshaped({7, 12}), m.k_norm(clipped(m.k))), 0.0);
  EXPECT_GT(distance(m.values(x).reshaped({7, 12}), m.v(x)), 0.1);
}

TEST(MultiHead, NormsTheWholeProjectionOrEachHead) {
  const Tensor x = random_tensor({7, 12}, 1);
  const std::int64_t products = 2 * (12 * 24 + 24) + 2 * (12 * 8 + 8) - (24 - 12);
  struct Case {
    HeadNorm norm;
    std::int64_t parameters;  // H·D = 24, Hkv·D = 8, D = 4
  };
  for (const Case& c : {Case{HeadNorm::none, 0}, Case{HeadNorm::layer, 2 * (24 + 8)},
                        Case{HeadNorm::layer_per_head, 2 * (4 + 4)}, Case{HeadNorm::rms, 24 + 8},
                        Case{HeadNorm::rms_per_head, 4 + 4}}) {
    const MultiHead m =
        make({.width = 12, .heads = 6, .kv_heads = 2, .head_dim = 4, .head_norm = c.norm});
    EXPECT_EQ(parameter_count(m), products + c.parameters);
    const bool each = c.norm == HeadNorm::layer_per_head || c.norm == HeadNorm::rms_per_head;
    const Tensor q = m.queries(x);
    if (c.norm == HeadNorm::none) continue;
    // Weights are ones: the mean square of what was normed together is 1.
    const std::int64_t width = each ? 4 : 24;
    for (std::int64_t r = 0; r < q.count() / width; ++r) {
      double squares = 0;
      for (std::int64_t i = 0; i < width; ++i) {
        const auto value = static_cast<double>(q.data()[r * width + i]);
        squares += value * value;
      }
      EXPECT_NEAR(squares / static_cast<double>(width), 1.0, 1e-2);
    }
    EXPECT_EQ(m(x, x, causal()).shape(), (Shape{7, 12}));
  }
}

TEST(MultiHead, RotaryHeadsKnowDistancesOnly) {
  const MultiHead m = make({.width = 12, .heads = 3, .rotary = RotaryOptions{}});
  const Tensor x = random_tensor({6, 12}, 5);
  const Tensor here = m(x, x, everything(), from(0, 6));
  EXPECT_LT(distance(m(x, x, everything(), from(700, 6)), here), 1e-4);
  const MultiHead plain = make({.width = 12, .heads = 3});
  EXPECT_GT(distance(plain(x, x, everything()), here), 1e-2);
  // A query at its place among all keys is the row of the whole.
  const Tensor last = m(x.rows(5, 6), x, everything(), from(5, 1), from(0, 6));
  EXPECT_LT(distance(last, here.rows(5, 6)), 1e-6);
  EXPECT_THROW((void)m(x, x, everything()), ShapeError);
}

TEST(MultiHead, PassesScoreBiasesAndNormaliserOn) {
  const Tensor x = random_tensor({6, 12}, 5);
  MultiHead m = make({.width = 12, .heads = 3});
  const Tensor q = m.queries(x), k = m.keys(x), v = m.values(x);
  const Attention all[] = {
      {.score = ScaledDot{0.1}, .mask = causal()},
      {.bias = {Alibi{}}, .mask = causal()},
      {.bias = {SoftCap{0.5}, Alibi{}}, .mask = causal()},
      {.mask = causal(), .norm = Relu{}},
      {.score = Cosine{.scale = 3.0}, .mask = causal(), .norm = SoftmaxSink{}},
  };
  const Tensor plain = m(x, x, causal());
  for (const Attention& how : all) {
    m.config.score = how.score;
    m.config.biases = how.bias;
    m.config.normaliser = how.norm;
    const Tensor y = m(x, x, causal());
    EXPECT_EQ(distance(y, m.joined(attend(q, k, v, how))), 0.0);
    EXPECT_GT(distance(y, plain), 1e-3);
  }
}

// Against a single key, log Σ exp S is the score itself.
TEST(Scores, VarianceIsTheWidthAndOneWhenScaled) {
  const std::int64_t rows = 20'000;
  for (const std::int64_t d : {16, 64}) {
    const Tensor q = random_tensor({rows, 1, d}, 1), k = random_tensor({rows, 1, d}, 2);
    const Mask pairs = segments(Segments(std::vector<std::int64_t>(rows, 1)));
    const auto variance = [&](const ScaledDot& score) {
      const Tensor s = attend_with_lse(q, k, k, {.score = score, .mask = pairs}).lse;
      double sum = 0, squares = 0;
      for (const float value : s.values()) {
        sum += static_cast<double>(value);
        squares += static_cast<double>(value) * static_cast<double>(value);
      }
      return squares / rows - (sum / rows) * (sum / rows);
    };
    // The estimate's own relative deviation is about √(2.4 / rows) ≈ 1.1 %.
    EXPECT_NEAR(variance({.scale = 1.0}) / static_cast<double>(d), 1.0, 0.05);
    EXPECT_NEAR(variance({}), 1.0, 0.05);
  }
}

// The parameters of attention do not know the length; those of a flattened sequence do.
TEST(MultiHead, ParametersDoNotGrowWithTheLength) {
  const MultiHead m = make({.width = 12, .heads = 3});
  for (const std::int64_t length : {1, 5, 40}) {
    const Tensor x = random_tensor({length, 12}, 5);
    EXPECT_EQ(m(x, x, everything()).shape(), (Shape{length, 12}));
    EXPECT_EQ(parameter_count(m), 4 * (12 * 12 + 12));
    Initialiser init(1);
    EXPECT_EQ(parameter_count(Linear::make(init, length * 12, length * 12)),
              length * 12 * (length * 12 + 1));
  }
}

TEST(AttentionObserver, SeesWithoutChanging) {
  const MultiHead m = make({.width = 12, .heads = 3});
  const Tensor x = random_tensor({6, 12}, 5), memory = random_tensor({4, 12}, 6);
  const Tensor before = m(x, memory, everything());
  std::vector<Shape> seen;
  int outer = 0;
  {
    const AttentionObserver first([&](const AttentionCall&) { ++outer; });
    {
      const AttentionObserver observer([&](const AttentionCall& call) {
        seen.push_back(call.q.shape());
        seen.push_back(call.k.shape());
      });
      EXPECT_EQ(distance(m(x, memory, everything()), before), 0.0);
    }
    EXPECT_EQ(outer, 0) << "only the innermost one looks";
    (void)m(x, memory, everything());
  }
  (void)m(x, memory, everything());
  EXPECT_EQ(seen, (std::vector<Shape>{{6, 3, 4}, {4, 3, 4}}));
  EXPECT_EQ(outer, 1);
}

}  // namespace
}  // namespace qkv

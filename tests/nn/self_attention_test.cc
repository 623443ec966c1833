#include "qkv/nn/self_attention.h"

#include <cmath>
#include <numeric>

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/autograd/check.h"
#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using testing::distance;
using testing::random_tensor;

using Match = SelfAttention::Match;

SelfAttention make(const SelfAttention::Config& config, DType type = DType::f32) {
  Initialiser init(1, type);
  return SelfAttention::make(init, config);
}

/// Every form of the layer.
std::vector<SelfAttention::Config> forms() {
  std::vector<SelfAttention::Config> all;
  for (const Match match : {Match::dot, Match::additive}) {
    for (const bool relu : {false, true}) {
      for (const bool two_stage : {false, true}) {
        for (const bool output : {false, true}) {
          all.push_back({.width = 6,
                         .heads = 2,
                         .match = match,
                         .two_stage = two_stage,
                         .relu = relu,
                         .output = output});
        }
      }
    }
  }
  return all;
}

/// The lecture's matrix form with positions as columns, for one head: A = KᵀQ (or w·tanh), A' over
/// each column, O = V A'.
Tensor by_hand(const SelfAttention& m, const Tensor& x, std::int64_t head) {
  const std::int64_t n = x.dim(0), h = m.config.heads, d = m.config.head_dim;
  const Tensor q = m.queries(x), k = m.keys(x), v = m.values(x);
  const auto at = [&](const Tensor& t, std::int64_t i, std::int64_t c) {
    return t.data<double>()[(i * h + head) * d + c];
  };
  Tensor out = Tensor::zeros({n, d}, DType::f64);
  for (std::int64_t i = 0; i < n; ++i) {
    std::vector<double> column(static_cast<std::size_t>(n));
    for (std::int64_t j = 0; j < n; ++j) {
      double score = 0;
      for (std::int64_t c = 0; c < d; ++c) {
        score += m.config.match == Match::dot
                     ? at(k, j, c) * at(q, i, c)
                     : m.match.data<double>()[head * d + c] * std::tanh(at(q, i, c) + at(k, j, c));
      }
      column[static_cast<std::size_t>(j)] = m.config.relu ? std::max(score, 0.0) : std::exp(score);
    }
    const double sum = m.config.relu ? 1 : std::accumulate(column.begin(), column.end(), 0.0);
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t c = 0; c < d; ++c) {
        out.data<double>()[i * d + c] += column[static_cast<std::size_t>(j)] / sum * at(v, j, c);
      }
    }
  }
  return out;
}

TEST(SelfAttention, IsTheLecturesFormula) {
  const Tensor x = random_tensor({5, 6}, 2, DType::f64);
  for (SelfAttention::Config c : forms()) {
    c.output = false;
    const SelfAttention m = make(c, DType::f64);
    const Tensor y = m(x);
    for (std::int64_t head = 0; head < 2; ++head) {
      const Tensor want = by_hand(m, x, head);
      for (std::int64_t i = 0; i < 5; ++i) {
        for (std::int64_t a = 0; a < 3; ++a) {
          EXPECT_NEAR(y.data<double>()[i * 6 + head * 3 + a], want.data<double>()[i * 3 + a],
                      1e-12);
        }
      }
    }
    EXPECT_LT(distance(make(c)(x.to(DType::f32)), y), 1e-5) << "float";
  }
}

TEST(SelfAttention, TwoStagesAreOne) {
  const Tensor x = random_tensor({7, 6}, 2);
  for (const SelfAttention::Config& c : forms()) {
    const SelfAttention m = make(c), one = m.folded();
    EXPECT_FALSE(one.config.two_stage);
    EXPECT_LT(distance(m(x), one(x)), 1e-5);
    if (c.two_stage) {
      EXPECT_EQ(parameter_count(m) - parameter_count(one), 3 * 6 * 6);
    }
  }
}

TEST(SelfAttention, ParametersDoNotGrowWithTheLength) {
  EXPECT_EQ(parameter_count(make({.width = 6})), 3 * 6 * 6);
  EXPECT_EQ(parameter_count(make({.width = 6, .heads = 2})), 3 * 6 * 6);
  EXPECT_EQ(parameter_count(make({.width = 6, .heads = 2, .output = true})), 4 * 6 * 6);
  EXPECT_EQ(parameter_count(make({.width = 6, .heads = 2, .head_dim = 5, .two_stage = true})),
            3 * 6 * 6 + 3 * 6 * 10);
  EXPECT_EQ(parameter_count(make({.width = 6, .heads = 2, .match = Match::additive})),
            3 * 6 * 6 + 6);
  for (const SelfAttention::Config& c : forms()) {
    const SelfAttention m = make(c);
    const std::int64_t count = parameter_count(m);
    for (const std::int64_t n : {1, 4, 50}) {
      EXPECT_EQ(m(random_tensor({n, 6}, 2)).shape(), (Shape{n, 6}));
      EXPECT_EQ(parameter_count(m), count);
    }
  }
  Initialiser init(1);
  EXPECT_THROW(SelfAttention::make(init, {.width = 7, .heads = 2}), ShapeError);
}

TEST(SelfAttention, PermutationEquivariant) {
  const Tensor x = random_tensor({6, 6}, 2);
  const std::vector<std::int64_t> order = {3, 0, 5, 1, 4, 2};
  for (const SelfAttention::Config& c : forms()) {
    const SelfAttention m = make(c);
    EXPECT_LT(distance(m(select_rows(x, order)), select_rows(m(x), order)), 1e-5);
  }
}

TEST(SelfAttention, AWindowSeesItsSurroundings) {
  const Tensor x = random_tensor({9, 6}, 2);
  for (const SelfAttention::Config& c : forms()) {
    const SelfAttention m = make(c);
    const Tensor whole = m(x), near = m(x, window(2));
    EXPECT_LT(distance(m(x, window(9)), whole), 1e-6);
    EXPECT_GT(distance(near, whole), 1e-4);
    // Row 4 sees 3, 4, 5: as if there were no others.
    EXPECT_LT(distance(m(x.rows(3, 6)).rows(1, 2), near.rows(4, 5)), 1e-5);
  }
}

TEST(SelfAttention, IdentityAdjacencyIsTheValueMapOfEachNode) {
  const Tensor x = random_tensor({6, 6}, 2);
  for (const SelfAttention::Config& c : forms()) {
    if (c.relu) continue;  // a lone weight is not 1 there
    const SelfAttention m = make(c);
    const Tensor values = m.values(x).reshaped({6, 6});
    EXPECT_LT(distance(m(x, window(1)), c.output ? m.o(values) : values), 1e-6);
  }
}

TEST(SelfAttention, ReluIsHomogeneousInTheScores) {
  const Tensor x = random_tensor({6, 6}, 2);
  for (const SelfAttention::Config& c : forms()) {
    SelfAttention m = make(c), scaled = m;
    if (c.match == Match::dot) {
      scaled.config.scale = 3.0;
    } else {
      scaled.match = scale(m.match, 3.0);
    }
    const Tensor thrice = scale(m(x), 3.0);
    EXPECT_EQ(distance(scaled(x), thrice) < 1e-5, c.relu);
  }
}

TEST(SelfAttention, GradientsMatchFiniteDifferences) {
  for (const SelfAttention::Config& c : forms()) {
    SelfAttention m = make(c, DType::f64);
    std::vector<Tensor> inputs = {random_tensor({4, 6}, 2, DType::f64)};
    for_each_parameter(m, [&](std::string_view, Tensor& p) { inputs.push_back(p.clone()); });
    const auto result = check_gradients(
        [&](std::span<const Tensor> given) {
          std::size_t next = 1;
          for_each_parameter(m, [&](std::string_view, Tensor& p) { p = given[next++]; });
          return m(given[0]);
        },
        inputs);
    EXPECT_LT(result.worst, 1e-7) << result.where;
  }
}

}  // namespace
}  // namespace qkv

#include "qkv/nn/graph_attention.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "golden/fill.h"
#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/attention/explain.h"
#include "qkv/attention/observer.h"
#include "qkv/autograd/check.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using testing::distance;
using testing::Fill;
using testing::random_tensor;
using Lists = std::vector<std::vector<std::int64_t>>;
using Match = GraphAttention::Match;

const Lists kPath = {{0, 1}, {0, 1, 2}, {1, 2, 3}, {2, 3}};  // 0–1–2–3, each its own neighbour

void expect_values(const Tensor& x, const std::vector<double>& want, double tolerance) {
  const Tensor y = x.to(DType::f64);
  ASSERT_GE(y.count(), static_cast<std::int64_t>(want.size()));
  for (std::size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(y.data<double>()[i], want[i], tolerance) << i;
  }
}

/// A graph in which node i sees itself, a few others at random, and node `hub` sees all.
Lists random_graph(std::int64_t nodes, std::int64_t most, std::uint64_t seed) {
  Philox random(seed);
  Lists lists(static_cast<std::size_t>(nodes));
  for (std::int64_t i = 0; i < nodes; ++i) {
    auto& keys = lists[static_cast<std::size_t>(i)];
    keys.push_back(i);
    for (std::uint64_t n = random.below(static_cast<std::uint64_t>(most)); n > 0; --n) {
      keys.push_back(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(nodes))));
    }
  }
  lists[0].resize(static_cast<std::size_t>(nodes));
  std::iota(lists[0].begin(), lists[0].end(), std::int64_t{0});
  return lists;
}

GraphAttention layer(Match match, std::int64_t features, std::int64_t heads, std::int64_t width,
                     DType type = DType::f32, bool average = false) {
  Initialiser init(5, type);
  GraphAttention m = GraphAttention::make(
      init,
      {.features = features, .heads = heads, .width = width, .match = match, .average = average});
  m.bias = random_tensor(m.bias.shape(), 3, type);
  return m;
}

TEST(GraphAttention, GivesThePublishedNumbers) {
  for (const DType type : {DType::f64, DType::f32}) {
    const double tolerance = type == DType::f64 ? 1e-6 : 1e-5;
    Fill fill(31);
    const Tensor x = fill.tensor({4, 3}, 2, 0, type);
    GraphAttention first = layer(Match::gat, 3, 2, 2, type);
    first.weight = fill.tensor({3, 4}, 2, 0, type);
    first.own = fill.tensor({2, 2}, 2, 0, type);
    first.seen = fill.tensor({2, 2}, 2, 0, type);
    first.bias = fill.tensor({4}, 1, 0, type);
    const Tensor y = first(x, graph(kPath));
    expect_values(y,
                  {-.265395, -.630268, -.452458, .544761, -.307390, -.691177, -.405110, .617305,
                   .283404, -.272774, -.551904, .438574, -.108976, -.522951, -.370386, .263287},
                  tolerance);

    if (type == DType::f32) {  // what an observer sees
      const auto seen = attention_seen([&] { (void)first(x, graph(kPath)); });
      ASSERT_EQ(seen.size(), 1U);
      expect_values(seen[0].weights.rows(0, 1),
                    {.513868, .486132, 0, 0, .356943, .270468, .372590, 0, 0, .341277, .363857,
                     .294866, 0, 0, .741005, .258995},
                    1e-5);
      expect_values(seen[0].weights.rows(1, 2).reshaped({4, 4}).rows(1, 2),
                    {.270006, .362993, .367001, 0}, 1e-5);
    }
    GraphAttention second = layer(Match::gat, 4, 2, 2, type, true);
    second.config.activation = Activation::none;
    second.weight = fill.tensor({4, 4}, 2, 0, type);
    second.own = fill.tensor({2, 2}, 2, 0, type);
    second.seen = fill.tensor({2, 2}, 2, 0, type);
    second.bias = fill.tensor({2}, 1, 0, type);
    expect_values(second(y, graph(kPath)),
                  {-1.160606, .277873, -1.045439, .219577, -.974402, .156108, -.861289, .075988},
                  tolerance);
  }
}

TEST(GraphAttention, TheSecondVersionGivesThePublishedNumbers) {
  for (const DType type : {DType::f64, DType::f32}) {
    Fill fill(32);
    const Tensor x = fill.tensor({4, 3}, 2, 0, type);
    GraphAttention m = layer(Match::gatv2, 3, 2, 2, type);
    m.query = fill.tensor({3, 4}, 2, 0, type);
    m.weight = fill.tensor({3, 4}, 2, 0, type);
    m.own = fill.tensor({2, 2}, 2, 0, type);
    m.bias = fill.tensor({4}, 1, 0, type);
    const Tensor y = m(x, graph(kPath));
    if (type == DType::f32) {
      const auto seen = attention_seen([&] { (void)m(x, graph(kPath)); });
      expect_values(seen.at(0).weights.rows(0, 1).reshaped({4, 4}).rows(1, 2),
                    {.350430, .195742, .453828, 0}, 1e-5);
    }
    expect_values(y, {.061247, .095729, .421684, -.273901, -.310607, .584754, .313887, .022169},
                  1e-5);
    EXPECT_NEAR(sum(y).item(), 2.256234, 1e-5);
  }
}

TEST(GraphConvolution, GivesThePublishedNumbers) {
  Fill fill(33);
  const Tensor x = fill.tensor({4, 3}, 2, 0, DType::f32);
  const GraphConvolution m{.weight = fill.tensor({3, 2}, 2, 0, DType::f32),
                           .activation = Activation::none};
  GraphWeights w{.neighbours = graph(kPath), .inverse_root = {}};
  const std::vector<float> roots = {std::sqrt(1 / 2.0f), std::sqrt(1 / 3.0f), std::sqrt(1 / 3.0f),
                                    std::sqrt(1 / 2.0f)};
  w.inverse_root = Tensor::of(roots, {4});
  Tensor y;
  const auto seen = attention_seen([&] { y = m(x, w); });
  expect_values(seen.at(0).weights.reshaped({4, 4}).rows(1, 2), {.408248, .333333, .333333, 0},
                1e-5);
  expect_values(y, {-.112133, -.444835, -.110598, -.270308, .020416, -.065151, -.102301, .233951},
                1e-5);
}

TEST(GraphAttention, HasTheGradientsOfItsNumbers) {
  const Lists lists = {{0, 1, 4}, {1}, {0, 1, 2, 3, 4}, {2, 3}, {}};
  for (const Match match : {Match::gat, Match::gatv2}) {
    for (const bool average : {false, true}) {
      for (const double rate : {0.0, 0.4}) {
        GraphAttention m = layer(match, 3, 2, 2, DType::f64, average);
        m.config.dropout = m.config.feature_dropout = rate;
        const bool v2 = match == Match::gatv2;
        const std::vector<Tensor> inputs = {random_tensor({5, 3}, 1, DType::f64), m.weight, m.own,
                                            v2 ? m.query : m.seen, m.bias};
        const auto check = check_gradients(
            [&](std::span<const Tensor> x) {
              GraphAttention with = m;
              with.weight = x[1];
              with.own = x[2];
              (v2 ? with.query : with.seen) = x[3];
              with.bias = x[4];
              return with(x[0], graph(lists));
            },
            inputs);
        EXPECT_LT(check.worst, 1e-6) << check.where << " rate " << rate;
      }
    }
  }
}

TEST(GraphConvolution, HasTheGradientsOfItsNumbers) {
  GraphWeights w{.neighbours = graph(kPath), .inverse_root = {}};
  w.inverse_root = Tensor::full({4}, 0.5, DType::f64);
  w.edges = {FunctionBias{"twice", [](double s, const auto&) { return 2 * s; },
                          [](double, const auto&) { return 2.0; }}};
  const std::vector<Tensor> inputs = {random_tensor({4, 3}, 1, DType::f64),
                                      random_tensor({3, 2}, 2, DType::f64)};
  const auto check = check_gradients(
      [&](std::span<const Tensor> x) {
        const GraphConvolution m{.weight = x[1], .activation = Activation::elu};
        return m(x[0], w);
      },
      inputs);
  EXPECT_LT(check.worst, 1e-6) << check.where;
}

TEST(GraphAttention, AFullGraphIsEverything) {
  Lists full(7);
  for (auto& keys : full) {
    keys.resize(7);
    std::iota(keys.begin(), keys.end(), std::int64_t{0});
  }
  for (const Match match : {Match::gat, Match::gatv2}) {
    const GraphAttention m = layer(match, 3, 2, 4);
    const Tensor x = random_tensor({7, 3}, 1);
    EXPECT_LT(distance(m(x, graph(full)), m(x, everything())), 1e-6);
  }
}

TEST(GraphAttention, WithoutScoresItIsTheMeanOfTheNeighbours) {
  GraphAttention m = layer(Match::gat, 3, 2, 2);
  m.own = Tensor::zeros({2, 2});
  m.seen = Tensor::zeros({2, 2});
  m.bias = Tensor::zeros({4});
  m.config.activation = Activation::none;
  const Tensor x = random_tensor({4, 3}, 1), z = matmul(x, m.weight), y = m(x, graph(kPath));
  for (std::int64_t i = 0; i < 4; ++i) {
    for (std::int64_t c = 0; c < 4; ++c) {
      float mean = 0;
      const auto& keys = kPath[static_cast<std::size_t>(i)];
      for (const std::int64_t j : keys) mean += z.data()[j * 4 + c];
      EXPECT_NEAR(y.data()[i * 4 + c], mean / static_cast<float>(keys.size()), 1e-6);
    }
  }
}

TEST(GraphAttention, NodesThatMoveTakeTheirOutputsAlong) {
  const Lists lists = random_graph(40, 5, 1);
  std::vector<std::int64_t> order(40), place(40);
  std::iota(order.begin(), order.end(), std::int64_t{0});
  Philox random(9);
  shuffle(std::span<std::int64_t>(order), random);
  Lists moved(40);
  for (std::size_t n = 0; n < 40; ++n)
    place[static_cast<std::size_t>(order[n])] = static_cast<std::int64_t>(n);
  for (std::size_t n = 0; n < 40; ++n) {
    for (const std::int64_t j : lists[static_cast<std::size_t>(order[n])]) {
      moved[n].push_back(place[static_cast<std::size_t>(j)]);
    }
  }
  const Tensor x = random_tensor({40, 3}, 1);
  for (const Match match : {Match::gat, Match::gatv2}) {
    const GraphAttention m = layer(match, 3, 2, 4);
    EXPECT_LT(
        distance(select_rows(m(x, graph(lists)), order), m(select_rows(x, order), graph(moved))),
        1e-5);
  }
}

TEST(GraphAttention, ANodeWithoutEdgesChangesNoOtherBit) {
  Lists lists = random_graph(300, 5, 1);
  const Tensor more = random_tensor({301, 3}, 1), x = more.rows(0, 300);
  for (const Match match : {Match::gat, Match::gatv2}) {
    const GraphAttention m = layer(match, 3, 2, 4);
    const Tensor y = m(x, graph(lists));
    Lists longer = lists;
    longer.push_back({});  // it does not even see itself
    const Tensor z = m(more, graph(longer));
    EXPECT_TRUE(std::ranges::equal(y.values(), z.rows(0, 300).values()));
    for (const float value : z.values()) EXPECT_TRUE(std::isfinite(value));
  }
}

/// Gradients of q, k, v and the weight of a score along lists, in f32.
std::vector<Tensor> list_gradients(const Attention& how, const std::vector<Tensor>& inputs,
                                   Tensor* out = nullptr) {
  Tape tape;
  Tensor y;
  {
    const Recording on(tape, 7);
    y = attend(inputs[0], inputs[1], inputs[2], how);
  }
  for (const Tensor& x : inputs) clear_gradient(x);
  tape.backward(y, random_tensor(y.shape(), 77));
  std::vector<Tensor> gradients;
  for (const Tensor& x : inputs) gradients.push_back(gradient_of(x).clone());
  if (out) *out = y.clone();
  return gradients;
}

TEST(NeighbourRows, AreTheDefinitionForAnyNumberOfThreads) {
  const Mask mask = graph(random_graph(600, 6, 3));
  std::vector<Tensor> inputs = {random_tensor({600, 4, 8}, 1), random_tensor({600, 2, 8}, 2),
                                random_tensor({600, 2, 5}, 3), random_tensor({4, 8}, 4)};
  for (Tensor& x : inputs) x = parameter(x);
  for (const double slope : {0.0, 0.2, -1.0}) {
    Attention how{
        .score =
            Additive{.weight = inputs[3], .query = {}, .key = {}, .activation = LeakyRelu{slope}},
        .mask = mask,
        .dropout = 0.3};
    if (slope < 0) how.score = Additive{.weight = inputs[3]};
    Tensor one, two, exact;
    const auto fast = [&](int threads, Tensor& out) {
      const ThreadScope scope(threads);
      return list_gradients(how, inputs, &out);
    };
    const auto a = fast(1, one), b = fast(3, two);
    how.run = Execution::definition;
    const auto c = list_gradients(how, inputs, &exact);
    EXPECT_TRUE(std::ranges::equal(one.values(), two.values()));
    EXPECT_LT(distance(one, exact), 1e-5);
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_TRUE(std::ranges::equal(a[i].values(), b[i].values())) << i;
      EXPECT_LT(distance(a[i], c[i]), 2e-3) << i;
    }
  }
}

TEST(NeighbourRows, AreWhatExplainSaysOfAGraph) {
  const Tensor x = random_tensor({600, 2, 8}, 1);
  const Lists lists = random_graph(600, 6, 3);
  const Explanation e = explain(x, x, x, {.mask = graph(lists)});
  EXPECT_EQ(e.path, kernels::AttendPath::neighbour_rows);
  EXPECT_EQ(e.visited, e.visible);
  EXPECT_NE(to_string(e).find("neighbour rows"), std::string::npos);
  EXPECT_EQ(explain(x, x, x, {.mask = graph(lists) & causal()}).path,
            kernels::AttendPath::neighbour_rows);
  EXPECT_NE(explain(x, x, x, {.mask = ~graph(lists)}).path, kernels::AttendPath::neighbour_rows);
  EXPECT_NE(explain(x, x, x, {.mask = graph(lists) | causal()}).path,
            kernels::AttendPath::neighbour_rows);
}

TEST(GraphAttention, CountsAreThosePublishedForCora) {
  GraphAttention first = layer(Match::gat, 1433, 8, 8), last = layer(Match::gat, 64, 1, 7);
  EXPECT_EQ(parameter_count(first) + parameter_count(last), 91904 + 469);
}

TEST(GraphAttention, RefusesWhatMakesNoLayer) {
  Initialiser init(1);
  EXPECT_THROW(GraphAttention::make(init, {.features = 0}), Error);
  EXPECT_THROW(
      attend(random_tensor({2, 1, 1}, 1), random_tensor({2, 1, 1}, 1), random_tensor({2, 1, 1}, 1),
             {.score = Additive{.weight = Tensor::full({1}, 1.0),
                                .query = {},
                                .key = {},
                                .activation = LeakyRelu{std::nan("")}}}),
      Error);
}

}  // namespace
}  // namespace qkv

#include "qkv/nn/recurrent.h"

#include <cmath>
#include <cstring>

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/kernels/gemm.h"
#include "qkv/ops/linear.h"

namespace qkv {
namespace {

using testing::distance;
using testing::random_tensor;

Recurrent make(const Recurrent::Config& config) {
  Initialiser init(3);
  return Recurrent::make(init, config);
}

TEST(Recurrent, CountsAreThoseOfPyTorch) {
  // GRU(i, h, L) = Σ over layers (3h·in + 3h² + 6h), an LSTM has four gates.
  const auto gru = [](std::int64_t in, std::int64_t h, std::int64_t layers) {
    return parameter_count(make({.input = in, .width = h, .layers = layers}));
  };
  EXPECT_EQ(gru(8, 16, 2), (3 * 16 * 8 + 3 * 16 * 16 + 96) + (3 * 16 * 16 * 2 + 96));
  EXPECT_EQ(gru(8, 16, 1), 1248);
  EXPECT_EQ(parameter_count(make({.cell = Cell::lstm, .input = 5, .width = 7})),
            4 * (7 * 5 + 7 * 7 + 14));
  EXPECT_EQ(parameter_count(make({.input = 5, .width = 7, .bias = false})), 3 * (35 + 49));
  // Two directions: the second layer reads both.
  EXPECT_EQ(parameter_count(make({.input = 5, .width = 7, .layers = 2, .bidirectional = true})),
            2 * (3 * 7 * 5 + 3 * 49 + 42) + 2 * (3 * 7 * 14 + 3 * 49 + 42));
}

TEST(Recurrent, NamesOfParameters) {
  std::vector<std::string> names;
  const Recurrent m = make({.input = 2, .width = 2, .layers = 2, .bidirectional = true});
  for_each_parameter(m, [&](std::string_view path, const Tensor&) { names.emplace_back(path); });
  ASSERT_EQ(names.size(), 16U);
  EXPECT_EQ(names[0], "forward.0.input");
  EXPECT_EQ(names[5], "forward.1.hidden");
  EXPECT_EQ(names[11], "backward.0.hidden_bias");
}

TEST(Recurrent, GruGivesThePublishedNumbers) {
  // PyTorch's GRU(2, 2), every tensor cos(0), cos(1) … as it stores them, x_t = (cos 2t, cos 2t+1).
  Recurrent m = make({.input = 2, .width = 2});
  for_each_parameter(m, [](std::string_view, Tensor& p) {
    std::vector<float> stored;
    for (std::int64_t i = 0; i < p.count(); ++i) {
      stored.push_back(std::cos(static_cast<float>(i)));
    }
    if (p.shape().rank() == 2) {
      kernels::transpose(p.dim(1), p.dim(0), stored.data(), p.data());
    } else {
      std::copy(stored.begin(), stored.end(), p.data());
    }
  });
  const Tensor x =
      Tensor::of<float>({std::cos(0.f), std::cos(1.f), std::cos(2.f), std::cos(3.f)}, {2, 2});
  const Recurrent::Result y = m(x, Segments({2}));
  const double want[] = {-.758090, -.247515, -.219009, .884183};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(static_cast<double>(y.out.values()[i]), want[i], 1e-6);
  }
  EXPECT_NEAR(static_cast<double>(y.last[0].h.values()[1]), want[3], 1e-6);
}

TEST(Recurrent, LstmIsItsEquations) {
  // One step of width 1, by hand.
  Recurrent m = make({.cell = Cell::lstm, .input = 1, .width = 1});
  float next = 0.1f;
  for_each_parameter(m, [&](std::string_view, Tensor& p) {
    for (float& value : p.values()) value = next += 0.1f;
  });
  const Tensor x = Tensor::of<float>({0.5f}, {1, 1});
  const Recurrent::Result y =
      m(x, Segments({1}), {{Tensor::full({1, 1}, -0.3), Tensor::full({1, 1}, 0.4)}});
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  const auto sum = [](int gate) {  // weights .2 … .5, .6 … .9, biases 1.0 … 1.3, 1.4 … 1.7
    return 0.5 * (.2 + .1 * gate) - 0.3 * (.6 + .1 * gate) + (1.0 + .1 * gate) + (1.4 + .1 * gate);
  };
  const double c = sigmoid(sum(1)) * 0.4 + sigmoid(sum(0)) * std::tanh(sum(2));
  EXPECT_NEAR(y.last[0].c.item(), c, 1e-6);
  EXPECT_NEAR(y.out.item(), sigmoid(sum(3)) * std::tanh(c), 1e-6);
}

TEST(Recurrent, BothDirectionsStandSideBySide) {
  const Recurrent both = make({.input = 3, .width = 4, .bidirectional = true});
  const Tensor x = random_tensor({5, 3}, 1);
  const Segments segments({2, 3});
  const Recurrent::Result y = both(x, segments);
  const Recurred there = recurrent(x, segments, both.forward[0].weights);
  const Recurred back = recurrent(x, segments, both.backward[0].weights, {}, {.reverse = true});
  for (std::int64_t t = 0; t < 5; ++t) {
    for (std::int64_t k = 0; k < 4; ++k) {
      EXPECT_EQ(y.out.data()[t * 8 + k], there.out.data()[t * 4 + k]);
      EXPECT_EQ(y.out.data()[t * 8 + 4 + k], back.out.data()[t * 4 + k]);
    }
  }
  ASSERT_EQ(y.last.size(), 2U);
  // The backward direction ends at the first row of each sequence.
  EXPECT_EQ(y.last[1].h.data()[4], back.out.data()[2 * 4]);
}

TEST(Recurrent, ALoopIsTheWholeSequenceBitForBit) {
  for (const Cell cell : {Cell::gru, Cell::gru_reset_before, Cell::lstm}) {
    const Recurrent m = make({.cell = cell, .input = 3, .width = 20, .layers = 3});
    const Tensor x = random_tensor({6, 3}, 2);
    const Recurrent::Result whole = m(x, Segments({6}));
    RecurrentLoop loop(m, {}, 0);
    const RecurrentWeights& first = m.forward[0].weights;
    for (std::int64_t t = 0; t < 6; ++t) {
      const Tensor h = loop(linear(x.rows(t, t + 1), first.input, first.input_bias));
      EXPECT_EQ(std::memcmp(h.data(), whole.out.data() + t * 20, 20 * sizeof(float)), 0)
          << "step " << t;
    }
    for (std::size_t l = 0; l < 3; ++l) {
      EXPECT_EQ(distance(loop.states()[l].h, whole.last[l].h), 0.0);
    }
  }
}

TEST(Recurrent, DropoutStandsBetweenLayersWhileTraining) {
  const Tensor x = random_tensor({4, 3}, 2);
  for (const std::int64_t layers : {1, 2}) {
    const Recurrent m = make({.input = 3, .width = 16, .layers = layers, .dropout = 0.5});
    const Tensor calm = m(x, Segments({4})).out;
    Tape tape;
    const Recording on(tape, 7);
    const double difference = distance(m(x, Segments({4})).out, calm);
    EXPECT_EQ(difference > 0, layers > 1);
  }
}

TEST(Recurrent, WrongSizesThrow) {
  Initialiser init(1);
  EXPECT_THROW((void)Recurrent::make(init, {.input = 0, .width = 2}), Error);
  EXPECT_THROW((void)Recurrent::make(init, {.input = 2, .width = 2, .dropout = 1.0}), Error);
  const Recurrent m = make({.input = 3, .width = 4, .layers = 2});
  EXPECT_THROW((void)m(random_tensor({2, 3}, 1), Segments({2}), RecurrentStates(1)), ShapeError);
  EXPECT_THROW((void)m(random_tensor({2, 4}, 1), Segments({2})), ShapeError);
}

}  // namespace
}  // namespace qkv

// What the table of operations does not say of recurrent layers: laws, shapes, and that a loop of
// steps is the layer.
#include "qkv/ops/recurrent.h"

#include <gtest/gtest.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/pieces.h"
#include "qkv/ops/steps.h"

namespace qkv {
namespace {

Tensor normals(const Shape& shape, std::uint64_t key, DType type = DType::f32) {
  Philox random(key_of(key));
  Tensor x = Tensor::empty(shape, DType::f64);
  for (double& value : x.values<double>()) value = random.normal() * 0.5;
  return x.to(type);
}

/// A layer of width 6 over inputs of width 4, as parameters.
struct Layer {
  Cell cell;
  RecurrentWeights weights;

  explicit Layer(Cell which, DType type = DType::f32) : cell(which) {
    const std::int64_t wide = kernels::gates_of(cell) * 6;
    weights = {parameter(normals({4, wide}, 1, type)), parameter(normals({6, wide}, 2, type)),
               parameter(normals({wide}, 3, type)), parameter(normals({wide}, 4, type))};
  }
  std::vector<Tensor> gradients() const {
    return {gradient_of(weights.input), gradient_of(weights.hidden),
            gradient_of(weights.input_bias), gradient_of(weights.hidden_bias)};
  }
};

void expect_near(const Tensor& a, const Tensor& b, double tolerance) {
  ASSERT_TRUE(a.defined() && b.defined());
  ASSERT_EQ(a.shape(), b.shape());
  for (std::int64_t i = 0; i < a.count(); ++i) {
    ASSERT_NEAR(a.data<double>()[i], b.data<double>()[i], tolerance) << "element " << i;
  }
}

TEST(RecurrentOps, ALoopOfStepsIsTheLayerAndHasItsGradients) {
  for (const Cell cell : {Cell::gru, Cell::gru_reset_before, Cell::lstm}) {
    const Layer a(cell, DType::f64), b(cell, DType::f64);
    const Tensor x = normals({8, 4}, 9, DType::f64), dy = normals({8, 6}, 10, DType::f64);
    Tape tape;
    Tensor whole;
    {
      const Recording on(tape);
      whole = recurrent(x, Segments({8}), a.weights, {}, {.cell = cell}).out;
    }
    tape.backward(whole, dy);
    Tensor looped;
    {
      const Recording on(tape);
      StepLinear in(b.weights.input, b.weights.input_bias, 8);
      StepCell step(cell, b.weights.hidden, b.weights.hidden_bias, 8);
      RecurrentState state;
      std::vector<Tensor> out;
      for (std::int64_t t = 0; t < 8; ++t) {
        state = step(in(slice_rows(x, t, t + 1)), state);
        out.push_back(state.h);
      }
      looped = stack_rows(out);
    }
    tape.backward(looped, dy);
    expect_near(looped, whole, 1e-13);
    const std::vector<Tensor> want = a.gradients(), got = b.gradients();
    for (std::size_t i = 0; i < want.size(); ++i) expect_near(got[i], want[i], 1e-12);
  }
}

TEST(RecurrentOps, AStepThatNobodyReadsCountsForNothing) {
  // The loop went on after the row that the loss sees.
  const Layer a(Cell::gru, DType::f64), b(Cell::gru, DType::f64);
  const Tensor x = normals({5, 4}, 9, DType::f64), dy = normals({1, 6}, 10, DType::f64);
  const auto run = [&](const Layer& layer, std::int64_t steps) {
    Tape tape;
    Tensor seen;
    {
      const Recording on(tape);
      StepLinear in(layer.weights.input, layer.weights.input_bias, 5);
      StepCell step(Cell::gru, layer.weights.hidden, layer.weights.hidden_bias, 5);
      RecurrentState state;
      for (std::int64_t t = 0; t < steps; ++t) {
        state = step(in(slice_rows(x, t, t + 1)), state);
        if (t == 2) seen = state.h;
      }
    }
    tape.backward(seen, dy);
  };
  run(a, 3);
  run(b, 5);
  for (std::size_t i = 0; i < 4; ++i) expect_near(b.gradients()[i], a.gradients()[i], 1e-13);
}

TEST(RecurrentOps, EmptySequencesKeepTheirState) {
  const Layer layer(Cell::lstm);
  const RecurrentState initial{normals({2, 6}, 5), normals({2, 6}, 6)};
  const Recurred y =
      recurrent(normals({3, 4}, 7), Segments({0, 3}), layer.weights, initial, {.cell = Cell::lstm});
  for (std::int64_t k = 0; k < 6; ++k) {
    EXPECT_EQ(y.last.h.data()[k], initial.h.data()[k]);
    EXPECT_EQ(y.last.c.data()[k], initial.c.data()[k]);
    EXPECT_EQ(y.last.h.data()[6 + k], y.out.data()[12 + k]);
  }
}

TEST(RecurrentOps, ShapesAreChecked) {
  const Layer layer(Cell::gru);
  const Tensor x = normals({3, 4}, 7);
  EXPECT_THROW((void)gru(x, Segments({4}), layer.weights), ShapeError);
  EXPECT_THROW((void)gru(normals({3, 5}, 7), Segments({3}), layer.weights), ShapeError);
  EXPECT_THROW((void)gru(x, Segments({3}), layer.weights, normals({2, 6}, 1)), ShapeError);
  EXPECT_THROW((void)lstm(x, Segments({3}), layer.weights), ShapeError);
  EXPECT_THROW((void)recurrent(x, Segments({3}), layer.weights, {{}, normals({1, 6}, 1)}),
               ShapeError);
  EXPECT_THROW((void)gru(x.to(DType::f64), Segments({3}), layer.weights), ShapeError);
  StepCell step(Cell::gru, layer.weights.hidden, {}, 0);
  EXPECT_THROW((void)step(normals({2, 17}, 1), {}), ShapeError);
  EXPECT_THROW((void)step(normals({2, 18}, 1), {normals({1, 6}, 1), {}}), ShapeError);
  EXPECT_THROW((void)slice_rows(x, 2, 4), ShapeError);
  EXPECT_THROW((void)join_columns(std::vector<Tensor>{x, normals({2, 4}, 1)}), ShapeError);
  EXPECT_THROW((void)stack_rows(std::vector<Tensor>{x, normals({2, 5}, 1)}), ShapeError);
}

}  // namespace
}  // namespace qkv

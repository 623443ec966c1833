// Linear attention as an operation: golden values, gradients of every input, maps of one's own,
// states, and what is refused.
#include "qkv/attention/linear.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/autograd/check.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using testing::distance;
using testing::random_tensor;

/// cos(first), cos(first + 1), … as [4 1 2].
Tensor cosines(int first, DType type) {
  std::vector<double> x;
  for (int i = 0; i < 8; ++i) x.push_back(std::cos(first + i));
  return Tensor::of(x, {4, 1, 2}).to(type);
}

TEST(LinearAttention, GoldenValues) {
  const Tensor linear = Tensor::of<double>(
      {-.065849, -.242465, -.092888, -.258774, .038660, -.179427, -.052220, -.234245}, {4, 1, 2});
  const Tensor softmax = Tensor::of<double>(
      {-.004443, -.321637, -.474584, -.071574, -.088796, .085057, .059742, -.329258}, {4, 1, 2});
  for (const DType type : {DType::f32, DType::f64}) {
    const Tensor q = cosines(0, type), k = cosines(8, type), v = cosines(16, type);
    EXPECT_LT(distance(linear_attend(q, k, v, {.eps = 0.0}), linear), 1e-5);
    EXPECT_LT(distance(attend(q, k, v), softmax), 1e-5);
  }
}

/// Two maps that no kernel knows: x² + ½, and a gate.
Tensor squares(const Tensor& x) {
  return add(multiply(x, x), Tensor::full(x.shape(), 0.5, x.dtype()));
}
Tensor gate(const Tensor& x) { return activate(scale(x, 0.7), Activation::sigmoid); }
/// And one whose features are fewer than the numbers it is given.
Tensor halves(const Tensor& x) {
  return squares(reshape(matmul(reshape(x, {x.dim(0) * x.dim(1), x.dim(2)}),
                                Tensor::full({x.dim(2), 2}, 0.5, x.dtype())),
                         {x.dim(0), x.dim(1), 2}));
}

TEST(LinearAttention, GradientsMatchFiniteDifferences) {
  const Segments queries({5, 0, 3, 2}), keys({6, 2, 0, 2});
  const std::vector<Tensor> inputs = {random_tensor({10, 4, 3}, 1, DType::f64),
                                      random_tensor({10, 2, 3}, 2, DType::f64),
                                      random_tensor({10, 2, 5}, 3, DType::f64)};
  for (const FeatureMap& map :
       {FeatureMap(EluPlusOne{}), FeatureMap(ReluMap{}), FeatureMap(UserMap(squares)),
        FeatureMap(UserMap(gate)), FeatureMap(UserMap(halves))}) {
    for (const bool causal : {false, true}) {
      for (const std::vector<std::int64_t>& lengths :
           {std::vector<std::int64_t>{}, std::vector<std::int64_t>{4, 1, 0, 1}}) {
        const LinearAttention how{.map = map,
                                  .causal = causal,
                                  .segments = queries,
                                  .key_segments = keys,
                                  .lengths = lengths,
                                  .eps = 0.3};
        const auto result = check_gradients(
            [&](std::span<const Tensor> x) { return linear_attend(x[0], x[1], x[2], how); },
            inputs);
        EXPECT_LT(result.worst, 1e-7) << result.where;
      }
    }
  }
}

struct Evaluated {
  Tensor out, dq, dk, dv;
};
Evaluated run(const Tensor& q, const Tensor& k, const Tensor& v, const LinearAttention& how) {
  const Tensor x = parameter(q.clone()), y = parameter(k.clone()), z = parameter(v.clone());
  Tape tape;
  Evaluated r;
  {
    const Recording on(tape);
    r.out = linear_attend(x, y, z, how);
  }
  tape.backward(r.out, random_tensor(r.out.shape(), 9, q.dtype()));
  r.dq = gradient_of(x);
  r.dk = gradient_of(y);
  r.dv = gradient_of(z);
  return r;
}

TEST(LinearAttention, FastFormEqualsDefinitionWithPoisonedMemory) {
  const Segments batch({70, 0, 5, 130});
  const Tensor q = random_tensor({205, 4, 20}, 1), k = random_tensor({205, 2, 20}, 2);
  const Tensor v = random_tensor({205, 2, 24}, 3);
  const bool before = set_poison(true);
  for (const FeatureMap& map :
       {FeatureMap(EluPlusOne{}), FeatureMap(ReluMap{}), FeatureMap(UserMap(squares))}) {
    for (const bool causal : {false, true}) {
      LinearAttention how{
          .map = map, .causal = causal, .segments = batch, .lengths = {60, 0, 5, 100}};
      const Evaluated fast = run(q, k, v, how);
      how.run = Execution::definition;
      const Evaluated slow = run(q, k, v, how);
      EXPECT_LT(distance(fast.out, slow.out), 2e-5);
      EXPECT_LT(distance(fast.dq, slow.dq), 2e-4);
      EXPECT_LT(distance(fast.dk, slow.dk), 2e-4);
      EXPECT_LT(distance(fast.dv, slow.dv), 2e-4);
      for (std::int64_t i = 60 * 40; i < 70 * 40; ++i) ASSERT_EQ(fast.dk.data()[i], 0.0f);
    }
  }
  set_poison(before);
}

TEST(LinearAttention, HiddenKeysMayBeNaNForEveryMap) {
  const Tensor q = random_tensor({6, 1, 3}, 1), v = random_tensor({8, 1, 2}, 3);
  const Tensor k = random_tensor({8, 1, 3}, 2);
  Tensor bad = k.clone(), bad_v = v.clone();
  for (std::int64_t i = 5 * 3; i < 24; ++i) bad.data()[i] = std::numeric_limits<float>::quiet_NaN();
  for (std::int64_t i = 5 * 2; i < 16; ++i)
    bad_v.data()[i] = std::numeric_limits<float>::infinity();
  for (const FeatureMap& map :
       {FeatureMap(EluPlusOne{}), FeatureMap(ReluMap{}), FeatureMap(UserMap(squares))}) {
    for (const Execution execution : {Execution::automatic, Execution::definition}) {
      const LinearAttention how{.map = map, .lengths = {5}, .run = execution};
      const Evaluated clean = run(q, k, v, how), poisoned = run(q, bad, bad_v, how);
      EXPECT_EQ(distance(clean.out, poisoned.out), 0.0);
      EXPECT_EQ(distance(clean.dq, poisoned.dq), 0.0);
      EXPECT_EQ(distance(clean.dk, poisoned.dk), 0.0);
      EXPECT_EQ(distance(clean.dv, poisoned.dv), 0.0);
    }
  }
}

TEST(LinearAttention, KeysWithoutQueriesGetZerosWhateverTheyHold) {
  Tensor k = random_tensor({6, 1, 3}, 2);
  for (std::int64_t i = 3 * 3; i < 18; ++i) k.data()[i] = std::numeric_limits<float>::quiet_NaN();
  for (const bool causal : {false, true}) {
    const Evaluated r =
        run(random_tensor({2, 1, 3}, 1), k, random_tensor({6, 1, 2}, 3),
            {.causal = causal, .segments = Segments({2, 0}), .key_segments = Segments({3, 3})});
    EXPECT_GT(distance(r.dk.rows(0, 3), Tensor::zeros({3, 1, 3})), 0.0);
    EXPECT_EQ(distance(r.dk.rows(3, 6), Tensor::zeros({3, 1, 3})), 0.0);
    EXPECT_EQ(distance(r.dv.rows(3, 6), Tensor::zeros({3, 1, 2})), 0.0);
  }
}

TEST(LinearAttention, NothingAtAll) {
  for (const bool causal : {false, true}) {
    const LinearAttention how{.causal = causal};
    // No rows, no keys, no query heads, no features, no values.
    const std::vector<std::array<Shape, 3>> shapes = {
        {Shape{0, 2, 3}, Shape{5, 1, 3}, Shape{5, 1, 4}},
        {Shape{5, 2, 3}, Shape{0, 1, 3}, Shape{0, 1, 4}},
        {Shape{700, 0, 3}, Shape{700, 1, 3}, Shape{700, 1, 4}},
        {Shape{5, 2, 0}, Shape{5, 1, 0}, Shape{5, 1, 4}},
        {Shape{5, 2, 3}, Shape{5, 1, 3}, Shape{5, 1, 0}}};
    for (const auto& [q, k, v] : shapes) {
      const Evaluated r = run(random_tensor(q, 1), random_tensor(k, 2), random_tensor(v, 3), how);
      EXPECT_EQ(r.out.shape(), (Shape{q[0], q[1], v[2]}));
      for (const Tensor* x : {&r.out, &r.dq, &r.dk, &r.dv}) {
        EXPECT_EQ(distance(*x, Tensor::zeros(x->shape())), 0.0);
      }
    }
  }
}

TEST(LinearAttention, PermutingKeysPermutesNothingElse) {
  const Tensor q = random_tensor({7, 2, 8}, 1), k = random_tensor({5, 2, 8}, 2);
  const Tensor v = random_tensor({5, 2, 4}, 3);
  const std::vector<std::int64_t> order = {3, 0, 4, 1, 2};
  const auto permuted = [&](const Tensor& x) {
    const Tensor flat = x.reshaped({x.dim(0), x.dim(1) * x.dim(2)});
    return select_rows(flat, order).reshaped(x.shape());
  };
  EXPECT_LT(distance(linear_attend(q, k, v), linear_attend(q, permuted(k), permuted(v))), 1e-6);
}

// ---- states ----

/// Row i of every sequence of `length` rows: [B H D].
Tensor at(const Tensor& x, std::int64_t length, std::int64_t i) {
  std::vector<std::int64_t> rows;
  for (std::int64_t b = 0; b < x.dim(0) / length; ++b) rows.push_back(b * length + i);
  return select_rows(x.reshaped({x.dim(0), x.dim(1) * x.dim(2)}), rows)
      .reshaped({x.dim(0) / length, x.dim(1), x.dim(2)});
}

TEST(LinearState, StepsAreTheCausalFormForEveryMap) {
  const std::int64_t length = 30, sequences = 3;
  const Segments batch({length, length, length});
  for (const DType type : {DType::f32, DType::f64}) {
    const Tensor q = random_tensor({90, 4, 8}, 1, type), k = random_tensor({90, 2, 8}, 2, type);
    const Tensor v = random_tensor({90, 2, 6}, 3, type);
    for (const FeatureMap& map :
         {FeatureMap(EluPlusOne{}), FeatureMap(ReluMap{}), FeatureMap(UserMap(squares))}) {
      const LinearAttention how{.map = map, .causal = true, .segments = batch};
      const Tensor all = linear_attend(q, k, v, how);
      LinearState state = linear_state(sequences, 2, 8, 6, type);
      for (std::int64_t i = 0; i < length; ++i) {
        const Tensor out =
            linear_step(state, at(q, length, i), at(k, length, i), at(v, length, i), how);
        EXPECT_LT(distance(out, at(all, length, i)), type == DType::f64 ? 1e-12 : 2e-5) << i;
      }
    }
  }
}

TEST(LinearState, GoesOnFromAPrefixSummedInOneGo) {
  const Segments batch({20, 33});
  for (const DType type : {DType::f32, DType::f64}) {
    const double tolerance = type == DType::f64 ? 1e-12 : 2e-5;
    const Tensor k = random_tensor({53, 2, 8}, 2, type), v = random_tensor({53, 2, 6}, 3, type);
    LinearState prefix = linear_state(k, v, {.segments = batch});
    ASSERT_EQ(prefix.rows(), 2);
    LinearState stepped = linear_state(1, 2, 8, 6, type);
    for (std::int64_t i = 20; i < 53; ++i) {
      (void)linear_step(stepped, random_tensor({1, 2, 8}, 5, type), k.rows(i, i + 1),
                        v.rows(i, i + 1));
    }
    EXPECT_LT(distance(prefix.s.rows(1, 2), stepped.s), tolerance);
    EXPECT_LT(distance(prefix.z.rows(1, 2), stepped.z), tolerance);

    const Tensor q = random_tensor({2, 2, 8}, 6, type);
    const Tensor read = linear_read(prefix, q);
    const Tensor want =
        linear_attend(q, k, v, {.segments = Segments({1, 1}), .key_segments = batch});
    EXPECT_LT(distance(read, want), tolerance);
  }
}

TEST(LinearState, ReordersForBeams) {
  LinearState state = linear_state(2, 1, 4, 3);
  const auto token = [](std::uint64_t seed, std::int64_t rows, std::int64_t width) {
    return random_tensor({rows, 1, width}, seed);
  };
  (void)linear_step(state, token(1, 2, 4), token(2, 2, 4), token(3, 2, 3));
  const LinearState before = state;  // shares the numbers: steps must not write into them
  state.reorder(std::vector<std::int32_t>{1, 1, -1, 0});
  ASSERT_EQ(state.rows(), 4);
  for (const auto& [row, parent] : {std::pair{0, 1}, std::pair{1, 1}, std::pair{3, 0}}) {
    EXPECT_EQ(distance(state.s.rows(row, row + 1), before.s.rows(parent, parent + 1)), 0.0);
    EXPECT_EQ(distance(state.z.rows(row, row + 1), before.z.rows(parent, parent + 1)), 0.0);
  }
  EXPECT_EQ(distance(state.s.rows(2, 3), Tensor::zeros({1, 1, 4, 3})), 0.0);

  const Tensor kept = before.s.clone();
  LinearState copy = before;
  (void)linear_step(copy, token(4, 2, 4), token(5, 2, 4), token(6, 2, 3));
  EXPECT_EQ(distance(before.s, kept), 0.0);
  EXPECT_GT(distance(copy.s, kept), 0.0);
  EXPECT_THROW(state.reorder(std::vector<std::int32_t>{4}), Error);
  state.reorder(std::vector<std::int32_t>{});
  EXPECT_EQ(state.rows(), 0);
  state.reorder(std::vector<std::int32_t>{-1, -1});
  EXPECT_EQ(state.s.shape(), (Shape{2, 1, 4, 3}));
}

TEST(LinearAttention, MisuseIsNamed) {
  const Tensor q = Tensor::zeros({4, 2, 3}), k = Tensor::zeros({5, 2, 3});
  const Tensor v = Tensor::zeros({5, 2, 6});
  EXPECT_THROW(linear_attend(q, Tensor::zeros({5, 2, 4}), v), ShapeError);
  EXPECT_THROW(linear_attend(q, Tensor::zeros({5, 3, 3}), Tensor::zeros({5, 3, 6})), ShapeError);
  EXPECT_THROW(linear_attend(q, k.to(DType::f64), v), ShapeError);
  EXPECT_THROW(linear_attend(q, k, v, {.segments = Segments({4})}), ShapeError);
  EXPECT_THROW(
      linear_attend(q, k, v, {.segments = Segments({4}), .key_segments = Segments({3, 2})}),
      ShapeError);
  EXPECT_THROW(linear_attend(q, k, v, {.lengths = {6}}), ShapeError);
  EXPECT_THROW(linear_attend(q, k, v, {.lengths = {1, 2}}), ShapeError);
  EXPECT_THROW(linear_attend(q, k, v, {.map = UserMap()}), Error);
  EXPECT_THROW(
      linear_attend(q, k, v, {.map = UserMap([](const Tensor& x) { return x.rows(0, 1); })}),
      ShapeError);
  LinearState state = linear_state(4, 2, 3, 6);
  EXPECT_THROW(linear_step(state, q, k, v), ShapeError);
  EXPECT_THROW(linear_read(state, Tensor::zeros({4, 2, 5})), ShapeError);
  EXPECT_THROW(linear_read(state, Tensor::zeros({4, 3, 3})), ShapeError);
}

}  // namespace
}  // namespace qkv

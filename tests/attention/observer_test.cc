#include "qkv/attention/observer.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/attention/cache.h"
#include "qkv/attention/linear.h"
#include "qkv/attention/trace.h"
#include "qkv/base/error.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

Tensor random_tensor(const Shape& shape, Philox& random) {
  Tensor t = Tensor::empty(shape);
  for (std::int64_t i = 0; i < t.count(); ++i) t.data()[i] = static_cast<float>(random.normal());
  return t;
}

struct Sides {
  Tensor q, k, v;
  explicit Sides(std::int64_t length, std::uint64_t seed = 4) {
    Philox random(seed);
    q = random_tensor({length, 4, 6}, random);
    k = random_tensor({length, 2, 6}, random);
    v = random_tensor({length, 2, 6}, random);
  }
};

/// The greatest distance of two tensors of one shape.
double distance(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double most = 0;
  for (std::int64_t i = 0; i < std::min(a.count(), b.count()); ++i) {
    most = std::max(most, std::abs(double(a.data()[i]) - double(b.data()[i])));
  }
  return most;
}

TEST(Observer, NamesTheModuleAndComputesBlocksOnDemand) {
  const Sides x(9);
  const Attention how{.mask = causal()};
  std::vector<std::string> paths;
  Tensor block;
  {
    const AttentionObserver look([&](const AttentionCall& call) {
      EXPECT_EQ(call.kind, AttentionKind::softmax);
      EXPECT_EQ(call.keys, 9);
      paths.push_back(call.path);
      block = call.weights({2, 5}, {1, 4});
      EXPECT_THROW((void)call.weights({2, 10}, {0, 1}), ShapeError);
    });
    (void)attend(x.q, x.k, x.v, how);
    const ModuleScope encoder("encoder"), layer("layers", 3), self("self");
    (void)attend(x.q, x.k, x.v, how);
    EXPECT_EQ(module_path(), "encoder.layers.3.self");
  }
  (void)attend(x.q, x.k, x.v, how);
  EXPECT_EQ(module_path(), "");
  EXPECT_THAT(paths, testing::ElementsAre("", "encoder.layers.3.self"));
  EXPECT_EQ(distance(block, attention_weights(x.q, x.k, how, {2, 5}, {1, 4})), 0);
}

TEST(Observer, TheInnermostLooksAloneAndOneWithoutAFunctionHides) {
  const Sides x(3);
  int calls = 0;
  const AttentionObserver look([&](const AttentionCall& call) {
    ++calls;
    (void)call.weights();  // computes, and does not see itself
  });
  (void)attend(x.q, x.k, x.v);
  {
    const AttentionObserver quiet({});
    EXPECT_FALSE(attention_observed());
    (void)attend(x.q, x.k, x.v);
  }
  (void)linear_attend(x.q, x.k, x.v);
  EXPECT_EQ(calls, 2);
}

TEST(Observer, LinearWeightsTimesValuesAreWhatLinearAttentionGives) {
  const Sides x(11);
  const Mask batch = segments(Segments({4, 7}));
  for (const FeatureMap& map : {FeatureMap{EluPlusOne{}}, FeatureMap{ReluMap{}}}) {
    for (const Mask& mask : {batch, batch & causal(), batch & lengths({3, 2})}) {
      const Attention how{.score = FeatureProduct{.map = map}, .mask = mask};
      Tensor out;
      const auto seen = attention_seen([&] { out = attend(x.q, x.k, x.v, how); });
      ASSERT_EQ(seen.size(), 1U);
      const Tensor& w = seen[0].weights;
      EXPECT_EQ(w.shape(), (Shape{4, 11, 11}));
      Tensor want = Tensor::zeros(out.shape());
      for (std::int64_t h = 0; h < 4; ++h) {
        for (std::int64_t i = 0; i < 11; ++i) {
          for (std::int64_t j = 0; j < 11; ++j) {
            for (std::int64_t d = 0; d < 6; ++d) {
              want.data()[(i * 4 + h) * 6 + d] +=
                  w.data()[(h * 11 + i) * 11 + j] * x.v.data()[(j * 2 + h / 2) * 6 + d];
            }
          }
        }
      }
      EXPECT_LT(distance(out, want), 2e-6) << to_string(mask);
      EXPECT_EQ(distance(attention_weights(x.q, x.k, how), w), 0);
    }
  }
}

TEST(Observer, StepsOfACacheAddUpToTheWholePass) {
  const std::int64_t length = 13;
  const Sides x(length);
  const Attention how{.bias = {Alibi{}}, .mask = causal()};
  const Tensor whole = attention_weights(x.q, x.k, how);
  KvCache cache({1, 2, 6}, 1);
  const auto seen = attention_seen([&] {
    const ModuleScope at("blocks", 0), in("attn");
    std::int64_t t = 0;
    for (const std::int64_t piece : {5, 1, 1, 6}) {
      cache.begin_step(Segments({piece}));
      cache.append(0, x.k.rows(t, t + piece), x.v.rows(t, t + piece));
      (void)cache.attend(0, x.q.rows(t, t + piece), how);
      t += piece;
    }
  });
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].path, "blocks.0.attn");
  EXPECT_LT(distance(seen[0].weights, whole), 1e-6);
}

TEST(Observer, StepsOfASumAddUpToTheWholePass) {
  const std::int64_t length = 9;
  const Sides x(length);
  const Attention how{.score = FeatureProduct{}, .mask = causal()};
  const LinearAttention form = linear_form("test", how);
  std::vector<double> own;
  const auto seen = attention_seen([&] {
    (void)attend(x.q.rows(0, 4), x.k.rows(0, 4), x.v.rows(0, 4), how);
    LinearState state = linear_state(x.k.rows(0, 4), x.v.rows(0, 4), form);
    for (std::int64_t t = 4; t < length; ++t) {
      (void)linear_step(state, x.q.rows(t, t + 1), x.k.rows(t, t + 1), x.v.rows(t, t + 1), form);
    }
  });
  const Tensor whole = attention_weights(x.q, x.k, how);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_LT(distance(seen[0].weights, whole), 1e-6);
  // By itself a step knows what its own key got.
  LinearState state = linear_state(x.k.rows(0, 8), x.v.rows(0, 8), form);
  const AttentionObserver look([&](const AttentionCall& call) {
    EXPECT_EQ(call.kind, AttentionKind::linear_step);
    EXPECT_EQ(call.keys, 1);
    EXPECT_NEAR(call.weights().data()[2], whole.data()[(2 * length + 8) * length + 8], 1e-6);
  });
  (void)linear_step(state, x.q.rows(8, 9), x.k.rows(8, 9), x.v.rows(8, 9), form);
}

TEST(Observer, SeveralTextsInACacheAreRefusedWhereOneIsCollected) {
  KvCache cache({1, 2, 6}, 2);
  const Sides x(2);
  cache.begin_step();
  cache.append(0, x.k, x.v);
  EXPECT_THROW((void)attention_seen([&] { (void)cache.attend(0, x.q); }), Error);
}

TEST(LinearForm, NamesWhatSumsCannotHonour) {
  const Sides x(5);
  const auto refused = [&](Attention how, const std::string& name) {
    how.score = FeatureProduct{};
    try {
      (void)attend(x.q, x.k, x.v, how);
      ADD_FAILURE() << name << " was ignored";
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), testing::HasSubstr(name));
    }
  };
  refused({.bias = {Alibi{}}}, "bias");
  refused({.norm = SoftmaxSink{}}, "normaliser");
  refused({.dropout = 0.1}, "dropout");
  refused({.mask = causal() & window(2)}, "window(1, 1)");
  refused({.mask = prefix(2)}, "prefix(2)");
  refused({.mask = lengths({3}) & lengths({2})}, "lengths");
  EXPECT_THROW((void)linear_form("test", Attention{}), Error);
  EXPECT_THROW((void)trace(x.q, x.k, {.score = FeatureProduct{}}), Error);
  EXPECT_THROW((void)attend_with_lse(x.q, x.k, x.v, {.score = FeatureProduct{}}), Error);
}

}  // namespace
}  // namespace qkv

// AcT and its baselines: counts, golden numbers of an independent script, gradients, neighbours.
#include "qkv/models/action.h"

#include <cmath>
#include <cstring>

#include "models/helpers.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"

namespace qkv {
namespace {

using enum ActionArchitecture;
constexpr ActionArchitecture kAll[] = {act, mlp, conv, lstm};

TEST(Action, CountsOfThePublishedSizes) {
  const std::pair<const char*, std::int64_t> counts[] = {
      {"micro", 227156}, {"small", 1040404}, {"medium", 2740052}, {"large", 4902164}};
  for (const auto& [name, count] : counts) {
    const ActionNetwork::Config c = action_sizes(name);
    EXPECT_EQ(c.parameters(), count) << name;
    EXPECT_EQ(parameter_count(ActionNetwork::make(1, c)), count) << name;
    const std::int64_t d = c.width;  // the formula of the paper's sizes
    EXPECT_EQ(count,
              85 * d + c.layers * (12 * d * d + 13 * d) + (d + 1) * c.head + (c.head + 1) * 20);
  }
  EXPECT_THROW((void)action_sizes("tiny"), Error);
}

TEST(Action, BaselinesAreAboutAsLarge) {
  for (const std::int64_t features : {52, 60, 120}) {
    ActionNetwork::Config micro = action_sizes("micro");
    micro.features = features;
    for (const ActionArchitecture a : kAll) {
      const ActionNetwork::Config c = of_equal_size(micro, a);
      const ActionNetwork m = ActionNetwork::make(1, c);
      EXPECT_EQ(parameter_count(m), c.parameters());
      EXPECT_NEAR(static_cast<double>(c.parameters()), static_cast<double>(micro.parameters()),
                  0.01 * static_cast<double>(micro.parameters()));
    }
  }
}

ActionNetwork::Config small_config(ActionArchitecture a) {
  return {.architecture = a,
          .features = 4,
          .frames = 5,
          .classes = 3,
          .width = 8,
          .layers = 2,
          .heads = 2,
          .head = 6,
          .kernel = 3,
          .dropout = 0.0};
}

/// Clip n has features sin(0.9 i + n).
ActionBatch batch_of(const std::vector<std::int64_t>& lengths, DType type = DType::f32) {
  ActionBatch batch;
  batch.segments = Segments(lengths);
  std::vector<double> x;
  for (std::size_t n = 0; n < lengths.size(); ++n) {
    for (std::int64_t i = 0; i < lengths[n] * 4; ++i) {
      x.push_back(std::sin(0.9 * static_cast<double>(i) + static_cast<double>(n)));
    }
    batch.classes.push_back(static_cast<std::int32_t>(n % 3));
  }
  batch.features = Tensor::of(x, {batch.segments.total(), 4}).to(type);
  return batch;
}

/// Parameter k holds 0.3 cos(0.7 i + k), weights of norms one more.
void fill(ActionNetwork& m) {
  double k = 0;
  for_each_parameter(m, [&k](std::string_view path, Tensor& p) {
    const bool norm = path.ends_with("norm1.weight") || path.ends_with("norm2.weight");
    for (std::int64_t i = 0; i < p.count(); ++i) {
      const double value = 0.3 * std::cos(0.7 * static_cast<double>(i) + k) + (norm ? 1.0 : 0.0);
      p.data<double>()[i] = value;
    }
    ++k;
  });
}

TEST(Action, GoldenLogits) {
  const std::vector<double> golden[] = {
      {0.05700309232149971, -0.14953833772759967, -0.28574955094242593, 0.06331399079717162,
       -0.1483415752034165, -0.2902297804847851},
      {0.08809590462628647, 0.24204065004974948, 0.282149895765334, 0.07075231576929022,
       0.2319853842523013, 0.2841121016498359},
      {0.13567993901278178, 0.3860429267446334, 0.45484389394136093, 0.15117744103000408,
       0.3881557470141628, 0.44257834007670993},
      {-0.25951707465775053, -0.27401491973181163, -0.15963926645477397, -0.2602559627014621,
       -0.2754710352490925, -0.16112777556541433}};
  for (const ActionArchitecture a : kAll) {
    ActionNetwork m = ActionNetwork::make({1, DType::f64}, small_config(a));
    fill(m);
    const Tensor got = m.logits(batch_of({5, 3}, DType::f64));
    const auto& wanted = golden[static_cast<std::size_t>(a)];
    testing::expect_near(got, Tensor::of(wanted, {2, 3}), 1e-12);
  }
}

TEST(Action, GradientsAreRight) {
  for (const ActionArchitecture a : kAll) {
    ActionNetwork::Config c = small_config(a);
    c.dropout = 0.2;
    ActionNetwork m = ActionNetwork::make({5, DType::f64}, c);
    testing::shake(m, 7);
    const ActionBatch batch = batch_of({5, 1, 3}, DType::f64);
    testing::check_module<ActionNetwork>(m, [&batch](const ActionNetwork& n) {
      return n.loss(batch, {.scale = 0.5, .smoothing = 0.1}).loss;
    });
  }
}

TEST(Action, AClipDoesNotDependOnItsNeighboursOrThreads) {
  for (const ActionArchitecture a : kAll) {
    const ActionNetwork m = ActionNetwork::make(3, small_config(a));
    const ActionBatch all = batch_of({5, 2, 4});
    const Tensor together = m.logits(all);
    const int before = threads();
    set_threads(2);
    EXPECT_TRUE(testing::same_bits(m.logits(all), together));
    set_threads(before);
    for (std::int64_t b = 0; b < 3; ++b) {
      ActionBatch one;
      one.segments = Segments::one(all.segments.length(b));
      one.features = all.features.rows(all.segments.begin(b), all.segments.end(b)).clone();
      EXPECT_TRUE(testing::same_bits(m.logits(one), together.rows(b, b + 1))) << b;
    }
  }
}

TEST(Action, AttentionOfEachLayerFromTheToken) {
  const ActionNetwork m = ActionNetwork::make(3, small_config(act));
  const auto seen_by = [](const ActionNetwork& of) {
    return attention_seen([&] { (void)of.logits(batch_of({4})); });
  };
  const std::vector<SeenAttention> seen = seen_by(m);
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[1].path, "encoder.layers.1.self");
  for (const SeenAttention& a : seen) {
    const Tensor& w = a.weights;
    EXPECT_EQ(w.shape(), (Shape{2, 5, 5}));
    double sum = 0;
    for (std::int64_t k = 0; k < 5; ++k) sum += static_cast<double>(w.data()[k]);
    EXPECT_NEAR(sum, 1.0, 1e-5);
  }
  EXPECT_TRUE(seen_by(ActionNetwork::make(3, small_config(lstm))).empty());
}

TEST(Action, WhatMakesNoModelOrBatchIsRefused) {
  ActionNetwork::Config c = small_config(act);
  c.heads = 3;
  EXPECT_THROW((void)ActionNetwork::make(1, c), Error);
  c = small_config(conv);
  c.kernel = 4;
  EXPECT_THROW((void)ActionNetwork::make(1, c), Error);
  c = small_config(act);
  c.classes = 1;
  EXPECT_THROW((void)ActionNetwork::make(1, c), Error);
  c.classes = 3;
  c.dropout = 1.0;
  EXPECT_THROW((void)ActionNetwork::make(1, c), Error);
  const ActionNetwork m = ActionNetwork::make(1, small_config(act));
  EXPECT_THROW((void)m.logits(batch_of({6})), ShapeError);
  EXPECT_THROW((void)m.logits(batch_of({2, 0})), ShapeError);
  ActionBatch batch = batch_of({2});
  batch.classes.clear();
  EXPECT_THROW((void)m.loss(batch), ShapeError);
}

}  // namespace
}  // namespace qkv

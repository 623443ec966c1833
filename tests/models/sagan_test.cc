#include "qkv/models/sagan.h"

#include <string>
#include <vector>

#include "models/picture_helpers.h"
#include <gtest/gtest.h>

#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using testing::pictures_of;
using testing::random_tensor;
using Classes = std::vector<std::int32_t>;

SaganConfig toy() {
  SaganConfig c;
  c.size = 16;
  c.channels = 1;
  c.width = 8;
  c.noise = 5;
  c.classes = 3;
  c.attention = 8;
  return c;
}

TEST(Sagan, CountsOfTheReleasedPair) {
  SaganConfig c;
  EXPECT_EQ(parameter_count(SaganGenerator::make(Initialiser::blank(), c)), 42078852);
  EXPECT_EQ(parameter_count(SaganDiscriminator::make(Initialiser::blank(), c)), 39463618);
  c.attention = 0;
  EXPECT_EQ(parameter_count(SaganGenerator::make(Initialiser::blank(), c)), 41996931);
  EXPECT_EQ(parameter_count(SaganDiscriminator::make(Initialiser::blank(), c)), 39443137);
}

TEST(Sagan, WhatMakesNoPairIsRefusedByName) {
  for (const auto& change : std::vector<void (*)(SaganConfig&)>{
           [](SaganConfig& c) { c.size = 24; }, [](SaganConfig& c) { c.size = 4; },
           [](SaganConfig& c) { c.attention = 16; }, [](SaganConfig& c) { c.attention = 5; },
           [](SaganConfig& c) { c.classes = 0; }, [](SaganConfig& c) { c.width = 12; },
           [](SaganConfig& c) { c.size = 1 << 20; }, [](SaganConfig& c) { c.moving_decay = 1; }}) {
    SaganConfig c = toy();
    change(c);
    EXPECT_THROW((void)SaganGenerator::make(1, c), Error);
    EXPECT_THROW((void)SaganDiscriminator::make(1, c), Error);
  }
  const auto g = SaganGenerator::make(1, toy());
  EXPECT_THROW((void)g(random_tensor({2, 5}, 1), Classes{0}), ShapeError);
  EXPECT_THROW((void)g(random_tensor({2, 5}, 1), Classes{0, 3}), ShapeError);
  const auto d = SaganDiscriminator::make(1, toy());
  EXPECT_THROW((void)d(random_tensor({255, 1}, 1), Classes{0}), ShapeError);
}

TEST(Sagan, InEvaluationAPictureIsAlone) {
  const auto g = SaganGenerator::make(1, toy());
  const auto d = SaganDiscriminator::make(2, toy());
  const Tensor z = random_tensor({3, 5}, 1);
  const Classes classes{2, 0, 1};
  const Tensor pictures = g(z, classes), scores = d(pictures, classes);
  ASSERT_EQ(pictures.shape(), (Shape{3 * 256, 1}));
  ASSERT_EQ(scores.shape(), (Shape{3, 1}));
  for (const float v : pictures.values()) EXPECT_LT(std::abs(v), 1.0f);
  for (std::int64_t b = 0; b < 3; ++b) {
    const Classes own{classes[static_cast<std::size_t>(b)]};
    EXPECT_TRUE(
        testing::same_bits(g(z.rows(b, b + 1), own), pictures.rows(b * 256, b * 256 + 256)));
    EXPECT_TRUE(
        testing::same_bits(d(pictures.rows(b * 256, b * 256 + 256), own), scores.rows(b, b + 1)));
  }
  testing::expect_same_on_two_threads([&] { return d(g(z, classes), classes); });
  EXPECT_FALSE(testing::same_bits(g(z, Classes{0, 0, 0}), g(z, Classes{1, 1, 1})) &&
               testing::same_bits(d(pictures, Classes{0, 0, 0}), d(pictures, Classes{1, 1, 1})));
}

TEST(Sagan, BuffersMoveInTrainingAloneAndAreSaved) {
  const auto g = SaganGenerator::make(1, toy());
  const auto buffers = [&] {
    std::vector<Tensor> all;
    for_each_buffer(g, [&](std::string_view, const Tensor& b) { all.push_back(b.clone()); });
    return all;
  };
  // u of start, 3 a block, 4 of attention, last; two statistics of each norm.
  const std::vector<Tensor> before = buffers();
  EXPECT_EQ(before.size(), 1u + 2 * 3 + 4 + 1 + 2 * (2 * 2 + 1));
  const auto moved = [&] {
    const std::vector<Tensor> now = buffers();
    std::size_t count = 0;
    for (std::size_t i = 0; i < now.size(); ++i) count += !testing::same_bits(now[i], before[i]);
    return count;
  };
  const Tensor z = random_tensor({3, 5}, 1);
  (void)g(z, Classes{2, 0, 1});
  EXPECT_EQ(moved(), 0u);
  Tape tape;
  const Recording on(tape);
  {
    const KeepBuffers keep;
    (void)g(z, Classes{2, 0, 1});
  }
  EXPECT_EQ(moved(), 0u);
  (void)g(z, Classes{2, 0, 1});
  EXPECT_GE(moved(), before.size() - 2);  // u of one number is 1 or −1 and may stay
}

TEST(Sagan, HingeByHand) {
  const Tensor real = testing::matrix({{1.5}, {.2}, {-.3}}),
               fake = testing::matrix({{-2}, {.5}, {-.1}});
  EXPECT_NEAR(hinge_real(real).item(), .7, 1e-6);
  EXPECT_NEAR(hinge_fake(fake).item(), .8, 1e-6);
  EXPECT_NEAR(hinge_generator(fake).item(), .533333, 1e-6);
  const Tensor both = testing::matrix({{1.5}, {.2}, {-.3}, {-2}, {.5}, {-.1}});
  EXPECT_NEAR(discriminator_loss(GanLoss::hinge, both).item(), 1.5, 1e-6);
  EXPECT_NEAR(discriminator_loss(GanLoss::softplus, both).item(), .551302 + .581801, 1e-6);
  EXPECT_THROW((void)discriminator_loss(GanLoss::hinge, real), ShapeError);
}

// With u at the singular vectors the gradient that holds them is the true one: first many passes.
TEST(Sagan, Gradients) {
  SaganConfig c = toy();
  c.size = 8;
  c.attention = 0;
  auto d = SaganDiscriminator::make({1, DType::f64}, c);
  const Tensor x = pictures_of(Grids::of(2, {8, 8}), 1, 1, DType::f64);
  const Classes classes{1, 2};
  for (int pass = 0; pass < 400; ++pass) {
    Tape tape;
    const Recording on(tape);
    (void)d(x, classes);
  }
  const KeepBuffers keep;
  testing::check_module<SaganDiscriminator>(
      d, [&](const SaganDiscriminator& m) { return m(x, classes); }, 2);
}

TEST(Sagan, TheDiscriminatorLearns) {
  SaganConfig c = toy();
  c.size = 8;
  c.attention = 0;
  const auto d = SaganDiscriminator::make(1, c);
  const Grids grids = Grids::of(4, {8, 8});
  const Tensor real = pictures_of(grids, 1, 1), fake = pictures_of(grids, 1, 2);
  const Classes classes{0, 1, 2, 0};
  double first = 0, last = 0;
  for (int step = 0; step < 30; ++step) {
    Tape tape;
    Tensor loss;
    {
      const Recording on(tape);
      const Tensor of_real = hinge_real(d(real, classes));
      const KeepBuffers second;
      loss = add(of_real, hinge_fake(d(fake, classes)));
    }
    last = loss.item();
    if (step == 0) first = last;
    tape.backward(loss);
    for_each_parameter(d, [&](std::string_view, const Tensor& p) {
      Tensor weight = p;
      const Tensor g = gradient_of(p);
      for (std::int64_t i = 0; i < p.count(); ++i) weight.data()[i] -= 0.05f * g.data()[i];
      clear_gradient(p);
      parameter_changed(p);
    });
  }
  EXPECT_LT(last, 0.8 * first);
}

}  // namespace
}  // namespace qkv

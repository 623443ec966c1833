// Networks of pictures: the counts of the published recipes, shapes, neighbours, wrong sizes.
#include "qkv/models/picture_network.h"

#include <cmath>

#include <gtest/gtest.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/nn/buffers.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

using Config = PictureNetwork::Config;

Config tiny(PictureKind kind) {
  Config c{.kind = kind, .side = 8, .channels = 1, .classes = 3};
  c.width = 8;
  c.layers = 2;
  c.heads = 2;
  c.feed_forward = 12;
  c.token_width = 6;
  c.widths = {4, 6};
  c.strides = {1, 2};
  return c;
}
constexpr PictureKind kKinds[] = {PictureKind::vit, PictureKind::mixer, PictureKind::cnn,
                                  PictureKind::quadratic};

Tensor pixels(std::int64_t rows, std::int64_t channels, std::uint64_t seed) {
  Philox random(seed);
  return generated({rows, channels}, DType::f32, [&](std::int64_t) { return random.normal(); });
}

/// A network whose every parameter has numbers of its own (heads begin at 0).
PictureNetwork filled(const Config& c) {
  PictureNetwork m = PictureNetwork::make(1, c);
  Philox random(2);
  for_each_parameter(m, [&](std::string_view, Tensor& p) {
    change_each(p, [&](std::int64_t, double x) { return x + 0.1 * random.normal(); });
  });
  return m;
}

TEST(PictureNetwork, HasTheCountsOfTheRecipes) {
  const auto count = [](const Config& c) {
    return parameter_count(PictureNetwork::make(Initialiser::blank(), c));
  };
  const auto small = [](PictureKind kind, std::int64_t side, std::int64_t channels,
                        std::int64_t patch) {
    return Config{.kind = kind, .side = side, .channels = channels, .classes = 10, .patch = patch};
  };
  Config mnist = small(PictureKind::vit, 28, 1, 7);
  EXPECT_EQ(count(mnist), 139'018);
  mnist = small(PictureKind::mixer, 28, 1, 7);
  mnist.layers = 6;
  mnist.feed_forward = 160;
  EXPECT_EQ(count(mnist), 136'170);
  EXPECT_EQ(count(small(PictureKind::cnn, 28, 1, 7)), 129'290);
  EXPECT_EQ(count(small(PictureKind::vit, 32, 3, 4)), 142'026);
  Config cifar = small(PictureKind::mixer, 32, 3, 4);
  cifar.layers = 5;
  cifar.token_width = 64;
  cifar.feed_forward = 160;
  EXPECT_EQ(count(cifar), 150'314);
  cifar = small(PictureKind::cnn, 32, 3, 4);
  cifar.widths = {32, 48, 64, 84, 84};
  EXPECT_EQ(count(cifar), 155'698);
}

TEST(PictureNetwork, APictureDoesNotFeelItsNeighbours) {
  for (const PictureKind kind : kKinds) {
    const PictureNetwork m = filled(tiny(kind));
    const Tensor three = pixels(3 * 64, 1, 3);
    const Tensor all = m(three), second = m(three.rows(64, 128).clone());
    ASSERT_EQ(all.shape(), Shape({3, 3})) << name_of(kind);
    EXPECT_TRUE(same_numbers(all.rows(1, 2), second)) << name_of(kind);
  }
}

TEST(PictureNetwork, BatchNormMovesOnlyWhileATapeRecords) {
  const PictureNetwork m = filled(tiny(PictureKind::cnn));
  std::vector<Tensor> before;
  for_each_buffer(m, [&](std::string_view, const Tensor& b) { before.push_back(b.clone()); });
  ASSERT_EQ(before.size(), 4U);  // a mean and a variance a stage
  (void)m(pixels(2 * 64, 1, 4));
  std::size_t i = 0;
  for_each_buffer(
      m, [&](std::string_view, const Tensor& b) { EXPECT_TRUE(same_numbers(b, before[i++])); });
  Tape tape;
  {
    const Recording on(tape);
    (void)m(pixels(2 * 64, 1, 4));
  }
  i = 0;
  for_each_buffer(m, [&](std::string_view path, const Tensor& b) {
    EXPECT_FALSE(same_numbers(b, before[i++])) << path;
  });
}

TEST(PictureNetwork, ItsListHasTheSizesOfItsKind) {
  const auto names = [](PictureKind kind) {
    std::string all;
    const Config c = tiny(kind);
    Config::each(c, [&](const About& about, const auto&) { all += std::string(about.name) + " "; });
    return all;
  };
  EXPECT_EQ(names(PictureKind::cnn), "kind side channels classes widths strides ");
  EXPECT_EQ(names(PictureKind::vit),
            "kind side channels classes patch width layers heads feed_forward dropout ");
  EXPECT_NE(names(PictureKind::mixer).find("token_width"), std::string::npos);
  EXPECT_NE(names(PictureKind::quadratic).find("ring"), std::string::npos);
}

TEST(PictureNetwork, CountsThePlacesOfAPicture) {
  EXPECT_EQ(tiny(PictureKind::vit).places(), (Grid{2, 2}));
  Config c = tiny(PictureKind::cnn);
  EXPECT_EQ(c.places(), (Grid{4, 4}));
  c.side = 9;
  EXPECT_EQ(c.places(), (Grid{5, 5}));
}

TEST(PictureNetwork, RefusesSizesThatMakeNoModel) {
  for (const PictureKind kind : kKinds) {
    Config c = tiny(kind);
    EXPECT_NO_THROW(c.check());
    c.channels = 2;
    EXPECT_THROW(c.check(), Error) << name_of(kind);
    c = tiny(kind);
    c.classes = 1;
    EXPECT_THROW(c.check(), Error) << name_of(kind);
    c = tiny(kind);
    c.side = 0;
    EXPECT_THROW(c.check(), Error) << name_of(kind);
    if (kind == PictureKind::cnn) continue;
    c = tiny(kind);
    c.patch = 3;  // 8 is not made of it
    EXPECT_THROW(c.check(), Error) << name_of(kind);
  }
  Config c = tiny(PictureKind::cnn);
  c.strides = {1};
  EXPECT_THROW(c.check(), Error);
  c.widths = c.strides = {};
  EXPECT_THROW(c.check(), Error);
  const PictureNetwork m = filled(tiny(PictureKind::vit));
  EXPECT_THROW(m(pixels(65, 1, 1)), ShapeError);
  EXPECT_THROW(m(pixels(64, 3, 1)), ShapeError);
}

}  // namespace
}  // namespace qkv

#include "qkv/nn/module.h"

#include <cmath>

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/nn/linear.h"
#include "qkv/nn/transformer_layers.h"

namespace qkv {
namespace {

template <class M>
std::vector<std::string> names(const M& module) {
  std::vector<std::string> result;
  for_each_parameter(module,
                     [&](std::string_view path, const Tensor&) { result.emplace_back(path); });
  return result;
}

struct Pair {
  Linear first, second;
  std::vector<Linear> more;
  Tensor scale;
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("first", m.first);
    visit("second", m.second);
    visit("more", m.more);
    visit("scale", m.scale);
  }
};

TEST(Module, NamesArePathsInTheOrderOfEach) {
  Initialiser init(1);
  Pair m;
  m.first = Linear::make(init, 2, 3);
  m.second = Linear::make(init, 3, 4, false);  // no bias: no name
  m.more = {Linear::make(init, 1, 1, false), Linear::make(init, 1, 1)};
  EXPECT_EQ(names(m), (std::vector<std::string>{"first.weight", "first.bias", "second.weight",
                                                "more.0.weight", "more.1.weight", "more.1.bias"}));
  EXPECT_EQ(parameter_count(m), 6 + 3 + 12 + 1 + 1 + 1);
  m.scale = init.ones({});
  EXPECT_EQ(names(m).back(), "scale");
  EXPECT_EQ(parameter_count(m), 25);
  EXPECT_EQ(parameter_count(Pair{}), 0);
}

TEST(Module, NamesOfADecoderLayer) {
  Initialiser init(1);
  const DecoderLayer layer =
      DecoderLayer::make(init, {.attention = {.width = 4, .heads = 2}, .feed_forward = 8});
  const std::vector<std::string> got = names(layer);
  ASSERT_EQ(got.size(), 8U + 8U + 4U + 6U);
  EXPECT_EQ(got[0], "self.q.weight");
  EXPECT_EQ(got[1], "self.q.bias");
  EXPECT_EQ(got[7], "self.o.bias");
  EXPECT_EQ(got[8], "cross.q.weight");
  EXPECT_EQ(got[16], "feed_forward.inner.weight");
  EXPECT_EQ(got[25], "norm3.bias");
}

TEST(Module, VisitorsMayReplaceParameters) {
  Initialiser init(1);
  Linear m = Linear::make(init, 2, 3);
  for_each_parameter(m, [](std::string_view, Tensor& p) { p = Tensor::zeros(p.shape()); });
  EXPECT_EQ(m.weight.data()[5], 0.0F);
  EXPECT_FALSE(is_parameter(m.weight));
}

TEST(Initialiser, OneTensorsNumbersDoNotDependOnAnothersSize) {
  Initialiser a(7), b(7), c(8);
  (void)a.xavier({3, 5});
  (void)b.zeros({100});
  (void)c.xavier({3, 5});
  const Tensor x = a.normal({4, 4}, 1.0), y = b.normal({4, 4}, 1.0), z = c.normal({4, 4}, 1.0);
  EXPECT_EQ(testing::distance(x, y), 0.0);
  EXPECT_GT(testing::distance(x, z), 0.0);
}

TEST(Initialiser, Distributions) {
  Initialiser init(3);
  const auto moments = [](const Tensor& t) {
    double sum = 0, squares = 0, most = 0;
    for (const float value : t.values()) {
      const double v = static_cast<double>(value);
      sum += v;
      squares += v * v;
      most = std::max(most, std::abs(v));
    }
    const double n = static_cast<double>(t.count());
    return std::array{sum / n, std::sqrt(squares / n), most};
  };
  const double limit = std::sqrt(6.0 / 300);
  const auto xavier = moments(init.xavier({100, 200}));
  EXPECT_NEAR(xavier[0], 0.0, 0.01 * limit);
  EXPECT_NEAR(xavier[1], limit / std::sqrt(3.0), 0.02 * limit);
  EXPECT_LE(xavier[2], limit * (1 + 1e-6));
  EXPECT_GE(xavier[2], 0.99 * limit);
  EXPECT_LE(moments(init.xavier({100, 200}, 1.0, 1200))[2], limit / 2 * (1 + 1e-6));
  const auto normal = moments(init.normal({100, 200}, 0.02));
  EXPECT_NEAR(normal[0], 0.0, 5e-4);
  EXPECT_NEAR(normal[1], 0.02, 5e-4);
}

TEST(Initialiser, EverythingIsAParameterOfTheAskedType) {
  for (const DType type : {DType::f32, DType::f64}) {
    Initialiser init(3, type);
    for (const Tensor& t : {init.zeros({2}), init.ones({2}), init.xavier({2, 2}),
                            init.normal({2}, 1.0), init.uniform({2}, 1.0)}) {
      EXPECT_TRUE(is_parameter(t));
      EXPECT_EQ(t.dtype(), type);
    }
  }
}

TEST(Initialiser, TakesNoMoreThanAFileHolds) {
  Initialiser init = Initialiser::within(5, 2);  // each may be drawn anew
  EXPECT_EQ(init.zeros({2, 3}).count(), 6);
  EXPECT_THROW(init.normal({5}, 1.0), TooLarge);
  EXPECT_EQ(init.normal({4}, 1.0).count(), 4);  // all ten are taken
  EXPECT_THROW(init.ones({1}), TooLarge);
  EXPECT_EQ(init.zeros({0}).count(), 0);
  EXPECT_EQ(init.zeros({0}).count(), 0);
  EXPECT_THROW(init.zeros({0}), TooLarge) << "a fifth tensor";
  const std::int64_t huge = std::int64_t{1} << 40;
  EXPECT_THROW(Initialiser::within(10, 3).xavier({huge, huge}), TooLarge);
}

TEST(Initialiser, LetsTablesBeInProportionToWhatIsStored) {
  const std::int64_t million = 1 << 20, huge = std::int64_t{1} << 60;
  EXPECT_NO_THROW(Initialiser::within(1, 1).require_table(million / 64, 64));
  EXPECT_THROW(Initialiser::within(1, 1).require_table(million / 64 + 1, 64), TooLarge);
  EXPECT_NO_THROW(Initialiser::within(million, 1).require_table(million / 4, 64));
  EXPECT_THROW(Initialiser::within(million, 1).require_table(huge, 64), TooLarge);
  EXPECT_NO_THROW(Initialiser(1).require_table(huge, 64)) << "a user's own wish";
}

TEST(FeedForward, IsTwoProductsAndAnActivation) {
  Initialiser init(1);
  for (const Activation activation : {Activation::relu, Activation::gelu}) {
    const FeedForward m = FeedForward::make(init, 6, 11, activation, 0.0);
    const Tensor x = testing::random_tensor({5, 6}, 1);
    EXPECT_LT(testing::distance(m(x), m.outer(activate(m.inner(x), activation))), 1e-6);
    EXPECT_EQ(parameter_count(m), 2 * 6 * 11 + 6 + 11);
  }
}

}  // namespace
}  // namespace qkv

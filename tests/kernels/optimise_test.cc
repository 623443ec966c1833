#include "qkv/kernels/optimise.h"

#include "kernels/fixtures.h"

namespace qkv::kernels {
namespace {

template <class Step>
struct State {
  Guarded<float> gradient, weight, first, second, ema;
  explicit State(std::int64_t n)
      : gradient(normals(n, 1), 1),
        weight(normals(n, 2), 2),
        first(normals(n, 3), 3),
        second(n, 0.5f, 5),
        ema(normals(n, 4), 1) {}
  std::vector<float> all() const {
    EXPECT_TRUE(weight.intact() && first.intact() && second.intact() && ema.intact());
    auto v = weight.values();
    append(v, first.values());
    append(v, second.values());
    append(v, ema.values());
    return v;
  }
};

AdamStep adam(State<AdamStep>& s, bool with_ema) {
  AdamStep a{};
  a.count = s.weight.size();
  a.gradient = s.gradient.data();
  a.gradient_scale = 0.5;
  a.rate = 1e-2;
  a.beta1 = 0.9;
  a.beta2 = 0.98;
  a.eps = 1e-9;
  a.decay = 0.01;
  a.correction1 = 1 / (1 - 0.81);
  a.correction2 = 1 / (1 - 0.98 * 0.98);
  a.weight = s.weight.data();
  a.m = s.first.data();
  a.v = s.second.data();
  a.ema = with_ema ? s.ema.data() : nullptr;
  a.ema_decay = 0.99;
  return a;
}

TEST(Adam, FastFormIsTheDefinition) {
  on_every_target([] {
    auto sizes = kSizes;
    sizes.push_back(100'001);
    for (std::int64_t n : sizes) {
      for (bool with_ema : {false, true}) {
        State<AdamStep> want(n);
        definition::adam_step(adam(want, with_ema));
        const auto got = for_any_threads([&] {
          State<AdamStep> s(n);
          adam_step(adam(s, with_ema));
          return s.all();
        });
        EXPECT_TRUE(close(got, want.all(), 1e-6)) << n;
      }
    }
  });
}

TEST(Adam, TheFirstStepIsTheRate) {
  // With bias correction and a zero state, m·c₁ = g and v·c₂ = g²: the weight moves by
  // rate·sign(g).
  on_every_target([] {
    const std::vector<float> gradient = {3.0f, -0.001f, 100.0f};
    std::vector<float> w = {1.0f, 1.0f, 1.0f}, m(3), v(3);
    AdamStep a{};
    a.count = 3;
    a.gradient = gradient.data();
    a.rate = 0.1;
    a.beta1 = 0.9;
    a.beta2 = 0.999;
    a.eps = 1e-12;
    a.correction1 = 1 / (1 - 0.9);
    a.correction2 = 1 / (1 - 0.999);
    a.weight = w.data();
    a.m = m.data();
    a.v = v.data();
    adam_step(a);
    EXPECT_TRUE(close(w, std::vector<float>{0.9f, 1.1f, 0.9f}, 1e-6));
  });
}

SgdStep sgd(State<SgdStep>& s, bool with_ema, double momentum) {
  SgdStep a{};
  a.count = s.weight.size();
  a.gradient = s.gradient.data();
  a.gradient_scale = 0.5;
  a.rate = 0.1;
  a.momentum = momentum;
  a.decay = 0.01;
  a.weight = s.weight.data();
  a.buffer = momentum > 0 ? s.first.data() : nullptr;
  a.ema = with_ema ? s.ema.data() : nullptr;
  a.ema_decay = 0.99;
  return a;
}

TEST(Sgd, FastFormIsTheDefinition) {
  on_every_target([] {
    for (std::int64_t n : kSizes) {
      for (bool with_ema : {false, true}) {
        for (double momentum : {0.0, 0.9}) {
          State<SgdStep> want(n);
          definition::sgd_step(sgd(want, with_ema, momentum));
          const auto got = for_any_threads([&] {
            State<SgdStep> s(n);
            sgd_step(sgd(s, with_ema, momentum));
            return s.all();
          });
          EXPECT_TRUE(close(got, want.all(), 1e-6)) << n;
        }
      }
    }
  });
}

TEST(Sgd, MomentumAsPyTorchDoesIt) {
  std::vector<float> w = {1.0f}, buffer = {0.0f};
  const std::vector<float> gradient = {1.0f};
  SgdStep a{};
  a.count = 1;
  a.gradient = gradient.data();
  a.rate = 0.1;
  a.momentum = 0.9;
  a.weight = w.data();
  a.buffer = buffer.data();
  sgd_step(a);
  EXPECT_FLOAT_EQ(w[0], 0.9f);
  sgd_step(a);
  EXPECT_FLOAT_EQ(w[0], 0.71f);
}

TEST(SumOfSquares, FastFormIsTheDefinition) {
  on_every_target([] {
    auto sizes = kSizes;
    sizes.insert(sizes.end(), {0, 65'537, 300'000});
    for (std::int64_t n : sizes) {
      const Guarded<float> x(normals(n, 5));
      const double want = definition::sum_of_squares(n, x.data());
      const double one = with_threads(1, [&] { return sum_of_squares(n, x.data()); });
      const double two = with_threads(2, [&] { return sum_of_squares(n, x.data()); });
      EXPECT_NEAR(one, want, 1e-6 * want) << n;
      EXPECT_EQ(one, two);
    }
  });
}

TEST(SumOfSquares, NonFiniteNumbersPropagate) {
  on_every_target([] {
    for (float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      for (std::int64_t at : {0, 500, 1000}) {
        Guarded<float> x(1001, 1.0f);
        x[at] = bad;
        EXPECT_FALSE(std::isfinite(sum_of_squares(1001, x.data())));
      }
    }
  });
}

TEST(SumOfSquares, LargeGradientsDoNotOverflow) {
  on_every_target([] {
    const std::vector<float> x(100, 1e25f);  // the square, 1e50, is no float
    EXPECT_NEAR(sum_of_squares(100, x.data()) / 1e52, 1.0, 1e-6);
  });
}

}  // namespace
}  // namespace qkv::kernels

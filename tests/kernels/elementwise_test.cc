#include "qkv/kernels/elementwise.h"

#include "kernels/fixtures.h"

namespace qkv::kernels {
namespace {

constexpr Activation kActivations[] = {
    Activation::none,      Activation::relu,       Activation::gelu,
    Activation::gelu_tanh, Activation::tanh,       Activation::sigmoid,
    Activation::silu,      Activation::quick_gelu, Activation::elu};

Dropout some_dropout(double probability) { return Dropout::make(probability, key_of(7, 11)); }

TEST(BiasActivation, FastFormIsTheDefinition) {
  on_every_target([] {
    for (std::int64_t cols : kSizes) {
      const std::int64_t rows = 3;
      const auto z = normals(rows * cols, 1, 3.0), b = normals(cols, 2);
      const auto dy = normals(rows * cols, 3);
      for (Activation activation : kActivations) {
        for (double p : {0.0, 0.3}) {
          for (bool biased : {false, true}) {
            SCOPED_TRACE(testing::Message() << "cols " << cols << " activation "
                                            << static_cast<int>(activation) << " p " << p);
            const Dropout drop = some_dropout(p);
            const double* bias = biased ? b.data() : nullptr;
            std::vector<double> want(z.size()), want_dz(z.size());
            definition::bias_activation(rows, cols, z.data(), bias, activation, drop, want.data());
            definition::bias_activation_backward(rows, cols, z.data(), bias, want.data(),
                                                 activation, drop, dy.data(), want_dz.data());
            const Guarded<float> fz(z), fb(b, 3), fdy(dy, 2);
            const float* fbias = biased ? fb.data() : nullptr;
            Guarded<float> y(rows * cols), dz(rows * cols, 0.0f, 5);
            const auto got = for_any_threads([&] {
              bias_activation(rows, cols, fz.data(), fbias, activation, drop, y.data());
              return y.values();
            });
            const auto got_dz = for_any_threads([&] {
              bias_activation_backward(rows, cols, fz.data(), fbias, y.data(), activation, drop,
                                       fdy.data(), dz.data());
              return dz.values();
            });
            EXPECT_TRUE(close(got, want, 1e-6));
            EXPECT_TRUE(close(got_dz, want_dz, 2e-6));
            EXPECT_TRUE(y.intact() && dz.intact());
            // In place: y over z, dz over dy.
            Guarded<float> zy(z), dydz(dy);
            bias_activation(rows, cols, zy.data(), fbias, activation, drop, zy.data());
            EXPECT_TRUE(same_bits(zy.values(), got));
            bias_activation_backward(rows, cols, fz.data(), fbias, y.data(), activation, drop,
                                     dydz.data(), dydz.data());
            EXPECT_TRUE(same_bits(dydz.values(), got_dz));
          }
        }
      }
    }
  });
}

TEST(BiasActivation, TakesOneLongRow) {  // as an activation of a whole tensor comes
  const std::int64_t n = 100'003;
  const auto z = normals(n, 4);
  const Dropout drop = some_dropout(0.5);
  std::vector<double> want(z.size());
  definition::bias_activation(1, n, z.data(), static_cast<const double*>(nullptr), Activation::tanh,
                              drop, want.data());
  const Guarded<float> fz(z);
  Guarded<float> y(n);
  const auto got = for_any_threads([&] {
    bias_activation(1, n, fz.data(), nullptr, Activation::tanh, drop, y.data());
    return y.values();
  });
  EXPECT_TRUE(close(got, want, 1e-6));
}

TEST(BiasActivation, NoneAndReluNeedOnlyTheOutput) {
  for (Activation activation : {Activation::none, Activation::relu}) {
    const auto z = normals(51, 5), dy = normals(51, 6);
    const Dropout drop = some_dropout(0.3);
    Guarded<float> fz(z), y(51), with(51), without(51);
    const Guarded<float> fdy(dy);
    bias_activation(3, 17, fz.data(), nullptr, activation, drop, y.data());
    bias_activation_backward(3, 17, fz.data(), nullptr, y.data(), activation, drop, fdy.data(),
                             with.data());
    bias_activation_backward(3, 17, nullptr, nullptr, y.data(), activation, drop, fdy.data(),
                             without.data());
    EXPECT_TRUE(same_bits(with.values(), without.values()));
  }
}

TEST(BiasActivation, GradientByDifferences) {
  const auto z = normals(12, 7), b = normals(4, 8), w = normals(12, 9);
  for (Activation activation : kActivations) {
    const Dropout drop = some_dropout(0.25);
    const auto forward = [&](const std::vector<double>& at) {
      std::vector<double> y(at.size());
      definition::bias_activation(3, 4, at.data(), b.data(), activation, drop, y.data());
      return y;
    };
    const auto y = forward(z);
    std::vector<double> dz(z.size());
    definition::bias_activation_backward(3, 4, z.data(), b.data(), y.data(), activation, drop,
                                         w.data(), dz.data());
    check_gradient([&](const auto& at) { return dot(forward(at), w); }, z, dz,
                   "activation " + std::to_string(static_cast<int>(activation)));
  }
}

TEST(BiasActivation, GeluHasItsPublishedValues) {
  const std::vector<float> x = {-2.0f, -1.0f, 0.5f, 1.0f};
  const std::vector<double> by_erf = {-.0455003, -.1586553, .3457312, .8413447};
  const std::vector<double> by_tanh = {-.0454023, -.158808, .345714, .841192};
  on_every_target([&] {
    std::vector<float> y(4);
    bias_activation(1, 4, x.data(), nullptr, Activation::gelu, {}, y.data());
    EXPECT_TRUE(close(y, by_erf, 3e-7));
    bias_activation(1, 4, x.data(), nullptr, Activation::gelu_tanh, {}, y.data());
    EXPECT_TRUE(close(y, by_tanh, 1e-6));
  });
}

// torch 1.13: silu(x); x·sigmoid(1.702 x).
TEST(BiasActivation, SiluAndQuickGeluAreThoseOfTorch) {
  const std::vector<float> x = {-2.0f, -1.0f, 0.5f, 1.0f};
  const std::vector<double> silu = {-0.238405844, -0.268941421, 0.311229666, 0.731058579};
  const std::vector<double> quick = {-0.064341377, -0.154204234, 0.350388437, 0.845795766};
  on_every_target([&] {
    std::vector<float> y(4);
    bias_activation(1, 4, x.data(), nullptr, Activation::silu, {}, y.data());
    EXPECT_TRUE(close(y, silu, 2e-7));
    bias_activation(1, 4, x.data(), nullptr, Activation::quick_gelu, {}, y.data());
    EXPECT_TRUE(close(y, quick, 2e-7));
  });
}

TEST(BiasActivation, ExtremeValues) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> x(16, 0.0f);
  const std::vector<float> given = {-inf, inf,   nan,    -1e30f, 1e30f, -100.0f, 100.0f, -20.0f,
                                    20.f, 1e-8f, -1e-8f, 0.0f,   -0.0f, 1e-40f,  -88.0f, 88.5f};
  on_every_target([&] {
    for (Activation activation :
         {Activation::none, Activation::relu, Activation::tanh, Activation::sigmoid}) {
      // Full vectors, and each value alone in the remainder.
      std::vector<float> y(16), want(16);
      definition::bias_activation(1, 16, given.data(), static_cast<const float*>(nullptr),
                                  activation, {}, want.data());
      bias_activation(1, 16, given.data(), nullptr, activation, {}, y.data());
      EXPECT_TRUE(close(y, want, 2e-7)) << static_cast<int>(activation);
      for (std::size_t i = 0; i < 16; ++i) {
        bias_activation(1, 1, &given[i], nullptr, activation, {}, &y[i]);
      }
      EXPECT_TRUE(close(y, want, 2e-7)) << static_cast<int>(activation) << " alone";
    }
    for (Activation activation :
         {Activation::gelu, Activation::gelu_tanh, Activation::silu, Activation::quick_gelu}) {
      const std::vector<float> far = {-1e30f, -50.0f, -30.0f, 30.0f, 50.0f, 1e15f};
      const std::vector<float> want = {0.0f, 0.0f, 0.0f, 30.0f, 50.0f, 1e15f};
      std::vector<float> y(6), ones(6, 1.0f);
      bias_activation(1, 6, far.data(), nullptr, activation, {}, y.data());
      EXPECT_TRUE(close(y, want, 1e-6)) << static_cast<int>(activation);
      const std::vector<float> slope = {0.0f, 0.0f, 0.0f, 1.0f, 1.0f, 1.0f};
      const std::vector<float> z = {-1e30f, -50.0f, -30.0f, 30.0f, 50.0f, 1e30f};
      bias_activation_backward(1, 6, z.data(), nullptr, nullptr, activation, {}, ones.data(),
                               y.data());
      EXPECT_TRUE(close(y, slope, 1e-6)) << static_cast<int>(activation);
    }
  });
}

TEST(ColumnSums, FastFormIsTheDefinition) {
  on_every_target([] {
    for (std::int64_t rows : {1, 2, 5, 64, 255, 257, 1030}) {
      for (std::int64_t cols : {1, 7, 16, 33, 64, 130}) {
        const auto x = normals(rows * cols, 10), start = normals(cols, 11);
        for (double beta : {0.0, 1.0}) {
          auto want = start;
          definition::column_sums(rows, cols, x.data(), beta, want.data());
          const Guarded<float> fx(x);
          const auto got = for_any_threads([&] {
            Guarded<float> sum(start);
            // beta = 0 must not read what was there.
            if (beta == 0) sum = Guarded<float>(cols, std::numeric_limits<float>::quiet_NaN());
            column_sums(rows, cols, fx.data(), static_cast<float>(beta), sum.data());
            EXPECT_TRUE(sum.intact());
            return sum.values();
          });
          EXPECT_TRUE(close(got, want, 3e-5)) << rows << "×" << cols;
        }
      }
    }
  });
}

TEST(ColumnSums, OfNoRowsAreZeroOrWhatWasThere) {
  std::vector<float> sum = {1.0f, 2.0f};
  column_sums(0, 2, nullptr, 1.0f, sum.data());
  EXPECT_EQ(sum, (std::vector<float>{1.0f, 2.0f}));
  column_sums(0, 2, nullptr, 0.0f, sum.data());
  EXPECT_EQ(sum, (std::vector<float>{0.0f, 0.0f}));
}

TEST(Elementwise, SimpleLoopsAreTheirDefinitions) {
  on_every_target([] {
    std::vector<std::int64_t> sizes = kSizes;
    sizes.push_back(70'001);  // several pieces
    for (std::int64_t n : sizes) {
      const auto x = normals(n, 12), y = normals(n, 13);
      const Guarded<float> fx(x), fy(y, 2);
      std::vector<double> sum(x.size()), product(x.size()), mixed = y;
      definition::add(n, x.data(), y.data(), sum.data());
      definition::multiply(n, x.data(), y.data(), product.data());
      definition::axpby(n, 0.5, x.data(), -2.0, mixed.data());
      Guarded<float> out(n);
      EXPECT_TRUE(close(for_any_threads([&] {
                          add(n, fx.data(), fy.data(), out.data());
                          return out.values();
                        }),
                        sum, 1e-6));
      EXPECT_TRUE(close(for_any_threads([&] {
                          multiply(n, fx.data(), fy.data(), out.data());
                          return out.values();
                        }),
                        product, 1e-6));
      EXPECT_TRUE(close(for_any_threads([&] {
                          Guarded<float> z(y);
                          axpby(n, 0.5f, fx.data(), -2.0f, z.data());
                          EXPECT_TRUE(z.intact());
                          return z.values();
                        }),
                        mixed, 1e-6));
      EXPECT_TRUE(out.intact());
    }
  });
}

TEST(Elementwise, AxpbyWithBetaZeroDoesNotReadTheTarget) {
  on_every_target([] {
    const std::vector<float> x(33, 2.0f);
    std::vector<float> y(33, std::numeric_limits<float>::quiet_NaN());
    axpby(33, 3.0f, x.data(), 0.0f, y.data());
    EXPECT_EQ(y, std::vector<float>(33, 6.0f));
  });
}

TEST(Elementwise, NothingForNoElements) {
  bias_activation(0, 5, nullptr, nullptr, Activation::gelu, {}, nullptr);
  bias_activation(5, 0, nullptr, nullptr, Activation::gelu, {}, nullptr);
  bias_activation_backward(0, 5, nullptr, nullptr, nullptr, Activation::relu, {}, nullptr, nullptr);
  column_sums(5, 0, nullptr, 0.0f, nullptr);
  add(0, nullptr, nullptr, nullptr);
  dropout(0, nullptr, some_dropout(0.5), nullptr);
  EXPECT_EQ(first_non_finite(0, nullptr), -1);
}

TEST(FirstNonFinite, FindsTheFirst) {
  on_every_target([] {
    for (std::int64_t n : {1, 7, 16, 33, 1000, 100'000}) {
      Guarded<float> x(n, 1e38f);  // sums of these overflow: only the elements count
      EXPECT_EQ(first_non_finite(n, x.data()), -1) << n;
      for (float bad :
           {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
            -std::numeric_limits<float>::infinity()}) {
        for (std::int64_t at : {std::int64_t{0}, n / 3, n - 1}) {
          Guarded<float> y(n, -1e38f);
          y[n - 1] = bad;
          y[at] = bad;
          EXPECT_EQ(with_threads(2, [&] { return first_non_finite(n, y.data()); }), at) << n;
        }
      }
    }
  });
}

}  // namespace
}  // namespace qkv::kernels

#include "kernels/fixtures.h"
#include <gtest/gtest.h>

#include "qkv/base/random.h"
#include "qkv/kernels/elementwise.h"

namespace qkv::kernels {
namespace {

TEST(Dropout, VectorDrawsAreTheScalarOnes) {
  on_every_target([] {
    const Dropout drop = Dropout::make(0.37, key_of(1, 2, 3));
    for (std::int64_t n : {1, 2, 15, 31, 32, 33, 65, 1000, 50'001}) {
      Guarded<float> x(n, 1.5f), y(n);
      dropout(n, x.data(), drop, y.data());
      for (std::int64_t i = 0; i < n; ++i) {
        ASSERT_EQ(y[i], 1.5f * dropout_factor(drop, static_cast<std::uint64_t>(i)))
            << n << " " << i;
      }
      EXPECT_TRUE(y.intact());
    }
  });
}

TEST(Dropout, RowsThatBeginAtOddElements) {
  on_every_target([] {
    const Dropout drop = Dropout::make(0.5, key_of(9));
    for (std::int64_t cols : kSizes) {
      Guarded<float> x(7 * cols, 1.0f);
      bias_activation(7, cols, x.data(), nullptr, Activation::none, drop, x.data());
      for (std::int64_t i = 0; i < 7 * cols; ++i) {
        ASSERT_EQ(x[i], dropout_factor(drop, static_cast<std::uint64_t>(i))) << cols << " " << i;
      }
    }
  });
}

TEST(Dropout, ProbabilityOneDropsAll) {
  on_every_target([] {
    const Dropout drop = Dropout::make(1.0, key_of(9));
    std::vector<float> x(100, 1.0f);
    dropout(100, x.data(), drop, x.data());
    EXPECT_EQ(x, std::vector<float>(100, 0.0f));
  });
}

TEST(Dropout, KeepsTheRightShareAndNeighboursAreIndependent) {
  constexpr std::int64_t n = 1 << 20;
  for (double p : {0.1, 0.3, 0.5}) {
    const Dropout drop = Dropout::make(p, key_of(42, 1));
    const Dropout other = Dropout::make(p, key_of(42, 2));
    double dropped = 0;
    double both[4] =
        {};  // with the next element, the one after, one 256 on, the same under another key
    const auto out = [](const Dropout& d, std::int64_t i) {
      return dropout_factor(d, static_cast<std::uint64_t>(i)) == 0.0f;
    };
    for (std::int64_t i = 0; i < n; ++i) {
      if (!out(drop, i)) continue;
      dropped += 1;
      both[0] += out(drop, i + 1);
      both[1] += out(drop, i + 2);
      both[2] += out(drop, i + 256);
      both[3] += out(other, i);
    }
    // Five standard deviations of a binomial.
    EXPECT_NEAR(dropped, n * p, 5 * std::sqrt(n * p * (1 - p))) << p;
    for (double count : both) {
      EXPECT_NEAR(count, n * p * p,
                  5 * std::sqrt(n * p * p * (1 - p * p)) + 5 * p * std::sqrt(n * p))
          << p;
    }
  }
}

TEST(Dropout, KeepsTheMean) {
  const Dropout drop = Dropout::make(0.3, key_of(5));
  std::vector<float> x(1 << 18, 1.0f);
  dropout(1 << 18, x.data(), drop, x.data());
  double sum = 0;
  for (float v : x) sum += static_cast<double>(v);
  EXPECT_NEAR(sum / (1 << 18), 1.0, 0.01);
}

}  // namespace
}  // namespace qkv::kernels

#include "qkv/kernels/word_vectors.h"

#include "kernels/fixtures.h"

namespace qkv::kernels {
namespace {

TEST(Pull, FastFormIsTheDefinition) {
  on_every_target([] {
    for (const std::int64_t n : kSizes) {
      const double scale = 1 / std::sqrt(static_cast<double>(n));
      for (const double label : {0.0, 1.0}) {
        const auto h = normals(n, 1), row = normals(n, 2, scale), error = normals(n, 3);
        auto want_row = row, want_error = error;
        const double want =
            definition::pull(n, h.data(), want_row.data(), label, 0.05, want_error.data());
        Guarded<float> fh(h), frow(row, 3), ferror(error, 2);
        const float f =
            pull(n, fh.data(), frow.data(), static_cast<float>(label), 0.05F, ferror.data());
        EXPECT_NEAR(static_cast<double>(f), want, 2e-5) << n;
        EXPECT_TRUE(frow.intact() && ferror.intact());
        for (std::int64_t i = 0; i < n; ++i) {
          const auto k = static_cast<std::size_t>(i);
          EXPECT_NEAR(static_cast<double>(frow[i]), want_row[k], 2e-6) << n;
          EXPECT_NEAR(static_cast<double>(ferror[i]), want_error[k], 2e-6) << n;
        }
      }
    }
  });
}

/// The step is the gradient of −log σ(±f).
TEST(Pull, TheDefinitionDescends) {
  const std::int64_t n = 5;
  const double rate = 1.0, step = 1e-6;
  for (const double label : {0.0, 1.0}) {
    const auto h = normals(n, 1), row = normals(n, 2);
    const auto loss = [&](const std::vector<double>& x, const std::vector<double>& y) {
      double f = 0;
      for (std::size_t i = 0; i < x.size(); ++i) f += x[i] * y[i];
      return std::log1p(std::exp(label > 0 ? -f : f));
    };
    auto moved = row;
    std::vector<double> error(static_cast<std::size_t>(n));
    definition::pull(n, h.data(), moved.data(), label, rate, error.data());
    for (std::size_t i = 0; i < h.size(); ++i) {
      auto up = h, down = h;
      up[i] += step;
      down[i] -= step;
      EXPECT_NEAR(error[i], -(loss(up, row) - loss(down, row)) / (2 * step), 1e-8);
      up = down = row;
      up[i] += step;
      down[i] -= step;
      EXPECT_NEAR(moved[i] - row[i], -(loss(h, up) - loss(h, down)) / (2 * step), 1e-8);
    }
  }
}

TEST(Pull, HugeScoresSaturate) {
  for (const float sign : {1.0F, -1.0F}) {
    std::vector<float> h = {1000.0F * sign}, row = {1000.0F}, error = {0.0F};
    pull(1, h.data(), row.data(), sign > 0 ? 1.0F : 0.0F, 0.05F, error.data());
    EXPECT_EQ(row[0], 1000.0F);  // it is right already
    EXPECT_EQ(error[0], 0.0F);
  }
}

TEST(AddScaled, AddsWithinItsBounds) {
  on_every_target([] {
    for (const std::int64_t n : kSizes) {
      const auto x = normals(n, 1), y = normals(n, 2);
      const Guarded<float> fx(x);
      Guarded<float> fy(y, 5);
      add_scaled(n, 0.25F, fx.data(), fy.data());
      EXPECT_TRUE(fy.intact());
      for (std::int64_t i = 0; i < n; ++i) {
        const auto k = static_cast<std::size_t>(i);
        EXPECT_NEAR(static_cast<double>(fy[i]), y[k] + 0.25 * x[k], 1e-6);
      }
    }
  });
}

}  // namespace
}  // namespace qkv::kernels

#include "qkv/kernels/gemm.h"

#include "kernels/fixtures.h"

namespace qkv::kernels {
namespace {

struct Sizes {
  std::int64_t n, k;
};
constexpr Sizes kShapes[] = {{37, 53}, {128, 256}, {512, 64}, {1, 17}, {300, 1}};

TEST(Gemm, IsTheDefinition) {
  for (const Sizes& s : kShapes) {
    for (std::int64_t m : {1, 2, 5, 33}) {
      for (double beta : {0.0, 1.0}) {
        // Row strides wider than the rows: what lies between is not touched.
        const std::int64_t lda = s.k + 3, ldb = s.n + 2, ldc = s.n + 5, lda_t = m + 4;
        const auto a = normals(m * lda, 1), b = normals(s.k * ldb, 2), c = normals(m * ldc, 3);
        const auto at = normals(s.k * lda_t, 4);
        auto want = c, want_tn = c;
        gemm_nn(m, s.n, s.k, a.data(), lda, b.data(), ldb, beta, want.data(), ldc);
        gemm_tn(m, s.n, s.k, at.data(), lda_t, b.data(), ldb, beta, want_tn.data(), ldc);
        const Guarded<float> fa(a), fb(b), fat(at);
        const double tolerance = 2e-6 * std::sqrt(static_cast<double>(s.k));
        const auto fbeta = static_cast<float>(beta);
        Guarded<float> nn(c), tn(c);
        gemm_nn(m, s.n, s.k, fa.data(), lda, fb.data(), ldb, fbeta, nn.data(), ldc);
        gemm_tn(m, s.n, s.k, fat.data(), lda_t, fb.data(), ldb, fbeta, tn.data(), ldc);
        EXPECT_TRUE(close(nn.values(), want, tolerance)) << m << " " << s.n << " " << s.k;
        EXPECT_TRUE(close(tn.values(), want_tn, tolerance)) << m << " " << s.n << " " << s.k;
        EXPECT_TRUE(nn.intact() && tn.intact());
      }
    }
  }
}

TEST(Gemm, BetaZeroDoesNotReadTheResult) {
  for (std::int64_t m : {1, 3}) {
    const std::vector<float> a(static_cast<std::size_t>(3 * m), 1.0f), b(12, 2.0f);
    std::vector<float> c(static_cast<std::size_t>(4 * m), std::numeric_limits<float>::quiet_NaN());
    gemm_nn(m, 4, 3, a.data(), 3, b.data(), 4, 0.0f, c.data(), 4);
    EXPECT_EQ(c, std::vector<float>(c.size(), 6.0f));
    std::fill(c.begin(), c.end(), std::numeric_limits<float>::quiet_NaN());
    gemm_tn(m, 4, 3, a.data(), m, b.data(), 4, 0.0f, c.data(), 4);
    EXPECT_EQ(c, std::vector<float>(c.size(), 6.0f));
    gemm_nn(m, 4, 0, a.data(), 1, b.data(), 4, 0.0f, c.data(), 4);  // an empty sum is zero
    EXPECT_EQ(c, std::vector<float>(c.size(), 0.0f));
  }
  gemm_nn(0, 4, 3, nullptr, 3, nullptr, 4, 0.0f, nullptr, 4);
  gemm_tn(4, 0, 3, nullptr, 4, nullptr, 1, 0.0f, nullptr, 1);
}

TEST(Gemm, ARowHasTheSameBitsWhateverItsNeighboursAndTheThreads) {
  constexpr std::int64_t kRows = 300;
  for (const Sizes& s : {Sizes{37, 53}, Sizes{128, 128}, Sizes{256, 128}, Sizes{512, 64}}) {
    const Guarded<float> a(normals(kRows * s.k, 5)), b(normals(s.k * s.n, 6));
    const auto product = [&](std::int64_t first, std::int64_t m, int team) {
      std::vector<float> c(static_cast<std::size_t>(m * s.n));
      with_threads(team, [&] {
        gemm_nn(m, s.n, s.k, a.data() + first * s.k, s.k, b.data(), s.n, 0.0f, c.data(), s.n);
      });
      return c;
    };
    const auto whole = product(0, kRows, 1);
    for (int team = 2; team <= 4; ++team) {
      EXPECT_TRUE(same_bits(product(0, kRows, team), whole)) << team << " threads";
    }
    for (std::int64_t m = 1; m <= 70; ++m) {
      const std::int64_t first = m * 3 % 200;
      const std::vector<float> want(whole.begin() + first * s.n, whole.begin() + (first + m) * s.n);
      for (int team : {1, 2, 3, 4}) {
        if (team > 2 && m % 16 > 1) continue;  // more threads than cores are slow to test
        EXPECT_TRUE(same_bits(product(first, m, team), want))
            << "M " << m << " N " << s.n << " K " << s.k << ", " << team << " threads";
      }
    }
  }
}

TEST(Gemm, TransposedProductsHaveTheSameBitsForAnyThreads) {
  for (auto [m, n, k] :
       {std::array<std::int64_t, 3>{37, 53, 1000}, std::array<std::int64_t, 3>{128, 256, 515},
        std::array<std::int64_t, 3>{64, 1000, 300}}) {
    const Guarded<float> a(normals(m * k, 7)), b(normals(k * n, 8));
    std::vector<float> one;
    for (int team = 1; team <= 4; ++team) {
      std::vector<float> c(static_cast<std::size_t>(m * n));
      const std::int64_t mm = m, nn = n, kk = k;
      with_threads(team,
                   [&] { gemm_tn(mm, nn, kk, a.data(), mm, b.data(), nn, 0.0f, c.data(), nn); });
      if (one.empty()) one = c;
      EXPECT_TRUE(same_bits(c, one)) << team << " threads";
    }
  }
}

TEST(Transpose, TwiceIsTheSame) {
  for (std::int64_t rows : {1, 3, 31, 32, 33, 100}) {
    for (std::int64_t cols : {1, 5, 32, 65, 200}) {
      const Guarded<float> x(normals(rows * cols, 9));
      Guarded<float> y(rows * cols, 0.0f, 2), z(rows * cols);
      transpose(rows, cols, x.data(), y.data());
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < cols; ++c) ASSERT_EQ(y[c * rows + r], x[r * cols + c]);
      }
      with_threads(2, [&] { transpose(cols, rows, y.data(), z.data()); });
      EXPECT_TRUE(same_bits(z.values(), x.values()));
      EXPECT_TRUE(y.intact() && z.intact());
    }
  }
}

}  // namespace
}  // namespace qkv::kernels

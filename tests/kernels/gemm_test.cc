#include "qkv/kernels/gemm.h"

#include <array>
#include <atomic>
#include <csignal>

#include "kernels/fixtures.h"
#include <sys/time.h>

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

/// Random a [m k] or [k m], b [k n] and their product by `team` threads.
struct Case {
  Case(std::int64_t m_, std::int64_t n_, std::int64_t k_)
      : m(m_), n(n_), k(k_), a(normals(m * k, 11)), b(normals(k * n, 12)) {}
  std::vector<float> nn(int team, std::int64_t first = 0, std::int64_t rows = -1) const {
    std::vector<float> c(static_cast<std::size_t>((rows < 0 ? m : rows) * n), 0.5f);
    const ThreadScope scope(team);
    gemm_nn(rows < 0 ? m : rows, n, k, a.data() + first * k, k, b.data(), n, 1.0f, c.data(), n);
    return c;
  }
  std::vector<float> tn(int team) const {
    std::vector<float> c(static_cast<std::size_t>(m * n), 0.5f);
    const ThreadScope scope(team);
    gemm_tn(m, n, k, a.data(), m, b.data(), n, 1.0f, c.data(), n);
    return c;
  }
  std::int64_t m, n, k;
  Guarded<float> a, b;
};

// All ways of cutting: by rows, by columns, both; with lone rows and columns at the ends.
constexpr std::array<std::int64_t, 3> kCuts[] = {
    {2, 1000, 200}, {3, 10000, 64},  {17, 97, 300},  {17, 113, 128}, {33, 49, 200},
    {65, 65, 128},  {100, 512, 96},  {129, 1, 700},  {257, 33, 100}, {300, 300, 64},
    {512, 17, 64},  {1025, 128, 32}, {1, 2000, 300}, {64, 768, 768}, {96, 96, 515}};

TEST(Gemm, HasTheSameBitsForAnyThreads) {
  for (const auto& [m, n, k] : kCuts) {
    const Case product(m, n, k);
    const auto nn = product.nn(1), tn = product.tn(1);
    for (const int team : {2, 3, 4, 7, 12}) {
      EXPECT_TRUE(same_bits(product.nn(team), nn)) << m << " " << n << " " << k << ", " << team;
      EXPECT_TRUE(same_bits(product.tn(team), tn)) << m << " " << n << " " << k << ", " << team;
    }
  }
}

TEST(Gemm, IsWholeWhenFewerThreadsComeThanWereAskedFor) {
  for (const auto& [m, n, k] : kCuts) {
    const Case product(m, n, k);
    const auto nn = product.nn(1), tn = product.tn(1);
    const int levels = omp_get_max_active_levels(), named = omp_get_max_threads();
    omp_set_num_threads(4);
    for (const bool outside : {true, false}) {
      // A region of one thread, as OMP_THREAD_LIMIT=1 gives it, and a product that starts in one.
      if (outside) omp_set_max_active_levels(0);
      bool same = true;
#pragma omp parallel num_threads(1)
      same = same_bits(product.nn(4), nn) && same_bits(product.tn(4), tn);
      EXPECT_TRUE(same) << m << " " << n << " " << k << (outside ? "" : ", nested");
      omp_set_max_active_levels(levels);
    }
    EXPECT_EQ(omp_get_max_threads(), 4);  // the caller's setting is back
    omp_set_num_threads(named);
  }
}

TEST(Gemm, LongSumsHaveTheSameBitsWhateverTheirNeighbours) {
  // oneDNN's own NN changes the order of such sums from about 100 rows on.
  for (const auto& [n, k] : {std::array<std::int64_t, 2>{768, 1000}, {4096, 1024}, {1000, 2048}}) {
    const Case product(193, n, k);
    const auto whole = product.nn(1);
    EXPECT_TRUE(same_bits(product.nn(3), whole)) << n << " " << k;
    for (const auto& [first, rows] :
         {std::array<std::int64_t, 2>{0, 64}, {0, 129}, {5, 112}, {100, 65}, {192, 1}}) {
      const std::vector<float> want(whole.begin() + first * n, whole.begin() + (first + rows) * n);
      EXPECT_TRUE(same_bits(product.nn(2, first, rows), want)) << n << " " << k << ", " << rows;
    }
  }
}

std::atomic<int> g_alarms = 0;

TEST(Gemm, AHandlerOnTheAlternateStackLeavesProductsWhole) {
  const Case product(256, 512, 256);
  const auto want = product.nn(1);  // and this thread has its signal stack
  struct sigaction ours {
  }, before{};
  ours.sa_handler = [](int) { ++g_alarms; };
  ours.sa_flags = SA_ONSTACK | SA_RESTART;
  ASSERT_EQ(::sigaction(SIGALRM, &ours, &before), 0);
  const itimerval often{{0, 100}, {0, 100}}, never{{0, 0}, {0, 0}};
  ::setitimer(ITIMER_REAL, &often, nullptr);
  for (int round = 0; round < 100000 && g_alarms < 200; ++round) {
    ASSERT_TRUE(same_bits(product.nn(2), want)) << round;
  }
  ::setitimer(ITIMER_REAL, &never, nullptr);
  ::sigaction(SIGALRM, &before, nullptr);
  EXPECT_GE(g_alarms, 200);
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

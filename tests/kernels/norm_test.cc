#include "qkv/kernels/norm.h"

#include "kernels/fixtures.h"

namespace qkv::kernels {
namespace {

/// Which of the optional parts a case uses.
struct Parts {
  bool bias, residual, affine, sum;
  double p;
};
constexpr Parts kParts[] = {
    {false, false, true, false, 0.0}, {false, true, true, true, 0.3},
    {true, true, true, true, 0.1},    {true, false, false, true, 0.5},
    {false, true, false, false, 0.0},
};

template <class T>
struct Inputs {
  Guarded<T> x, bias, residual, gamma, beta, dout, dsum;
  Inputs(std::int64_t rows, std::int64_t cols)
      : x(normals(rows * cols, 1), 1),
        bias(normals(cols, 2), 2),
        residual(normals(rows * cols, 3), 3),
        gamma(normals(cols, 4), 1),
        beta(normals(cols, 5), 2),
        dout(normals(rows * cols, 6), 3),
        dsum(normals(rows * cols, 7), 1) {}

  NormForward<T> forward(std::int64_t rows, std::int64_t cols, const Parts& parts) const {
    NormForward<T> a{};
    a.rows = rows;
    a.cols = cols;
    a.x = x.data();
    a.bias = parts.bias ? bias.data() : nullptr;
    a.residual = parts.residual ? residual.data() : nullptr;
    a.gamma = parts.affine ? gamma.data() : nullptr;
    a.beta = parts.affine ? beta.data() : nullptr;
    a.dropout = Dropout::make(parts.p, key_of(3));
    a.eps = 1e-5;
    return a;
  }
};

TEST(LayerNorm, FastFormIsTheDefinition) {
  on_every_target([] {
    for (std::int64_t cols : kSizes) {
      for (const Parts& parts : kParts) {
        const std::int64_t rows = cols > 200 ? 3 : 70, n = rows * cols;
        SCOPED_TRACE(testing::Message() << rows << "×" << cols << " p " << parts.p);
        const Inputs<double> in(rows, cols);
        Guarded<double> sum(n), out(n), mean(rows), rstd(rows);
        auto a = in.forward(rows, cols, parts);
        a.sum = sum.data();
        a.out = out.data();
        a.mean = mean.data();
        a.rstd = rstd.data();
        definition::layer_norm(a);

        const Inputs<float> fin(rows, cols);
        Guarded<float> fsum(n), fout(n), fmean(rows), frstd(rows);
        auto f = fin.forward(rows, cols, parts);
        f.sum = parts.sum ? fsum.data() : nullptr;
        f.out = fout.data();
        f.mean = fmean.data();
        f.rstd = frstd.data();
        const auto got = for_any_threads([&] {
          layer_norm(f);
          auto all = fout.values();
          append(all, fmean.values());
          append(all, frstd.values());
          if (parts.sum) append(all, fsum.values());
          return all;
        });
        EXPECT_TRUE(fsum.intact() && fout.intact() && fmean.intact() && frstd.intact());
        // With few columns the variance may be tiny and rstd large: compare relative to rstd.
        double largest = 1;
        for (double r : rstd.values()) largest = std::max(largest, r);
        EXPECT_TRUE(close(fout.values(), out.values(), 2e-6 * largest));
        EXPECT_TRUE(close(fmean.values(), mean.values(), 1e-6));
        EXPECT_TRUE(close(frstd.values(), rstd.values(), 2e-6 * largest));
        if (parts.sum) {
          EXPECT_TRUE(close(fsum.values(), sum.values(), 1e-6));
        }

        // Row by row: neighbours do not matter (without dropout, whose draws count from row 0).
        if (parts.p == 0) {
          Guarded<float> alone(n);
          auto one = f;
          one.rows = 1;
          one.sum = one.mean = one.rstd = nullptr;
          for (std::int64_t r = 0; r < rows; ++r) {
            one.x = f.x + r * cols;
            one.residual = f.residual ? f.residual + r * cols : nullptr;
            one.out = alone.data() + r * cols;
            layer_norm(one);
          }
          EXPECT_TRUE(same_bits(alone.values(), fout.values()));
        }
      }
    }
  });
}

TEST(LayerNorm, MayWorkInPlace) {
  on_every_target([] {
    const std::int64_t rows = 5, cols = 33, n = rows * cols;
    Inputs<float> in(rows, cols);
    auto a = in.forward(rows, cols, {true, true, true, true, 0.3});
    Guarded<float> sum(n), out(n);
    a.sum = sum.data();
    a.out = out.data();
    layer_norm(a);
    for (bool over_residual : {false, true}) {
      Inputs<float> again(rows, cols);
      auto b = again.forward(rows, cols, {true, true, true, true, 0.3});
      b.sum = over_residual ? again.residual.data() : again.x.data();
      Guarded<float> other(n);
      b.out = over_residual ? again.x.data() : other.data();
      layer_norm(b);
      EXPECT_TRUE(same_bits(std::vector<float>(b.sum, b.sum + n), sum.values()));
      EXPECT_TRUE(same_bits(std::vector<float>(b.out, b.out + n), out.values()));
    }
  });
}

TEST(LayerNormBackward, FastFormIsTheDefinition) {
  on_every_target([] {
    for (std::int64_t cols : kSizes) {
      for (const Parts& parts : kParts) {
        if (cols == 1) continue;  // x̂ is 0/√eps there: nothing but rounding to compare
        const std::int64_t rows = cols == 33 ? 300 : 3, n = rows * cols;
        SCOPED_TRACE(testing::Message() << rows << "×" << cols << " p " << parts.p);
        const Inputs<double> in(rows, cols);
        auto a = in.forward(rows, cols, parts);
        a.eps = 0.1;  // keeps rstd, and with it the rounding, small when there are few columns
        Guarded<double> s(n), out(n), mean(rows), rstd(rows);
        a.sum = s.data();
        a.out = out.data();
        a.mean = mean.data();
        a.rstd = rstd.data();
        definition::layer_norm(a);
        const auto fill = [&](auto& b, const auto& input) {
          b.rows = rows;
          b.cols = cols;
          b.gamma = parts.affine ? input.gamma.data() : nullptr;
          b.dout = input.dout.data();
          b.dsum = parts.residual ? input.dsum.data() : nullptr;
          b.dropout = a.dropout;
        };
        NormBackward<double> b{};
        fill(b, in);
        Guarded<double> dres(n), dx(n), dgamma(cols, 1.0), dbeta(cols, 1.0), dbias(cols, 1.0);
        b.sum = s.data();
        b.mean = mean.data();
        b.rstd = rstd.data();
        b.dresidual = dres.data();
        b.dx = dx.data();
        b.dgamma = dgamma.data();
        b.dbeta = dbeta.data();
        b.dbias = dbias.data();
        definition::layer_norm_backward(b);

        const Inputs<float> fin(rows, cols);
        const Guarded<float> fs(s.values(), 2), fmean(mean.values()), frstd(rstd.values());
        Guarded<float> fdres(n), fdx(n);
        NormBackward<float> f{};
        fill(f, fin);
        f.sum = fs.data();
        f.mean = fmean.data();
        f.rstd = frstd.data();
        f.dresidual = fdres.data();
        f.dx = fdx.data();
        for_any_threads([&] {
          Guarded<float> g(cols, 1.0f), e(cols, 1.0f), i(cols, 1.0f);
          f.dgamma = g.data();
          f.dbeta = e.data();
          f.dbias = i.data();
          layer_norm_backward(f);
          EXPECT_TRUE(g.intact() && e.intact() && i.intact() && fdres.intact() && fdx.intact());
          EXPECT_TRUE(close(g.values(), dgamma.values(), 2e-5));
          EXPECT_TRUE(close(e.values(), dbeta.values(), 2e-5));
          EXPECT_TRUE(close(i.values(), dbias.values(), 2e-5));
          auto all = fdres.values();
          append(all, fdx.values());
          append(all, g.values());
          append(all, e.values());
          append(all, i.values());
          return all;
        });
        EXPECT_TRUE(close(fdres.values(), dres.values(), 5e-6));
        EXPECT_TRUE(close(fdx.values(), dx.values(), 5e-6));

        // Only what is wanted, in place over dout, dx the same memory when nothing is dropped.
        Guarded<float> over(in.dout.values());
        f.dgamma = f.dbeta = f.dbias = nullptr;
        f.dout = over.data();
        f.dresidual = over.data();
        f.dx = parts.p == 0 ? over.data() : nullptr;
        layer_norm_backward(f);
        EXPECT_TRUE(same_bits(over.values(), fdres.values()));
      }
    }
  });
}

TEST(LayerNormBackward, GradientByDifferences) {
  const std::int64_t rows = 3, cols = 5, n = rows * cols;
  const auto w = normals(n, 20), ws = normals(n, 21);
  for (const Parts& parts : kParts) {
    const Inputs<double> in(rows, cols);
    Guarded<double> s(n), out(n), mean(rows), rstd(rows);
    // loss = ⟨w, out⟩ + ⟨ws, s⟩ as a function of one of the inputs.
    const auto loss = [&](auto NormForward<double>::*input) {
      return [&, input](const std::vector<double>& at) {
        auto a = in.forward(rows, cols, parts);
        a.eps = 0.01;
        a.*input = at.data();
        a.sum = s.data();
        a.out = out.data();
        a.mean = mean.data();
        a.rstd = rstd.data();
        definition::layer_norm(a);
        return dot(out.values(), w) + dot(s.values(), ws);
      };
    };
    loss (&NormForward<double>::x)(in.x.values());  // fills s, mean, rstd
    NormBackward<double> b{};
    b.rows = rows;
    b.cols = cols;
    const Guarded<double> s0 = s, mean0 = mean, rstd0 = rstd;
    b.sum = s0.data();
    b.mean = mean0.data();
    b.rstd = rstd0.data();
    b.gamma = parts.affine ? in.gamma.data() : nullptr;
    b.dout = w.data();
    b.dsum = ws.data();
    b.dropout = Dropout::make(parts.p, key_of(3));
    Guarded<double> dres(n), dx(n), dgamma(cols), dbeta(cols), dbias(cols);
    b.dresidual = dres.data();
    b.dx = dx.data();
    b.dgamma = dgamma.data();
    b.dbeta = dbeta.data();
    b.dbias = dbias.data();
    definition::layer_norm_backward(b);
    check_gradient(loss(&NormForward<double>::x), in.x.values(), dx.values(), "x");
    if (parts.residual) {
      check_gradient(loss(&NormForward<double>::residual), in.residual.values(), dres.values(),
                     "residual");
    }
    if (parts.bias) {
      check_gradient(loss(&NormForward<double>::bias), in.bias.values(), dbias.values(), "bias");
    }
    if (parts.affine) {
      check_gradient(loss(&NormForward<double>::gamma), in.gamma.values(), dgamma.values(),
                     "gamma");
      check_gradient(loss(&NormForward<double>::beta), in.beta.values(), dbeta.values(), "beta");
    }
  }
}

TEST(LayerNorm, ALargeMeanDoesNotSwallowTheVariance) {
  on_every_target([] {
    std::vector<float> x(256), out(256);
    for (std::size_t i = 0; i < 256; ++i) x[i] = 10000.0f + (i % 2 ? 1.0f : -1.0f);
    NormForward<float> a{};
    a.rows = 1;
    a.cols = 256;
    a.x = x.data();
    a.eps = 1e-5;
    a.out = out.data();
    layer_norm(a);
    for (std::size_t i = 0; i < 256; ++i) EXPECT_NEAR(out[i], i % 2 ? 1.0f : -1.0f, 1e-4f);
  });
}

TEST(LayerNorm, NothingForNoRows) {
  NormForward<float> a{};
  a.cols = 8;
  layer_norm(a);
  std::vector<float> dgamma(8, 2.0f);
  NormBackward<float> b{};
  b.cols = 8;
  b.dgamma = dgamma.data();
  layer_norm_backward(b);
  EXPECT_EQ(dgamma, std::vector<float>(8, 2.0f));
}

}  // namespace
}  // namespace qkv::kernels

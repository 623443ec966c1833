#include "qkv/kernels/heads.h"

#include "kernels/fixtures.h"

namespace qkv::kernels {
namespace {

TEST(RowScale, FastFormIsTheDefinition) {
  on_every_target([] {
    for (const std::int64_t cols : kSizes) {
      for (const RowScale scale : {RowScale::unit, RowScale::rms}) {
        for (const bool weighted : {false, true}) {
          SCOPED_TRACE(testing::Message() << cols << (weighted ? " weighted" : ""));
          const std::int64_t rows = cols > 200 ? 3 : 150, n = rows * cols;
          const double eps = scale == RowScale::unit ? std::sqrt(double(cols)) : 1e-5;
          const auto x = normals(n, 1), gamma = normals(cols, 2), dout = normals(n, 3);
          const auto start = normals(cols, 4);

          std::vector<double> out(x.size()), inverse(static_cast<std::size_t>(rows)), dx(x.size());
          std::vector<double> dgamma = start;
          definition::row_scale(RowScaleForward<double>{scale, rows, cols, x.data(),
                                                        weighted ? gamma.data() : nullptr, eps,
                                                        out.data(), inverse.data()});
          definition::row_scale_backward(RowScaleBackward<double>{
              scale, rows, cols, x.data(), weighted ? gamma.data() : nullptr, eps, inverse.data(),
              dout.data(), dx.data(), dgamma.data()});

          const Guarded<float> fx(x), fgamma(gamma, 2), fdout(dout, 3);
          Guarded<float> fout(n), finverse(rows), fdx(n, 0.0f, 5), fdgamma(start);
          const float* g = weighted ? fgamma.data() : nullptr;
          const auto got = for_any_threads([&] {
            row_scale({scale, rows, cols, fx.data(), g, eps, fout.data(), finverse.data()});
            fdgamma = Guarded<float>(start);
            row_scale_backward({scale, rows, cols, fx.data(), g, eps, finverse.data(), fdout.data(),
                                fdx.data(), fdgamma.data()});
            auto all = fout.values();
            append(all, finverse.values());
            append(all, fdx.values());
            append(all, fdgamma.values());
            return all;
          });
          EXPECT_TRUE(fout.intact() && finverse.intact() && fdx.intact() && fdgamma.intact());
          EXPECT_TRUE(close(fout.values(), out, 2e-6));
          EXPECT_TRUE(close(finverse.values(), inverse, 2e-6));
          double steepest = 1;  // one number has a small norm now and then
          for (const double r : inverse) steepest = std::max(steepest, r);
          EXPECT_TRUE(close(fdx.values(), dx, 3e-6 * steepest));
          EXPECT_TRUE(close(fdgamma.values(), dgamma, 2e-5));

          // In place, and without dgamma: the same bits.
          Guarded<float> xx(x), dd(dout), inverse2(rows);
          row_scale({scale, rows, cols, xx.data(), g, eps, xx.data(), inverse2.data()});
          EXPECT_TRUE(same_bits(xx.values(), fout.values()));
          row_scale_backward({scale, rows, cols, fx.data(), g, eps, finverse.data(), dd.data(),
                              dd.data(), nullptr});
          EXPECT_TRUE(same_bits(dd.values(), fdx.values()));
        }
      }
    }
  });
}

TEST(Rotation, FastFormIsTheDefinition) {
  on_every_target([] {
    for (const std::int64_t pairs : {0, 1, 3, 8, 9, 16, 24, 37, 100}) {
      for (const std::int64_t rest : {0, 5}) {
        for (const bool interleaved : {false, true}) {
          for (const bool back : {false, true}) {
            SCOPED_TRACE(testing::Message() << pairs << " + " << rest << interleaved << back);
            const std::int64_t rows = 40, heads = 3, dim = 2 * pairs + rest;
            const auto x = normals(rows * heads * dim, 1);
            const auto cos = normals(rows * pairs, 2), sin = normals(rows * pairs, 3);
            std::vector<double> want(x.size());
            definition::rotate(Rotation<double>{rows, heads, dim, pairs, x.data(), cos.data(),
                                                sin.data(), interleaved, back, want.data()});
            const Guarded<float> fx(x), fcos(cos, 2), fsin(sin, 3);
            Guarded<float> out(rows * heads * dim);
            const auto got = for_any_threads([&] {
              rotate({rows, heads, dim, pairs, fx.data(), fcos.data(), fsin.data(), interleaved,
                      back, out.data()});
              return out.values();
            });
            EXPECT_TRUE(out.intact());
            EXPECT_TRUE(close(got, want, 1e-6));
          }
        }
      }
    }
  });
}

TEST(Clamp, FastFormIsTheDefinition) {
  on_every_target([] {
    for (const std::int64_t n : {1, 7, 16, 33, 100'003}) {
      auto x = normals(n, 1);
      const auto dy = normals(n, 2);
      x[static_cast<std::size_t>(n / 2)] = std::numeric_limits<double>::quiet_NaN();
      Guarded<float> fx(x), fdy(dy), y(n), dx(n);
      std::vector<float> want(x.size()), want_dx(x.size());
      definition::clamp(n, fx.data(), -0.5f, 0.7f, want.data());
      definition::clamp_backward(n, fx.data(), -0.5f, 0.7f, fdy.data(), want_dx.data());
      const auto got = for_any_threads([&] {
        clamp(n, fx.data(), -0.5f, 0.7f, y.data());
        return y.values();
      });
      EXPECT_TRUE(close(got, want, 0.0));
      clamp_backward(n, fx.data(), -0.5f, 0.7f, fdy.data(), dx.data());
      EXPECT_TRUE(same_bits(dx.values(), want_dx));
      EXPECT_TRUE(y.intact() && dx.intact());
    }
  });
}

}  // namespace
}  // namespace qkv::kernels

// The tiles of the L1 score against their definition in double.
#include "kernels/attention_pairs.h"

#include "qkv/kernels/attention/additive.h"

namespace qkv::kernels {
namespace {

constexpr double kScale = 0.7;

std::vector<float> l1(const PairProblem& p) {
  Guarded<float> scores(p.queries * p.keys, -7.0f);
  l1_scores({p.queries, p.keys, p.hidden, p.a.data(), p.b.data(), kScale, scores.data()});
  EXPECT_TRUE(scores.intact());
  return scores.values();
}

std::vector<double> exact_l1(const PairProblem& p) {
  const auto a = wide(p.a), b = wide(p.b);
  std::vector<double> scores(static_cast<std::size_t>(p.queries * p.keys));
  definition::l1_scores<double>(
      {p.queries, p.keys, p.hidden, a.data(), b.data(), kScale, scores.data()});
  return scores;
}

PairGradients<float> l1_gradients(const PairProblem& p) {
  Guarded<float> dq(p.queries * p.hidden, -7.0f), dk(p.keys * p.hidden, -7.0f);
  l1_scores_backward({p.queries, p.keys, p.hidden, p.a.data(), p.b.data(), kScale, p.dscores.data(),
                      dq.data(), dk.data()});
  EXPECT_TRUE(dq.intact() && dk.intact());
  return {dq.values(), dk.values(), {}};
}

PairGradients<double> exact_l1_gradients(const PairProblem& p) {
  const auto a = wide(p.a), b = wide(p.b), dscores = wide(p.dscores);
  PairGradients<double> g{std::vector<double>(a.size()), std::vector<double>(b.size()), {}};
  definition::l1_scores_backward<double>({p.queries, p.keys, p.hidden, a.data(), b.data(), kScale,
                                          dscores.data(), g.first.data(), g.second.data()});
  return g;
}

TEST(L1Scores, FastFormIsTheDefinitionTiesIncluded) {
  for (std::int64_t dim : kHidden) {
    for (std::int64_t keys : {1, 2, 64, 130}) {
      for (std::int64_t queries : {1, 15, 50, 64, 70}) {
        if (dim > 200 && queries > 1 && queries < 64) continue;
        SCOPED_TRACE(testing::Message() << queries << "×" << keys << "×" << dim);
        PairProblem p(queries, keys, dim);
        for (std::int64_t i = 0; i < queries * dim; i += 3) p.a[i] = 1.0f;
        for (std::int64_t i = 0; i < keys * dim; i += 2) p.b[i] = 1.0f;
        const auto want = exact_l1(p);
        const auto slopes = exact_l1_gradients(p);
        on_every_target([&] {
          EXPECT_TRUE(close(for_any_threads([&] { return l1(p); }), want, 1e-6));
          const auto got = l1_gradients(p);
          EXPECT_TRUE(close(got.first, slopes.first, 1e-5));
          EXPECT_TRUE(close(got.second, slopes.second, 1e-5));
          EXPECT_TRUE(same_bits(got.all(), for_any_threads([&] { return l1_gradients(p).all(); })));
        });
      }
    }
  }
}

TEST(L1Scores, WhatIsHiddenDoesNotLeak) {
  PairProblem clean(40, 67, 37);
  for (std::int64_t i = 0; i < clean.queries; ++i) clean.dscores[i * clean.keys + 65] = 0.0f;
  for (float bad : {kNan, kInf, -3e38f}) {
    PairProblem p = clean;
    p.b[65 * p.hidden + 5] = bad;
    on_every_target([&] {
      EXPECT_TRUE(same_bits(l1_gradients(p).all(), l1_gradients(clean).all()));
      const auto got = l1(p), want = l1(clean);
      for (std::int64_t n = 0; n < p.queries * p.keys; ++n) {
        const auto i = static_cast<std::size_t>(n);
        if (n % p.keys == 65) {
          ASSERT_EQ(std::isnan(got[i]), std::isnan(bad)) << n;
        } else {
          ASSERT_TRUE(same(got[i], want[i])) << n;
        }
      }
    });
  }
}

TEST(L1Definition, HasTheGradientOfItsScores) {
  const PairProblem p(3, 4, 5);
  const auto a = wide(p.a), b = wide(p.b), ds = wide(p.dscores);
  const auto loss = [&](const std::vector<double>& x, const std::vector<double>& y) {
    std::vector<double> scores(12);
    definition::l1_scores<double>({3, 4, 5, x.data(), y.data(), kScale, scores.data()});
    return dot(scores, ds);
  };
  const auto g = exact_l1_gradients(p);
  check_gradient([&](const auto& x) { return loss(x, b); }, a, g.first, "dq");
  check_gradient([&](const auto& x) { return loss(a, x); }, b, g.second, "dk");
}

}  // namespace
}  // namespace qkv::kernels

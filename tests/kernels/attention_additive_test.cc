// The tiles of the additive score against their definition in double: values, gradients, what
// extreme and NaN inputs may touch, and equal bits wherever a pair stands.
#include "kernels/attention_pairs.h"

#include "qkv/kernels/attention/additive.h"

namespace qkv::kernels {
namespace {

std::vector<float> additive(const PairProblem& p) {
  Guarded<float> scores(p.queries * p.keys, -7.0f);
  additive_scores({p.queries, p.keys, p.hidden, p.a.data(), p.b.data(), p.w.data(), scores.data()});
  EXPECT_TRUE(scores.intact());
  return scores.values();
}

std::vector<double> exact_additive(const PairProblem& p) {
  const auto a = wide(p.a), b = wide(p.b), w = wide(p.w);
  std::vector<double> scores(static_cast<std::size_t>(p.queries * p.keys));
  definition::additive_scores<double>(
      {p.queries, p.keys, p.hidden, a.data(), b.data(), w.data(), scores.data()});
  return scores;
}

PairGradients<float> additive_gradients(const PairProblem& p) {
  Guarded<float> da(p.queries * p.hidden, -7.0f), db(p.keys * p.hidden, -7.0f), dw(p.hidden, -7.0f);
  additive_scores_backward({p.queries, p.keys, p.hidden, p.a.data(), p.b.data(), p.w.data(),
                            p.dscores.data(), da.data(), db.data(), dw.data()});
  EXPECT_TRUE(da.intact() && db.intact() && dw.intact());
  return {da.values(), db.values(), dw.values()};
}

PairGradients<double> exact_additive_gradients(const PairProblem& p) {
  const auto a = wide(p.a), b = wide(p.b), w = wide(p.w), dscores = wide(p.dscores);
  PairGradients<double> g{std::vector<double>(a.size()), std::vector<double>(b.size()),
                          std::vector<double>(w.size())};
  definition::additive_scores_backward<double>({p.queries, p.keys, p.hidden, a.data(), b.data(),
                                                w.data(), dscores.data(), g.first.data(),
                                                g.second.data(), g.w.data()});
  return g;
}

/// |x − y| <= bound everywhere, NaN and infinities agreeing with themselves.
::testing::AssertionResult within(const std::vector<float>& x, const std::vector<double>& y,
                                  double bound) {
  if (x.size() != y.size()) return ::testing::AssertionFailure() << x.size() << " ≠ " << y.size();
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto v = static_cast<double>(x[i]);
    if (v == y[i] || (std::isnan(v) && std::isnan(y[i]))) continue;
    if (!(std::abs(v - y[i]) <= bound)) {
      return ::testing::AssertionFailure()
             << "at " << i << ": " << v << ", want " << y[i] << ", error " << std::abs(v - y[i]);
    }
  }
  return ::testing::AssertionSuccess();
}

/// The largest sum of magnitudes in `count` runs of `length`, `stride` apart from element to
/// element.
double largest_sum(const Guarded<float>& x, std::int64_t count, std::int64_t next,
                   std::int64_t length, std::int64_t stride) {
  double largest = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    double sum = 0;
    for (std::int64_t j = 0; j < length; ++j) {
      sum += std::abs(static_cast<double>(x[i * next + j * stride]));
    }
    largest = std::max(largest, sum);
  }
  return largest;
}

/// Fast forms against definitions, scores and gradients, with the bounds of additive-inl.h.
void expect_additive(const PairProblem& p) {
  const auto want = exact_additive(p);
  const auto slopes = exact_additive_gradients(p);
  double most = 0;  // |w|
  for (float w : p.w.values()) most = std::max(most, std::abs(static_cast<double>(w)));
  const double of_row = largest_sum(p.dscores, p.queries, p.keys, p.keys, 1);
  const double of_key = largest_sum(p.dscores, p.keys, 1, p.queries, p.keys);
  const double of_all = largest_sum(p.dscores, 1, 0, p.queries * p.keys, 1);
  on_every_target([&] {
    EXPECT_TRUE(within(for_any_threads([&] { return additive(p); }), want, 5e-7 * p.weight()));
    const auto got = additive_gradients(p);
    EXPECT_TRUE(within(got.first, slopes.first, 1e-6 * of_row * most));
    EXPECT_TRUE(within(got.second, slopes.second, 1e-6 * of_key * most));
    EXPECT_TRUE(within(got.w, slopes.w, 1e-6 * of_all));
  });
}

TEST(AdditiveScores, FastFormIsTheDefinition) {
  for (std::int64_t hidden : kHidden) {
    for (std::int64_t keys : {1, 2, 63, 64}) {
      for (std::int64_t queries : {1, 2, 15, 16, 17, 33, 50, 64}) {
        if (hidden > 200 && queries > 2 && queries < 50) continue;
        SCOPED_TRACE(testing::Message() << queries << "×" << keys << "×" << hidden);
        expect_additive(PairProblem(queries, keys, hidden));
      }
    }
  }
}

TEST(AdditiveScores, FastFormIsTheDefinitionOverSeveralTiles) {
  for (double size : {0.01, 1.0, 3.0}) expect_additive(PairProblem(131, 150, 70, size));
}

TEST(AdditiveScores, NothingIsNothing) {
  on_every_target([] {
    EXPECT_EQ(additive(PairProblem(3, 2, 0)), std::vector<float>(6, 0.0f));
    EXPECT_TRUE(additive(PairProblem(0, 2, 5)).empty());
    EXPECT_TRUE(additive(PairProblem(2, 0, 5)).empty());
    EXPECT_EQ(additive_gradients(PairProblem(2, 0, 3)).all(), std::vector<float>(9, 0.0f));
  });
}

TEST(AdditiveScores, SaturateWhateverTheSize) {
  // Rows of one size each, from the region where nothing is cut to the largest floats; a and b of
  // opposite sign nearly cancel in some pairs.
  const std::vector<float> sizes = {0.5f,  5.3f,  5.4f, 10.6f, 10.8f, 21.0f,  42.9f,
                                    43.1f, 60.0f, 1e4f, 3e38f, kInf,  1e-30f, 0.0f};
  const auto n = static_cast<std::int64_t>(sizes.size());
  for (std::int64_t hidden : {5, 64, 100}) {
    SCOPED_TRACE(hidden);
    PairProblem p(2 * n, 2 * n, hidden);
    for (std::int64_t r = 0; r < 2 * n; ++r) {
      for (std::int64_t h = 0; h < hidden; ++h) {
        const float size = sizes[static_cast<std::size_t>(r / 2)];
        const float sign = (r + h) % 2 == 0 ? 1.0f : -1.0f;
        const float near = 1.0f + 1e-3f * static_cast<float>(h % 7);
        p.a[r * hidden + h] = sign * size;
        p.b[r * hidden + h] = -sign * (size < 1e30f ? size * near : size);
      }
    }
    expect_additive(p);
  }
}

TEST(AdditiveScores, TakeWeightsOfAnySize) {
  for (float size : {1e-30f, 1e7f, 1e8f, 1e30f}) {
    SCOPED_TRACE(size);
    PairProblem p(20, 20, 70, 4);
    for (std::int64_t h = 0; h < p.hidden; ++h) p.w[h] *= size;
    on_every_target(
        [&] { EXPECT_TRUE(within(additive(p), exact_additive(p), 5e-7 * p.weight())); });
  }
  PairProblem p(3, 3, 20);
  p.w[7] = kNan;
  on_every_target([&] {
    for (float s : additive(p)) EXPECT_TRUE(std::isnan(s));
  });
}

TEST(AdditiveScores, NaNStaysInItsRow) {
  const PairProblem clean(70, 67, 37, 2);
  for (float bad : {kNan, -kNan}) {
    PairProblem p = clean;
    p.a[19 * p.hidden + 36] = bad;
    p.b[65 * p.hidden + 3] = bad;
    on_every_target([&] {
      const auto got = additive(p), want = additive(clean);
      for (std::int64_t i = 0; i < p.queries; ++i) {
        for (std::int64_t j = 0; j < p.keys; ++j) {
          const float x = at(got, p.keys, i, j);
          if (i == 19 || j == 65) {
            ASSERT_TRUE(std::isnan(x)) << i << " " << j;
          } else {
            ASSERT_TRUE(same(x, at(want, p.keys, i, j))) << i << " " << j;
          }
        }
      }
    });
  }
}

/// With dscores of row 19 and key 65 zero, what these rows hold must not be felt, to the last bit.
TEST(AdditiveScores, WhatIsHiddenDoesNotLeakIntoGradients) {
  PairProblem clean(70, 67, 80, 2);
  for (std::int64_t i = 0; i < clean.queries; ++i) {
    for (std::int64_t j = 0; j < clean.keys; ++j) {
      if (i == 19 || j == 65 || j > i)
        clean.dscores[i * clean.keys + j] = j % 2 == 0 ? 0.0f : -0.0f;
    }
  }
  for (float bad : {kNan, kInf, -kInf, 3e38f, 44.0f, 30.0f}) {
    SCOPED_TRACE(bad);
    PairProblem p = clean;
    for (std::int64_t h = 0; h < p.hidden; h += 3) {
      p.a[19 * p.hidden + h] = bad;
      p.b[65 * p.hidden + h] = bad;
    }
    on_every_target([&] {
      const auto got = additive_gradients(p);
      EXPECT_TRUE(same_bits(got.all(), additive_gradients(clean).all()));
      for (std::int64_t h = 0; h < p.hidden; ++h) {
        EXPECT_EQ(at(got.first, p.hidden, 19, h), 0.0f);
        EXPECT_EQ(at(got.second, p.hidden, 65, h), 0.0f);
      }
    });
  }
}

TEST(AdditiveScores, ANaNGradientReachesItsRowsOnly) {
  PairProblem p(20, 18, 40);
  const PairProblem clean = p;
  p.dscores[5 * p.keys + 7] = kNan;
  on_every_target([&] {
    const auto got = additive_gradients(p), want = additive_gradients(clean);
    for (std::int64_t i = 0; i < p.queries * p.hidden; ++i) {
      const auto n = static_cast<std::size_t>(i);
      ASSERT_TRUE(i / p.hidden == 5 ? std::isnan(got.first[n]) : same(got.first[n], want.first[n]));
    }
    for (std::int64_t j = 0; j < p.keys * p.hidden; ++j) {
      const auto n = static_cast<std::size_t>(j);
      ASSERT_TRUE(j / p.hidden == 7 ? std::isnan(got.second[n])
                                    : same(got.second[n], want.second[n]));
    }
    for (float x : got.w) EXPECT_TRUE(std::isnan(x));
  });
}

/// Query rows [q, q + queries) and keys [k, k + keys) of a larger problem.
PairProblem part(const PairProblem& p, std::int64_t q, std::int64_t queries, std::int64_t k,
                 std::int64_t keys) {
  PairProblem s(queries, keys, p.hidden);
  for (std::int64_t i = 0; i < queries * p.hidden; ++i) s.a[i] = p.a[q * p.hidden + i];
  for (std::int64_t i = 0; i < keys * p.hidden; ++i) s.b[i] = p.b[k * p.hidden + i];
  for (std::int64_t i = 0; i < p.hidden; ++i) s.w[i] = p.w[i];
  return s;
}

TEST(AdditiveScores, SameBitsWhereverAPairStands) {
  for (std::int64_t hidden : {3, 33, 64, 130}) {
    PairProblem p(83, 71, hidden, 2);
    for (std::int64_t h = 0; h < hidden; h += 2) {
      p.a[9 * hidden + h] *= 8;  // rows that are cut, or far, beside others that are not
      p.b[12 * hidden + h] *= 10;
      p.a[30 * hidden + h] *= 100;
      p.b[40 * hidden + h] *= 100;
    }
    on_every_target([&] {
      const auto whole = additive(p);
      const auto expect_part = [&](std::int64_t q, std::int64_t queries, std::int64_t k,
                                   std::int64_t keys) {
        const auto got = additive(part(p, q, queries, k, keys));
        for (std::int64_t i = 0; i < queries; ++i) {
          for (std::int64_t j = 0; j < keys; ++j) {
            ASSERT_TRUE(same(at(got, keys, i, j), at(whole, p.keys, q + i, k + j)))
                << hidden << ": " << q + i << " " << k + j;
          }
        }
      };
      for (std::int64_t q : {0, 9, 30, 63, 64, 82}) expect_part(q, 1, 0, p.keys);
      for (std::int64_t k : {0, 12, 40, 64, 70}) expect_part(0, p.queries, k, 1);
      expect_part(5, 23, 7, 50);
      expect_part(1, 66, 3, 3);
      expect_part(29, 3, 39, 2);
    });
  }
}

TEST(AdditiveScores, GradientsKeepTheirBitsWithOtherRowsAndThreads) {
  const PairProblem p(75, 40, 150, 2);
  on_every_target([&] {
    const auto whole = additive_gradients(p);
    EXPECT_TRUE(
        same_bits(for_any_threads([&] { return additive_gradients(p).all(); }), whole.all()));
    PairProblem fewer = part(p, 3, 17, 0, p.keys);
    for (std::int64_t i = 0; i < 17 * p.keys; ++i) fewer.dscores[i] = p.dscores[3 * p.keys + i];
    const auto got = additive_gradients(fewer).first;
    EXPECT_TRUE(
        same_bits(got, {whole.first.begin() + 3 * p.hidden, whole.first.begin() + 20 * p.hidden}));
  });
}

TEST(AdditiveDefinition, HasTheGradientOfItsScores) {
  const PairProblem p(3, 4, 5);
  const auto a = wide(p.a), b = wide(p.b), w = wide(p.w), ds = wide(p.dscores);
  const auto loss = [&](const std::vector<double>& x, const std::vector<double>& y,
                        const std::vector<double>& z) {
    std::vector<double> scores(12);
    definition::additive_scores<double>({3, 4, 5, x.data(), y.data(), z.data(), scores.data()});
    return dot(scores, ds);
  };
  const auto g = exact_additive_gradients(p);
  check_gradient([&](const auto& x) { return loss(x, b, w); }, a, g.first, "da");
  check_gradient([&](const auto& x) { return loss(a, x, w); }, b, g.second, "db");
  check_gradient([&](const auto& x) { return loss(a, b, x); }, w, g.w, "dw");
}

TEST(AdditiveDefinition, GivesThePublishedAttention) {
  // W_k (2,2), W_q (2,3), w_v (1,2) and the inputs filled with cos 0, cos 1, …; the values are rows
  // (0,1) (4,5) (8,9) (12,13) (Bahdanau et al. 2015, evaluated in double).
  const auto filled = [](std::int64_t rows, std::int64_t inner, std::int64_t outputs) {
    std::vector<double> y(static_cast<std::size_t>(rows * outputs));
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t o = 0; o < outputs; ++o) {
        for (std::int64_t i = 0; i < inner; ++i) {
          y[static_cast<std::size_t>(r * outputs + o)] +=
              std::cos(static_cast<double>(r * inner + i)) *
              std::cos(static_cast<double>(o * inner + i));
        }
      }
    }
    return y;
  };
  PairProblem p(1, 4, 2);
  p.a = Guarded<float>(filled(1, 3, 2));
  p.b = Guarded<float>(filled(4, 2, 2));
  p.w = Guarded<float>(std::vector<double>{std::cos(0.0), std::cos(1.0)});
  on_every_target([&] {
    const auto scores = additive(p);
    double sum = 0, first = 0;
    std::vector<double> weights;
    for (float s : scores) sum += weights.emplace_back(std::exp(static_cast<double>(s)));
    for (std::size_t j = 0; j < 4; ++j) first += weights[j] / sum * 4 * static_cast<double>(j);
    EXPECT_NEAR(weights[0] / sum, 0.271802, 1e-6);
    EXPECT_NEAR(weights[3] / sum, 0.271357, 1e-6);
    EXPECT_NEAR(first, 5.973821, 1e-5);
  });
}

}  // namespace
}  // namespace qkv::kernels

#include "qkv/ops/crf.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

#include "qkv/autograd/check.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/parallel.h"

namespace qkv {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

Tensor normals(const Shape& shape, std::uint64_t key, DType type = DType::f32, double size = 1) {
  Philox random(key_of(key, 77));
  Tensor x = Tensor::empty(shape, DType::f64);
  for (double& value : x.values<double>()) value = random.normal() * size;
  return x.to(type);
}

CrfWeights random_weights(std::int64_t labels, DType type = DType::f32) {
  return {parameter(normals({labels, labels}, 1, type)), parameter(normals({labels}, 2, type)),
          parameter(normals({labels}, 3, type))};
}

Tensor cosines(const Shape& shape, DType type) {
  Tensor x = Tensor::empty(shape, DType::f64);
  for (std::int64_t i = 0; i < x.count(); ++i)
    x.data<double>()[i] = std::cos(static_cast<double>(i));
  return x.to(type);
}

/// Every labelling of one sequence, by counting.
struct AllPaths {
  double log_z = kNever, best = kNever;
  std::vector<std::vector<std::int32_t>> paths;
  std::vector<double> scores;
  std::vector<std::int32_t> labels;

  AllPaths(const Tensor& e, std::int64_t first, std::int64_t n, const CrfWeights& w,
           const TagRules& rules = {}) {
    const std::int64_t L = e.dim(1);
    std::vector<std::int32_t> y(static_cast<std::size_t>(n));
    for (bool more = true; more;) {
      const double s = score(e, first, w, rules, y);
      scores.push_back(s);
      paths.push_back(y);
      if (s > best) {
        best = s;
        labels = y;
      }
      more = false;
      for (std::size_t t = 0; t < y.size() && !more; ++t) {
        more = ++y[t] < L;
        if (!more) y[t] = 0;
      }
    }
    double sum = 0;
    for (const double s : scores) sum += std::exp(s - best);
    log_z = best == kNever ? kNever : best + std::log(sum);
  }

  /// What the paths with this label at place t have of the whole.
  double share(std::int32_t label, std::int64_t t) const {
    double sum = 0;
    for (std::size_t i = 0; i < paths.size(); ++i) {
      if (paths[i][static_cast<std::size_t>(t)] == label) sum += std::exp(scores[i] - log_z);
    }
    return sum;
  }

  static double score(const Tensor& e, std::int64_t first, const CrfWeights& w,
                      const TagRules& rules, const std::vector<std::int32_t>& y) {
    if (y.empty()) return 0;
    const std::int64_t L = e.dim(1);
    const auto of = [](const Tensor& x, std::int64_t i) {
      return x.defined() ? x.to(DType::f64).data<double>()[i] : 0.0;
    };
    const auto allowed = [](const std::vector<std::uint8_t>& rule, std::int64_t i) {
      return rule.empty() || rule[static_cast<std::size_t>(i)] != 0 ? 0.0 : kNever;
    };
    double sum = of(w.start, y.front()) + of(w.end, y.back()) + allowed(rules.start, y.front()) +
                 allowed(rules.end, y.back());
    for (std::size_t t = 0; t < y.size(); ++t) {
      sum += of(e, (first + static_cast<std::int64_t>(t)) * L + y[t]);
      if (t == 0) continue;
      const std::int64_t step = y[t - 1] * L + y[t];
      sum += of(w.transition, step) + allowed(rules.transition, step);
    }
    return sum;
  }
};

TEST(Crf, GivesThePublishedNumbers) {
  for (const DType type : {DType::f32, DType::f64}) {
    const Tensor e = cosines({3, 3}, type);
    const CrfWeights w{cosines({3, 3}, type), cosines({3}, type), cosines({3}, type)};
    EXPECT_NEAR(crf_log_partition(e, Segments({3}), w)[0], 6.367868, 1e-5);
    const CrfPaths best = crf_decode(e, Segments({3}), w);
    EXPECT_EQ(best.labels, (std::vector<std::int32_t>{0, 0, 0}));
    EXPECT_NEAR(best.scores[0], 4.970178, 1e-5);
    EXPECT_NEAR(crf_loss(e, Segments({3}), w, best.labels).nll_sum, 6.367868 - 4.970178, 2e-5);
  }
}

TEST(Crf, IsTheSumAndTheBestOfAllPaths) {
  const Segments segments({0, 1, 4, 0, 3, 2});
  TagRules rules;  // 0 stands for O, 1 for B, 2 for I
  rules.transition = {1, 1, 0, 1, 1, 1, 1, 1, 1};
  rules.start = {1, 1, 0};
  for (const DType type : {DType::f32, DType::f64}) {
    for (const TagRules& rule : {TagRules(), rules}) {
      for (const bool bare : {false, true}) {
        const CrfWeights w = bare ? CrfWeights() : random_weights(3, type);
        const Tensor e = normals({10, 3}, 5, type, 2);
        const std::vector<double> log_z = crf_log_partition(e, segments, w, rule);
        const CrfPaths best = crf_decode(e, segments, w, rule);
        const std::vector<double> p = crf_label_probabilities(e, segments, w, best.labels, rule);
        for (std::int64_t b = 0; b < segments.count(); ++b) {
          const auto i = static_cast<std::size_t>(b);
          const AllPaths all(e, segments.begin(b), segments.length(b), w, rule);
          EXPECT_NEAR(log_z[i], all.log_z, 1e-5);
          EXPECT_NEAR(best.scores[i], all.best, 1e-5);
          const auto first = best.labels.begin() + segments.begin(b);
          EXPECT_EQ(all.labels, std::vector<std::int32_t>(first, first + segments.length(b)));
          for (std::int64_t t = 0; t < segments.length(b); ++t) {
            EXPECT_NEAR(p[static_cast<std::size_t>(segments.begin(b) + t)],
                        all.share(best.labels[static_cast<std::size_t>(segments.begin(b) + t)], t),
                        1e-5);
          }
        }
      }
    }
  }
}

TEST(Crf, GradientsMatchFiniteDifferences) {
  const Segments segments({3, 0, 1, 4});
  const std::vector<std::int32_t> labels{0, 2, 1, 1, 3, 3, 0, 2};
  TagRules rules;
  rules.transition.assign(16, 1);
  rules.transition[1] = 0;  // not among the labels
  for (const TagRules& rule : {TagRules(), rules}) {
    const std::vector<Tensor> inputs{normals({8, 4}, 1, DType::f64), normals({4, 4}, 2, DType::f64),
                                     normals({4}, 3, DType::f64), normals({4}, 4, DType::f64)};
    const GradientCheck check = check_gradients(
        [&](std::span<const Tensor> x) {
          return crf_loss(x[0], segments, {x[1], x[2], x[3]}, labels, 0.25, rule).loss;
        },
        inputs);
    ASSERT_FALSE(check.where.empty());
    EXPECT_LT(check.worst, 1e-7) << check.where;
  }
}

/// Loss and gradients of everything.
std::vector<Tensor> run(const Tensor& emissions, const Segments& segments, const CrfWeights& w,
                        const std::vector<std::int32_t>& labels) {
  const Tensor e = parameter(emissions.clone());
  const CrfWeights own{parameter(w.transition.clone()), parameter(w.start.clone()),
                       parameter(w.end.clone())};
  Tape tape;
  Tensor loss;
  {
    const Recording on(tape);
    loss = crf_loss(e, segments, own, labels).loss;
  }
  tape.backward(loss);
  return {loss, gradient_of(e), gradient_of(own.transition), gradient_of(own.start),
          gradient_of(own.end)};
}

std::vector<std::int32_t> some_labels(std::int64_t n, std::int64_t labels) {
  std::vector<std::int32_t> y;
  for (std::int64_t t = 0; t < n; ++t) y.push_back(static_cast<std::int32_t>(t * 7 % labels));
  return y;
}

TEST(Crf, FastFormEqualsDefinition) {
  // Flat and steep scores; 4, 16, 70 and 129 labels fill no, one and several blocks of vectors.
  for (const std::int64_t labels : {1, 4, 16, 70, 129}) {
    for (const double size : {0.1, 3.0, 60.0}) {
      const Segments segments({3, 0, 1, 9});
      const Tensor e = normals({13, labels}, 8, DType::f64, size);
      CrfWeights w = random_weights(labels, DType::f64);
      w.transition = normals({labels, labels}, 9, DType::f64, size);
      const std::vector<std::int32_t> y = some_labels(13, labels);
      const CrfWeights narrow{w.transition.to(DType::f32), w.start.to(DType::f32),
                              w.end.to(DType::f32)};
      const std::vector<Tensor> slow = run(e, segments, w, y);
      const std::vector<Tensor> fast = run(e.to(DType::f32), segments, narrow, y);
      for (std::size_t i = 0; i < slow.size(); ++i) {
        for (std::int64_t k = 0; k < slow[i].count(); ++k) {
          const double wanted = slow[i].data<double>()[k];
          // Rounding of the inputs alone moves a score of `size` by 6e-8 of it at each of 13 steps.
          ASSERT_NEAR(static_cast<double>(fast[i].data()[k]), wanted,
                      3e-6 * (1 + std::abs(wanted)) * (1 + size))
              << labels << " labels of size " << size << ", result " << i << " element " << k;
        }
      }
      EXPECT_EQ(crf_decode(e, segments, w).labels,
                crf_decode(e.to(DType::f32), segments, narrow).labels);
    }
  }
}

TEST(Crf, FastFormHoldsWhereExponentialsDoNot) {
  // The labels that the emissions prefer by 200 cannot be reached from each other.
  const std::int64_t labels = 5, n = 6;
  Tensor e = normals({n, labels}, 4), a = normals({labels, labels}, 5);
  for (std::int64_t t = 0; t < n; ++t) e.data()[t * labels + t % 2] += 200;
  a.data()[0 * labels + 1] = a.data()[1 * labels + 0] = -std::numeric_limits<float>::infinity();
  a.data()[2 * labels + 0] -= 150;
  const CrfWeights w{a, normals({labels}, 6), normals({labels}, 7)};
  const CrfWeights wide{a.to(DType::f64), w.start.to(DType::f64), w.end.to(DType::f64)};
  const std::vector<std::int32_t> y{0, 2, 2, 3, 4, 1};
  const std::vector<Tensor> fast = run(e, Segments({n}), w, y);
  const std::vector<Tensor> slow = run(e.to(DType::f64), Segments({n}), wide, y);
  for (std::size_t i = 0; i < slow.size(); ++i) {
    for (std::int64_t k = 0; k < slow[i].count(); ++k) {
      ASSERT_NEAR(static_cast<double>(fast[i].data()[k]), slow[i].data<double>()[k], 1e-3)
          << "result " << i << " element " << k;
    }
  }
}

TEST(Crf, ForbiddenLabelsAreSafe) {
  for (const DType type : {DType::f32, DType::f64}) {
    const CrfWeights w = random_weights(3, type);
    Tensor e = normals({6, 3}, 2, type);
    const auto forbid = [&](std::int64_t t, std::int64_t j) {
      if (type == DType::f64) {
        e.data<double>()[t * 3 + j] = kNever;
      } else {
        e.data()[t * 3 + j] = -std::numeric_limits<float>::infinity();
      }
    };
    forbid(1, 0);
    forbid(1, 2);                                       // only label 1 is left at row 1
    for (std::int64_t j = 0; j < 3; ++j) forbid(4, j);  // the second sequence has no path
    const Segments segments({3, 3});
    const std::vector<double> log_z = crf_log_partition(e, segments, w);
    EXPECT_TRUE(std::isfinite(log_z[0]));
    EXPECT_NEAR(log_z[0], AllPaths(e, 0, 3, w).log_z, 1e-5);
    EXPECT_EQ(log_z[1], kNever);
    const CrfPaths best = crf_decode(e, segments, w);
    EXPECT_EQ(best.labels[1], 1);
    EXPECT_EQ(best.scores[1], kNever);

    const std::vector<Tensor> r = run(e, segments, w, {0, 1, 0, 0, 1, 2});
    EXPECT_TRUE(std::isinf(r[0].item()) && r[0].item() > 0);
    for (std::size_t i = 1; i < r.size(); ++i) {
      for (const double x : r[i].to(DType::f64).values<double>()) EXPECT_TRUE(std::isfinite(x));
    }
    const Tensor de = r[1].to(DType::f64);
    for (std::int64_t k = 9; k < 18; ++k) EXPECT_EQ(de.data<double>()[k], 0.0);
    // In the first sequence nothing is expected of what is forbidden.
    EXPECT_EQ(de.data<double>()[3], 0.0);
    EXPECT_NEAR(de.data<double>()[4], 0.0, 1e-6);
  }
}

TEST(Crf, NothingHasLossAndGradientZero) {
  for (const DType type : {DType::f32, DType::f64}) {
    for (const Segments& segments : {Segments(), Segments({0, 0})}) {
      const std::vector<Tensor> r =
          run(Tensor::empty({0, 3}, type), segments, random_weights(3, type), {});
      EXPECT_EQ(r[0].item(), 0.0);
      for (const Tensor& gradient : r) {
        for (const double x : gradient.to(DType::f64).values<double>()) EXPECT_EQ(x, 0.0);
      }
    }
  }
}

TEST(Crf, ANaNDoesNotPassForANumber) {
  const CrfWeights w = random_weights(4);
  Tensor e = normals({5, 4}, 2);
  e.data()[6] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(crf_log_partition(e, Segments({5}), w)[0]));
  for (const std::int32_t label : crf_decode(e, Segments({5}), w).labels) {
    EXPECT_TRUE(label >= 0 && label < 4);
  }
}

TEST(Crf, BitsDependNeitherOnThreadsNorOnNeighbours) {
  const std::int64_t labels = 21;
  const CrfWeights w = random_weights(labels);
  const Tensor e = normals({40, labels}, 3, DType::f32, 3);
  const Segments segments({7, 1, 0, 20, 12});
  const std::vector<std::int32_t> y = some_labels(40, labels);
  const int before = threads();
  set_threads(1);
  const std::vector<Tensor> one = run(e, segments, w, y);
  set_threads(2);
  const std::vector<Tensor> two = run(e, segments, w, y);
  const CrfPaths all = crf_decode(e, segments, w);
  set_threads(before);
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(std::memcmp(one[i].data(), two[i].data(), sizeof(float) * one[i].values().size()), 0)
        << "result " << i;
  }
  for (std::int64_t b = 0; b < segments.count(); ++b) {
    const std::int64_t first = segments.begin(b), n = segments.length(b);
    const Tensor own = e.rows(first, segments.end(b));
    const std::vector<std::int32_t> labels_of(y.begin() + first, y.begin() + segments.end(b));
    const std::vector<Tensor> alone = run(own, Segments({n}), w, labels_of);
    EXPECT_EQ(crf_log_partition(own, Segments({n}), w)[0],
              crf_log_partition(e, segments, w)[static_cast<std::size_t>(b)]);
    EXPECT_EQ(std::memcmp(alone[1].data(), one[1].data() + first * labels,
                          sizeof(float) * static_cast<std::size_t>(n * labels)),
              0)
        << "sequence " << b;
    EXPECT_EQ(crf_decode(own, Segments({n}), w).scores[0], all.scores[static_cast<std::size_t>(b)]);
  }
}

TEST(Crf, ShapesAreChecked) {
  const CrfWeights w = random_weights(3);
  const Tensor e = normals({4, 3}, 2);
  const std::vector<std::int32_t> y{0, 1, 2, 0};
  EXPECT_THROW((void)crf_loss(e, Segments({3}), w, y), ShapeError);
  EXPECT_THROW((void)crf_loss(e, Segments({4}), w, std::vector<std::int32_t>{0, 1}), ShapeError);
  EXPECT_THROW((void)crf_loss(e, Segments({4}), w, std::vector<std::int32_t>{0, 1, 3, 0}),
               ShapeError);
  EXPECT_THROW((void)crf_decode(normals({4, 2}, 1), Segments({4}), w), ShapeError);
  EXPECT_THROW((void)crf_decode(e, Segments({4}), w, {.transition = {1, 1}}), ShapeError);
  EXPECT_THROW((void)crf_decode(e.to(DType::f64), Segments({4}), w), ShapeError);
}

}  // namespace
}  // namespace qkv

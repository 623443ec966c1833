#include "qkv/kernels/loss.h"

#include <algorithm>
#include <numeric>

#include "kernels/fixtures.h"

namespace qkv::kernels {
namespace {

template <class T>
struct Case {
  std::int64_t rows, vocabulary;
  std::vector<std::int32_t> targets;
  Guarded<T> logits, bias, loss, nll;
  std::vector<std::uint8_t> correct;

  Case(std::int64_t r, std::int64_t v, double spread = 3)
      : rows(r),
        vocabulary(v),
        logits(normals(r * v, 1, spread), 3),
        bias(normals(v, 2)),
        loss(r),
        nll(r),
        correct(static_cast<std::size_t>(r), 7) {
    for (std::int64_t i = 0; i < r; ++i) targets.push_back(static_cast<std::int32_t>(i * 5 % v));
    if (r > 2) targets[2] = -1;
  }
  CrossEntropy<T> args(double smoothing, Smoothing form, bool biased, double gradient_scale) {
    CrossEntropy<T> a{};
    a.rows = rows;
    a.vocabulary = vocabulary;
    a.logits = logits.data();
    a.bias = biased ? bias.data() : nullptr;
    a.targets = targets.data();
    a.smoothing = smoothing;
    a.form = form;
    a.gradient_scale = gradient_scale;
    a.loss = loss.data();
    a.nll = nll.data();
    a.correct = correct.data();
    return a;
  }
};

TEST(CrossEntropy, HasItsPublishedValues) {
  on_every_target([] {
    for (auto [form, want] :
         {std::pair(Smoothing::uniform, 4.251914), std::pair(Smoothing::off_target, 4.201914)}) {
      std::vector<float> logits = {1, 2, 3, 4, 5};
      const std::int32_t target = 0;
      float loss = 0, nll = 0;
      CrossEntropy<float> a{};
      a.rows = 1;
      a.vocabulary = 5;
      a.logits = logits.data();
      a.targets = &target;
      a.smoothing = 0.1;
      a.form = form;
      a.loss = &loss;
      a.nll = &nll;
      cross_entropy(a);
      EXPECT_NEAR(nll, 4.451914, 2e-6);
      EXPECT_NEAR(loss, want, 2e-6);
    }
  });
}

TEST(CrossEntropy, FastFormIsTheDefinition) {
  on_every_target([] {
    for (std::int64_t v : kSizes) {
      for (double smoothing : {0.0, 0.1}) {
        for (Smoothing form : {Smoothing::uniform, Smoothing::off_target}) {
          for (bool biased : {false, true}) {
            SCOPED_TRACE(testing::Message()
                         << "V " << v << " ε " << smoothing << " bias " << biased);
            Case<double> want(9, v);
            definition::cross_entropy(want.args(smoothing, form, biased, 0.5));
            Case<float> last(9, v);
            for_any_threads([&] {
              Case<float> got(9, v);
              cross_entropy(got.args(smoothing, form, biased, 0.5));
              EXPECT_TRUE(got.logits.intact() && got.loss.intact() && got.nll.intact());
              last = got;
              auto all = got.logits.values();
              append(all, got.loss.values());
              append(all, got.nll.values());
              return all;
            });
            EXPECT_TRUE(close(last.logits.values(), want.logits.values(), 1e-6));
            EXPECT_TRUE(close(last.loss.values(), want.loss.values(), 3e-6));
            EXPECT_TRUE(close(last.nll.values(), want.nll.values(), 3e-6));
            EXPECT_EQ(last.correct, want.correct);
            EXPECT_EQ(last.loss[2], 0.0f);  // the ignored row
            EXPECT_EQ(last.logits[2 * v], 0.0f);
            // Without a gradient the losses are the same bits.
            Case<float> value(9, v);
            cross_entropy(value.args(smoothing, form, biased, 0));
            EXPECT_TRUE(same_bits(value.loss.values(), last.loss.values()));
            if (!biased) {
              EXPECT_TRUE(same_bits(value.logits.values(), Case<float>(9, v).logits.values()));
            }
          }
        }
      }
    }
  });
}

TEST(CrossEntropy, GradientByDifferences) {
  for (Smoothing form : {Smoothing::uniform, Smoothing::off_target}) {
    Case<double> c(4, 6, 1.0);
    const auto start = c.logits.values();
    const auto total = [&](const std::vector<double>& at) {
      Case<double> d(4, 6, 1.0);
      d.logits = Guarded<double>(at);
      definition::cross_entropy(d.args(0.1, form, true, 0));
      const auto losses = d.loss.values();
      return 0.25 * std::accumulate(losses.begin(), losses.end(), 0.0);
    };
    definition::cross_entropy(c.args(0.1, form, true, 0.25));
    check_gradient(total, start, c.logits.values(), "logits");
  }
}

TEST(CrossEntropy, ARowDoesNotSeeItsNeighbours) {
  on_every_target([] {
    const std::int64_t v = 1003;
    Case<float> many(9, v);
    cross_entropy(many.args(0.1, Smoothing::uniform, true, 1.0));
    for (std::int64_t r : {0, 1, 8}) {
      Case<float> again(9, v);
      auto a = again.args(0.1, Smoothing::uniform, true, 1.0);
      a.rows = 1;
      a.logits += r * v;
      a.targets += r;
      cross_entropy(a);
      EXPECT_TRUE(same_bits(
          std::vector<float>(a.logits, a.logits + v),
          std::vector<float>(many.logits.data() + r * v, many.logits.data() + (r + 1) * v)));
      EXPECT_EQ(again.loss[0], many.loss[r]);
    }
  });
}

TEST(CrossEntropy, StaysAccurateForWideAndShiftedLogits) {
  on_every_target([] {
    for (float shift : {-3000.0f, 0.0f, 3000.0f}) {
      const std::int64_t v = 10'000;
      Case<double> want(2, v, 10.0);
      Case<float> got(2, v, 10.0);
      for (std::int64_t i = 0; i < 2 * v; ++i) {
        got.logits[i] += shift;
        want.logits[i] = static_cast<double>(got.logits[i]);
      }
      definition::cross_entropy(want.args(0.1, Smoothing::uniform, false, 1.0));
      cross_entropy(got.args(0.1, Smoothing::uniform, false, 1.0));
      const double tolerance = shift == 0 ? 3e-6 : 3e-5;
      EXPECT_TRUE(close(got.loss.values(), want.loss.values(), tolerance)) << shift;
      EXPECT_TRUE(close(got.logits.values(), want.logits.values(), 1e-6)) << shift;
    }
  });
}

TEST(CrossEntropy, NonFiniteLogitsGiveNonFiniteLosses) {
  on_every_target([] {
    for (float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
          -std::numeric_limits<float>::infinity()}) {
      for (std::int64_t at : {0, 5, 36}) {
        for (double smoothing : {0.0, 0.1}) {
          for (bool fast : {false, true}) {
            Case<float> c(2, 37);
            c.logits[at] = bad;
            const auto a = c.args(smoothing, Smoothing::uniform, false, 1.0);
            fast ? cross_entropy(a) : definition::cross_entropy(a);
            EXPECT_FALSE(std::isfinite(c.loss[0])) << bad << " at " << at << " fast " << fast;
            EXPECT_TRUE(std::isfinite(c.loss[1]));
          }
        }
      }
    }
  });
}

TEST(CrossEntropy, NothingForNoRows) { cross_entropy(CrossEntropy<float>{.vocabulary = 5}); }

/// The k best by sorting everything, and the log-softmax in double.
void top_k_by_sorting(std::int64_t v, const float* z, const float* bias, int k,
                      const std::vector<std::int32_t>& suppressed, std::vector<std::int32_t>& ids,
                      std::vector<double>& scores) {
  std::vector<float> x(z, z + v);
  double largest = -1e300, sum = 0;
  for (std::int64_t i = 0; i < v; ++i) {
    if (bias) x[static_cast<std::size_t>(i)] += bias[i];
    largest = std::max(largest, static_cast<double>(x[static_cast<std::size_t>(i)]));
  }
  for (float e : x) sum += std::exp(static_cast<double>(e) - largest);
  std::vector<std::int32_t> order;
  for (std::int32_t i = 0; i < v; ++i) {
    if (std::find(suppressed.begin(), suppressed.end(), i) == suppressed.end()) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return x[static_cast<std::size_t>(a)] > x[static_cast<std::size_t>(b)];
  });
  for (int i = 0; i < k; ++i) {
    const auto j = static_cast<std::size_t>(i);
    ids.push_back(j < order.size() ? order[j] : -1);
    scores.push_back(j < order.size() ? static_cast<double>(x[static_cast<std::size_t>(order[j])]) -
                                            largest - std::log(sum)
                                      : -std::numeric_limits<double>::infinity());
  }
}

TEST(TopK, IsTheBestOfTheSortedRow) {
  on_every_target([] {
    for (std::int64_t v : {1, 5, 16, 33, 127, 1000, 10'000}) {
      for (int k : {1, 4, 5, 32}) {
        for (bool coarse : {false, true}) {  // coarse: many ties
          SCOPED_TRACE(testing::Message() << "V " << v << " k " << k << " coarse " << coarse);
          const std::int64_t rows = v > 1000 ? 2 : 5;
          Guarded<float> z(normals(rows * v, 3, 2.0)), bias(normals(v, 4), 2);
          if (coarse) {
            for (std::int64_t i = 0; i < rows * v; ++i) z[i] = std::round(z[i]);
            for (std::int64_t i = 0; i < v; ++i) bias[i] = 0.0f;
          }
          for (int form = 0; form < 3; ++form) {
            const std::vector<std::int32_t> suppressed =
                form == 2 ? std::vector<std::int32_t>{0, 3, 2} : std::vector<std::int32_t>{};
            const float* b = form == 0 ? nullptr : bias.data();
            std::vector<std::int32_t> want, ids(static_cast<std::size_t>(rows * k), 99);
            std::vector<double> want_scores;
            for (std::int64_t r = 0; r < rows; ++r) {
              top_k_by_sorting(v, z.data() + r * v, b, k, suppressed, want, want_scores);
            }
            Guarded<float> scores(rows * k);
            const auto got = for_any_threads([&] {
              log_softmax_top_k(rows, v, z.data(), b, k, suppressed.data(),
                                static_cast<int>(suppressed.size()), ids.data(), scores.data());
              return scores.values();
            });
            EXPECT_EQ(ids, want);
            EXPECT_TRUE(close(got, want_scores, 3e-6));
            EXPECT_TRUE(scores.intact());
          }
        }
      }
    }
  });
}

TEST(TopK, ARowDoesNotSeeItsNeighboursAndForcedScoresAgree) {
  on_every_target([] {
    const std::int64_t rows = 7, v = 1003;
    const int k = 6;
    const Guarded<float> z(normals(rows * v, 5, 2.0));
    std::vector<std::int32_t> ids(rows * k), one(k);
    std::vector<float> scores(rows * k), alone(k), forced(rows);
    log_softmax_top_k(rows, v, z.data(), nullptr, k, nullptr, 0, ids.data(), scores.data());
    std::vector<std::int32_t> best;
    for (std::int64_t r = 0; r < rows; ++r) {
      log_softmax_top_k(1, v, z.data() + r * v, nullptr, k, nullptr, 0, one.data(), alone.data());
      EXPECT_TRUE(std::equal(one.begin(), one.end(), ids.begin() + r * k));
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(), scores.begin() + r * k));
      best.push_back(ids[static_cast<std::size_t>(r * k)]);
    }
    log_softmax_at(rows, v, z.data(), nullptr, best.data(), forced.data());
    for (std::size_t r = 0; r < rows; ++r) EXPECT_EQ(forced[r], scores[r * k]);
  });
}

TEST(TopK, MaskedLogitsAreNotPreferred) {
  on_every_target([] {
    std::vector<float> z(50, -std::numeric_limits<float>::infinity());
    z[17] = 1.0f;
    z[40] = 2.0f;
    std::vector<std::int32_t> ids(3);
    std::vector<float> scores(3);
    log_softmax_top_k(1, 50, z.data(), nullptr, 3, nullptr, 0, ids.data(), scores.data());
    EXPECT_EQ(ids[0], 40);
    EXPECT_EQ(ids[1], 17);
    EXPECT_NEAR(std::exp(scores[0]) + std::exp(scores[1]), 1.0f, 1e-6f);
    EXPECT_EQ(scores[2], -std::numeric_limits<float>::infinity());
  });
}

}  // namespace
}  // namespace qkv::kernels

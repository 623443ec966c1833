#include "qkv/decode/ctc_align.h"

#include <cmath>

#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/decode/ctc.h"
#include "qkv/ops/softmax.h"

namespace qkv {
namespace {

/// The likeliest of all paths of the text, by going through them.
double best_by_enumeration(const Tensor& log_p, std::span<const std::int32_t> text) {
  const std::int64_t rows = log_p.dim(0), labels = log_p.dim(1);
  double best = -1e30;
  std::vector<std::int32_t> path(static_cast<std::size_t>(rows), 0);
  for (;;) {
    const std::vector<std::int32_t> joined = ctc_join(path);
    if (std::equal(joined.begin(), joined.end(), text.begin(), text.end())) {
      double sum = 0;
      for (std::int64_t t = 0; t < rows; ++t) {
        sum += log_p.values<double>()[static_cast<std::size_t>(t * labels +
                                                               path[static_cast<std::size_t>(t)])];
      }
      best = std::max(best, sum);
    }
    std::size_t i = 0;
    while (i < path.size() && ++path[i] == labels) path[i++] = 0;
    if (i == path.size()) return best;
  }
}

TEST(CtcAlign, IsTheLikeliestPath) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    Philox random(seed);
    Tensor logits = Tensor::empty({6, 3}, DType::f64);
    for (double& x : logits.values<double>()) x = 2 * random.normal();
    const Tensor log_p = log_softmax(logits);
    for (const std::vector<std::int32_t>& text :
         {std::vector<std::int32_t>{1}, {1, 1}, {1, 2}, {2, 1, 1}, {2, 2, 2}}) {
      const std::vector<CtcPlace> places = ctc_align(logits, text);
      ASSERT_EQ(places.size(), text.size());
      double sum = 0;
      std::vector<std::int32_t> path(6, 0);
      for (std::size_t u = 0; u < text.size(); ++u) {
        ASSERT_LT(places[u].begin, places[u].end);
        ASSERT_GE(places[u].begin, u > 0 ? places[u - 1].end : 0);
        for (std::int64_t t = places[u].begin; t < places[u].end; ++t) {
          path[static_cast<std::size_t>(t)] = text[u];
        }
      }
      EXPECT_EQ(ctc_join(path), text);
      for (std::size_t t = 0; t < 6; ++t) {
        sum += log_p.values<double>()[t * 3 + static_cast<std::size_t>(path[t])];
      }
      EXPECT_NEAR(sum, best_by_enumeration(log_p, text), 1e-12);
    }
  }
}

TEST(CtcAlign, RefusesWhatDoesNotFit) {
  const Tensor logits = Tensor::zeros({2, 3});
  const std::int32_t twice[] = {1, 1}, outside[] = {3};
  EXPECT_THROW((void)ctc_align(logits, twice), Error);
  EXPECT_THROW((void)ctc_align(logits, outside), Error);
  EXPECT_TRUE(ctc_align(logits, {}).empty());
}

}  // namespace
}  // namespace qkv

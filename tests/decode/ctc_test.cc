#include "qkv/decode/ctc.h"

#include <cmath>

#include "golden/fill.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/ops/ctc.h"

namespace qkv {
namespace {

using Text = std::vector<std::int32_t>;

Tensor logits(DType type) { return testing::Fill(21).tensor({5, 4}, 6, 0, type); }

double loss(const Tensor& x, const Text& text) {
  const auto size = static_cast<std::int64_t>(text.size());
  return ctc_loss(x, Segments({x.dim(0)}), text, Segments({size})).nll.at(0);
}

TEST(CtcDecoding, BestPathJoinsAndDrops) {
  EXPECT_EQ(ctc_join(Text{3, 3, 0, 3, 1, 1, 0}), (Text{3, 3, 1}));
  const CtcText best = ctc_best_path(logits(DType::f64), Segments({5})).at(0);
  EXPECT_EQ(best.labels, (Text{3, 1}));
}

TEST(CtcDecoding, PrefixBeamAddsUpThePaths) {
  const Tensor x = logits(DType::f64);
  const auto beam = [&](std::int64_t width, std::int64_t n_best = 1) {
    return ctc_beam(x, Segments({5}), {.beam = width, .n_best = n_best}).at(0);
  };
  for (const auto& [width, want] : std::vector<std::pair<std::int64_t, double>>{
           {1, -1.423952}, {2, -1.173088}, {4, -1.173088}, {100000, -1.104071}}) {
    EXPECT_EQ(beam(width)[0].labels, (Text{3, 1}));
    EXPECT_NEAR(beam(width)[0].log_probability, want, 1e-6) << width;
  }
  const auto best = beam(100000, 3);
  EXPECT_EQ(best[1].labels, (Text{3, 1, 2}));
  EXPECT_NEAR(best[1].log_probability, -1.325143, 1e-6);
  EXPECT_EQ(best[2].labels, (Text{2, 3, 1}));
  EXPECT_NEAR(best[2].log_probability, -2.905961, 1e-6);
  for (const CtcText& text : best) EXPECT_NEAR(text.log_probability, -loss(x, text.labels), 1e-9);
}

TEST(CtcDecoding, TheBestPathNeedNotBeTheBestText) {
  Tensor x = Tensor::zeros({2, 3}, DType::f64);
  for (std::size_t t = 0; t < 2; ++t) {
    const double p[] = {.4, .35, .25};
    for (std::size_t l = 0; l < 3; ++l) x.values<double>()[t * 3 + l] = std::log(p[l]);
  }
  EXPECT_TRUE(ctc_best_path(x, Segments({2})).at(0).labels.empty());
  const auto best = ctc_beam(x, Segments({2}), {.beam = 9, .n_best = 9}).at(0);
  EXPECT_EQ(best[0].labels, Text{1});
  EXPECT_NEAR(std::exp(best[0].log_probability), .4025, 1e-12);
  EXPECT_THROW(ctc_beam(x, Segments({2}), {.beam = 0}), Error);
  EXPECT_THROW(ctc_beam(x, Segments({2}), {.beam = 1, .n_best = 2}), Error);
}

}  // namespace
}  // namespace qkv

#include "qkv/view/metrics_curve.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qkv {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(MetricsCurve, ShowsLossesAndTheScoreOfARun) {
  const std::vector<Json> lines = {{{"step", 1}, {"nll", 3.0}},
                                   {{"step", 2}, {"nll", 2.0}},
                                   {{"step", 2}, {"valid_loss", 2.5}, {"bleu", 10.0}}};
  const std::string svg = metrics_curve(lines, {"bleu", "BLEU"});
  EXPECT_THAT(svg, HasSubstr("train: 3 at 1"));
  EXPECT_THAT(svg, HasSubstr("valid: 2.5 at 2"));
  EXPECT_THAT(svg, HasSubstr("BLEU: 10 at 2"));
  EXPECT_THAT(metrics_curve(lines, {}), Not(HasSubstr("BLEU")));
}

TEST(MetricsCurve, PassesOverWhatIsNoNumber) {
  const std::vector<Json> lines = {
      "text", {{"nll", 1.0}}, {{"step", "x"}, {"nll", 1.0}}, {{"step", 1}, {"nll", nullptr}}};
  EXPECT_EQ(metrics_curve(lines, {"bleu", "BLEU"}), "");
}

}  // namespace
}  // namespace qkv

#include "qkv/view/alignment.h"

#include "view/sample.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

const Tensor kWeights = matrix({0.1f, 0.6f, 0.3f, 0.5f, 0.5f, 0, 0, 0, 0}, 3, 3);

TEST(Alignment, HardTakesTheFirstLargest) {
  const auto links = hard_alignment(kWeights);
  EXPECT_EQ(pharaoh(links), "1-0 0-1");  // the third row looks at nothing
  EXPECT_EQ(links[0].weight, 0.6f);
  EXPECT_TRUE(hard_alignment(Tensor::zeros({0, 4})).empty());
  EXPECT_TRUE(hard_alignment(Tensor::zeros({4, 0})).empty());
  EXPECT_EQ(pharaoh(hard_alignment(matrix({1}, 1, 1))), "0-0");
}

TEST(Alignment, ThresholdTakesAllThatReachIt) {
  EXPECT_EQ(pharaoh(threshold_alignment(kWeights, 0.3f)), "1-0 2-0 0-1 1-1");
  EXPECT_EQ(pharaoh(threshold_alignment(kWeights, 0.7f)), "");
  EXPECT_THROW(threshold_alignment(kWeights, 0.0f), Error);
  EXPECT_THROW(threshold_alignment(kWeights, kNan), Error);
}

TEST(Alignment, SoftWritesEveryWeight) {
  EXPECT_EQ(soft_alignment(kWeights, 1), "0.1,0.6,0.3 0.5,0.5,0.0 0.0,0.0,0.0");
  EXPECT_EQ(soft_alignment(Tensor::zeros({0, 3})), "");
}

TEST(Alignment, RefusesWhatIsNoMatrixOfNumbers) {
  EXPECT_THAT(
      [] {
        hard_alignment(matrix({0, 1, kNan, 0}, 2, 2));
      },
      ThrowsMessage<NumericError>("alignment: the weight of target 1, source 0 is nan"));
  EXPECT_THROW(soft_alignment(matrix({kNan}, 1, 1)), NumericError);
  EXPECT_THROW(hard_alignment(Tensor::zeros({3})), ShapeError);
}

TEST(Alignment, ReadsPharaohLines) {
  EXPECT_EQ(pharaoh(parse_pharaoh("0-0 2-1\t3?4 \r\n")), "0-0 2-1 3-4");
  EXPECT_TRUE(parse_pharaoh("").empty());
  EXPECT_TRUE(parse_pharaoh("  ").empty());
  for (const char* bad : {"0", "0-", "-1", "a-b", "1-2-3", "0-0 1:2", "99999999999-0", "1--2"}) {
    EXPECT_THAT([&] { parse_pharaoh(bad); }, ThrowsMessage<Error>(HasSubstr("is not a link")))
        << bad;
  }
}

TEST(Alignment, ErrorRateOfOchAndNey) {
  const auto found = parse_pharaoh("0-0 1-1 2-2"), sure = parse_pharaoh("0-0 1-1"),
             possible = parse_pharaoh("2-2");
  EXPECT_DOUBLE_EQ(alignment_error_rate(found, sure, possible), 0.0);
  // |A∩S| = 2, |A∩P| = 2, |A| = 3, |S| = 2.
  EXPECT_DOUBLE_EQ(alignment_error_rate(found, sure), 1.0 - 4.0 / 5.0);
  EXPECT_DOUBLE_EQ(alignment_error_rate({}, sure), 1.0);
  EXPECT_DOUBLE_EQ(alignment_error_rate({}, {}), 0.0);
}

}  // namespace
}  // namespace qkv

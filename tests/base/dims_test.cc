#include "qkv/base/dims.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

TEST(Dims, BindsLettersAndReadsThemBack) {
  const Shape q{7, 2, 8}, k{5, 1, 8};
  const Dims d("attend", {{"q", q, "Tq H D"}, {"k", k, "Tk Hkv D"}});
  EXPECT_EQ(d["Tq"], 7);
  EXPECT_EQ(d["Hkv"], 1);
  EXPECT_THROW(d["X"], ShapeError);
}

TEST(Dims, NamesTheCallTheLetterBothSizesAndAllShapes) {
  const Shape q{7, 2, 8}, k{5, 1, 6};
  try {
    Dims("attend", {{"q", q, "Tq H D"}, {"k", k, "Tk Hkv D"}});
    FAIL();
  } catch (const ShapeError& e) {
    EXPECT_STREQ(e.what(),
                 "attend: D is 8 but k has 6; q [Tq H D] = [7, 2, 8], k [Tk Hkv D] = [5, 1, 6]");
  }
}

TEST(Dims, ChecksRankAndFixedSizes) {
  const Shape x{7, 2};
  EXPECT_THROW(Dims("f", {{"x", x, "T"}}), ShapeError);
  EXPECT_THROW(Dims("f", {{"x", x, "T 3"}}), ShapeError);
  EXPECT_NO_THROW(Dims("f", {{"x", x, "T 2"}}));
}

}  // namespace
}  // namespace qkv

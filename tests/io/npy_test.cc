#include "qkv/io/npy.h"

#include "io/npy_bytes.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kOne = npy_bytes("(2, 3)", {1, 2, 3, 4, 5, 6});

std::string error(const std::string& bytes) {
  try {
    (void)NpyArray::parse(bytes, "a.npy").tensor("a.npy");
  } catch (const DataError& e) {
    return e.what();
  }
  return "no error";
}

TEST(Npy, ReadsNumbersAndShapes) {
  const Tensor two = NpyArray::parse(kOne, "").tensor("");
  EXPECT_EQ(two.shape(), Shape({2, 3}));
  EXPECT_THAT(two.values(), ElementsAre(1, 2, 3, 4, 5, 6));
  const std::string line = npy_bytes("(2,)", {0.5f, -2});
  EXPECT_THAT(NpyArray::parse(line, "").tensor("").values(), ElementsAre(0.5f, -2));
  const std::string half = npy_header("'<f2'", "(1,)") + std::string("\x00\x3c", 2);
  EXPECT_THAT(NpyArray::parse(half, "").tensor("").values(), ElementsAre(1));
  const std::string text = npy_header("'|i1'", "(3,)") + "abc";
  EXPECT_EQ(NpyArray::parse(text, "").numbers, "abc");
  EXPECT_THAT(error(text), HasSubstr("a.npy: has no floating-point numbers"));
}

TEST(Npy, RefusesByNameWhatItIsNot) {
  EXPECT_THAT(error(npy_header("'<f8'", "(0,)")), HasSubstr("type '<f8'"));
  EXPECT_THAT(error(npy_header("'>f4'", "(0,)")), HasSubstr("type '>f4'"));
  EXPECT_THAT(error(npy_header("[('a', '<f4')]", "(0,)")), HasSubstr("records"));
  EXPECT_THAT(error(npy_header("'<f4'", "(1, 1)", "True") + "1234"), HasSubstr("column by column"));
  EXPECT_THAT(error(npy_bytes("(2, 3)", {1, 2, 3})), HasSubstr("not those of its shape"));
  EXPECT_THAT(error(npy_bytes("()", {1})), HasSubstr("0 sides"));
  EXPECT_THAT(error(npy_bytes("(1,)", {NAN})), HasSubstr("not finite"));
  EXPECT_THAT(error(npy_header("'<f4'", "(4294967296, 4294967296)")), HasSubstr("shape"));
  EXPECT_THAT(error(npy_header("'<f4'", "(-1,)")), HasSubstr("shape"));
  EXPECT_THAT(error("PK"), HasSubstr("no array of NumPy"));
}

TEST(Npy, SurvivesDamage) {
  for (std::size_t cut = 0; cut < kOne.size(); ++cut) {
    EXPECT_NE(error(kOne.substr(0, cut)), "no error") << cut;
  }
}

}  // namespace
}  // namespace qkv

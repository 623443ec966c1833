#include "qkv/base/number.h"

#include <cmath>

#include <gtest/gtest.h>

namespace qkv {
namespace {

TEST(ParseNumber, TakesDecimalNumbers) {
  EXPECT_EQ(parse_double("12.5"), 12.5);
  EXPECT_EQ(parse_double("-3e2"), -300.0);
  EXPECT_EQ(parse_double("+.5"), 0.5);
  EXPECT_EQ(parse_double("7."), 7.0);
  EXPECT_EQ(parse_double("1E+2"), 100.0);
  EXPECT_EQ(parse_float("0.1"), 0.1F);
}

TEST(ParseNumber, TooSmallIsZeroWithItsSign) {
  for (const char* text : {"1e-400", "0.0001e-330", "1e-99999999999999999999", "+4e-324000"}) {
    const auto value = parse_double(text);
    ASSERT_TRUE(value.has_value()) << text;
    EXPECT_EQ(*value, 0.0) << text;
  }
  EXPECT_TRUE(std::signbit(*parse_double("-1e-400")));
  EXPECT_EQ(parse_float("1e-46"), 0.0F);
  EXPECT_EQ(parse_float("1e-44"), 1e-44F);  // a denormal number
  EXPECT_EQ(parse_double("0." + std::string(400, '0') + "1"), 0.0);
}

TEST(ParseNumber, TooLargeIsNone) {
  for (const std::string text : {"1e400", "-1e400", "1e99999999999999999999"}) {
    EXPECT_FALSE(parse_double(text).has_value()) << text;
  }
  EXPECT_FALSE(parse_double("1" + std::string(400, '0')).has_value());
  EXPECT_FALSE(parse_float("1e39").has_value());
}

TEST(ParseNumber, RefusesWhatIsNoNumber) {
  for (const char* text :
       {"",    "+",    "-",     "+-5", "-+5", "--5", "++5", "inf", "-inf",  "nan",
        "1,5", "12kg", "0x1p3", " 1",  "1 ",  "e5",  ".",   "1e",  "1_000", "infinity"}) {
    EXPECT_FALSE(parse_double(text).has_value()) << text;
    EXPECT_FALSE(parse_float(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace qkv

#include "qkv/data/number_table.h"

#include "data/notices.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"

namespace qkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class Numbers : public testing::Test {
 protected:
  NumberTable read(std::string_view text) {
    write_file(folder_ / "t", text);
    return read_number_table((folder_ / "t").string());
  }
  void said_nothing(std::string_view text) {
    const Notices said;
    EXPECT_EQ(read(text).header_line, 0);
    EXPECT_TRUE(said.lines.empty());
  }
  Temporary folder_;
};

TEST_F(Numbers, TabsCommasOrBlanksWithOrWithoutAHeader) {
  for (const char* text : {"a,b\n1,2\n\n# no row\n-3.5,+4e1\n", "a\tb\r\n1\t2\r\n-3.5\t40\r\n",
                           "a b\n1  2\n -3.5 40", "a , b\n 1, 2\n-3.5 ,40\n"}) {
    const NumberTable t = read(text);
    EXPECT_THAT(t.names, ElementsAre("a", "b"));
    EXPECT_THAT(t.values, ElementsAre(1, 2, -3.5, 40));
    EXPECT_EQ(t.rows(), 2);
  }
  EXPECT_THAT(read("1 2 3\n4 5 6\n").names, ElementsAre("x1", "x2", "x3"));
  const Tensor block = read("1 2 3\n4 5 6\n").block(1, 3);
  EXPECT_EQ(block.shape(), (Shape{2, 2}));
  EXPECT_THAT(std::vector<double>(block.values<double>().begin(), block.values<double>().end()),
              ElementsAre(2, 3, 5, 6));
}

TEST_F(Numbers, WhatIsNoNumberIsNamedWithItsLine) {
  const auto refused = [&](std::string_view text, const std::string& why) {
    EXPECT_THAT([&] { (void)read(text); }, ThrowsMessage<DataError>(HasSubstr(why))) << text;
  };
  refused("a,b\n1,2\n1,x\n", "t:3: field 2 is 'x', expected a number");
  refused("1,2\n1\n", "t:2: has 1 fields, the first line has 2");
  refused("1,2\n1,\n", "t:2: field 2 is ''");
  refused("1,2\n1,nan\n", "t:2: field 2 is 'nan'");
  refused("1,2\n1,1e999\n", "t:2: field 2 is '1e999'");
  refused("1,2\n1,2 3\n", "t:2: field 2 is '2 3'");
  refused("1,NA\n2,3\n", "t:1: field 2 is 'NA'");
  refused("NA,NA\n2,3\n", "t:1: field 1 is 'NA'");
  refused("nan\tnan\n2\t3\n", "t:1: field 1 is 'nan'");
  refused("a,2020\n1,2\n", "t:1: field 1 is 'a'");
  refused("1;2\n3;4\n", "t:1: field 1 is '1;2'");
  refused("12kg,5cm\n1,2\n", "t:1: field 1 is '12kg'");
  refused("a,-inf\n1,2\n", "t:1: field 1 is 'a'");
  refused("-,?\n1,2\n", "t:1: field 1 is '-'");
  refused("1,+-5\n", "t:1: field 2 is '+-5'");
  refused("", "holds no row of numbers");
  refused("a,b\n", "holds no row of numbers");
  refused(std::string_view("1,2\0\n", 5), "t:1:");
}

TEST_F(Numbers, AHeaderIsSaid) {
  const Notices said;
  const NumberTable t = read("# made by hand\n\"metres, up\",\"the \"\"s\"\"\"\n\"2\",3\n");
  EXPECT_THAT(t.names, ElementsAre("metres, up", "the \"s\""));
  EXPECT_THAT(t.values, ElementsAre(2, 3));
  EXPECT_EQ(t.header_line, 2);
  EXPECT_THAT(said.lines, ElementsAre(HasSubstr("t:2: is no row, it names the columns: metres"),
                                      HasSubstr("1 lines that begin with #")));
  EXPECT_THAT(read(",x,größe\n1,2,3\n").names, ElementsAre("x1", "x", "größe"));
  said_nothing("\"2\",\"3\"\n4,5\n");
}

TEST_F(Numbers, TooSmallIsNought) {
  EXPECT_THAT(read("1e-400 -1e-400 2\n").values, ElementsAre(0, 0, 2));
}

}  // namespace
}  // namespace qkv

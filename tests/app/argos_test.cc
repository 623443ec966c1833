// A package of Argos Translate as a file: imported, asked, chained.
#include "app/run_qkv.h"
#include "systems/tiny_argos.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qkv {
namespace {

using ::testing::HasSubstr;

class ArgosCommand : public ::testing::Test {
 protected:
  ArgosCommand() {
    tiny::make_argosmodel(folder_ / "en_xx.argosmodel", "en", "xx");
    tiny::make_argosmodel(folder_ / "xx_yy.argosmodel", "xx", "yy");
  }
  std::string model(const char* name) const { return " '" + (folder_ / name).string() + "' "; }
  Temporary folder_;
};

TEST_F(ArgosCommand, IsImportedAndAnswersTheSame) {
  const std::string lines = "A dog waits. The mill?\n\nA boat.\n";
  const std::string few = "--max-length 6 --threads 1 ";
  const Ran packed = run_qkv("translate --model" + model("en_xx.argosmodel") + few, lines);
  EXPECT_EQ(packed.exit, 0) << packed.err;
  EXPECT_EQ(std::count(packed.out.begin(), packed.out.end(), '\n'), 3);
  const Ran made = run_qkv("import" + model("en_xx.argosmodel") + model("own"));
  EXPECT_EQ(made.exit, 0) << made.err;
  EXPECT_EQ(run_qkv("translate --model" + model("own") + few, lines).out, packed.out);
  const Ran whole = run_qkv("translate --sentences=no --model" + model("own") + few, lines);
  EXPECT_NE(whole.out, packed.out) << "a line at once";
  const Ran info = run_qkv("info" + model("en_xx.argosmodel"));
  EXPECT_EQ(info.exit, 0) << info.err;
  EXPECT_THAT(info.out, HasSubstr("en to xx"));
  EXPECT_EQ(run_qkv("info --json" + model("en_xx.argosmodel")).exit, 0);
  const Ran scored = run_qkv("translate --scores --json --model" + model("own") + few, lines);
  EXPECT_EQ(scored.exit, 0) << scored.err;
  EXPECT_THAT(run_qkv("translate --alignment --model" + model("own"), lines).err,
              HasSubstr("sentences"));
}

TEST_F(ArgosCommand, IsChained) {
  const std::string few = "--max-length 6 --threads 1 ", text = "A dog waits.\n";
  const std::string first = "translate --model" + model("en_xx.argosmodel") + few;
  const Ran both = run_qkv(first + "--then" + model("xx_yy.argosmodel"), text);
  EXPECT_EQ(both.exit, 0) << both.err;
  const Ran between = run_qkv(first, text);
  EXPECT_EQ(both.out,
            run_qkv("translate --model" + model("xx_yy.argosmodel") + few, between.out).out);
  const Ran document = run_qkv(first + "--document --then" + model("xx_yy.argosmodel"), text);
  EXPECT_EQ(document.out, both.out);
  const Ran wrong = run_qkv(first + "--then" + model("en_xx.argosmodel"), text);
  EXPECT_EQ(wrong.exit, 1);
  EXPECT_THAT(wrong.err, HasSubstr("translates into 'xx'"));
  EXPECT_EQ(run_qkv(first + "--force x --then" + model("xx_yy.argosmodel"), text).exit, 2);
}

}  // namespace
}  // namespace qkv

// qkv regress: predictions with their weights, pictures, what it refuses.
#include <cmath>

#include "app/run_qkv.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

using Json = nlohmann::json;

class Regress : public testing::Test {
 protected:
  void SetUp() override {
    // (weight, height) -> age, the table that attention is often explained with.
    spill(folder_ / "people.csv", "weight,height,age\n50,160,50\n65,165,23\n60,175,21\n");
  }
  std::string path(const std::string& name) { return "'" + (folder_ / name).string() + "'"; }
  Temporary folder_;
};

TEST_F(Regress, TheTableOfWeightHeightAndAge) {
  struct Row {
    const char* sigma;
    double weights[3], age;
  };
  for (const Row& row :
       {Row{"2.483095", {0, .6, .4}, 22.2}, Row{"1", {0, .924142, .075858}, 22.848284},
        Row{"10", {.132306, .439270, .428424}, 25.715402}}) {
    const Ran ran =
        run_qkv("regress " + path("people.csv") + " --query 63,170 --json --sigma " + row.sigma);
    ASSERT_EQ(ran.exit, 0) << ran.err;
    const Json answer = Json::parse(ran.out)["queries"][0];
    double squares = 0, mean = 0, second = 0;
    const double ages[] = {50, 23, 21};
    for (std::size_t i = 0; i < 3; ++i) {
      const auto a = answer["weights"][i].get<double>();
      EXPECT_NEAR(a, row.weights[i], 1e-5);
      squares += a * a;
      mean += a * ages[i];
      second += a * ages[i] * ages[i];
    }
    EXPECT_NEAR(answer["prediction"].get<double>(), row.age, 1e-5);
    EXPECT_NEAR(answer["prediction"].get<double>(), mean, 1e-9);
    EXPECT_NEAR(answer["effective_rows"].get<double>(), 1 / squares, 1e-9);
    EXPECT_NEAR(answer["deviation"].get<double>(), std::sqrt(second - mean * mean), 1e-6);
  }
  const Ran text = run_qkv("regress " + path("people.csv") + " --query 63,170 --sigma 2.483095");
  EXPECT_EQ(text.out,
            "63 170\t22.2\t±0.9798\t1.92 rows\t0.6000 of 23 (row 2), 0.4000 of 21 (row 3), "
            "0.0000 of 50 (row 1)\n");
  const Ran each =
      run_qkv("regress " + path("people.csv") + " --query 63,170 --sigma 2.483095,2.483095");
  EXPECT_EQ(each.out, text.out);
}

TEST_F(Regress, TheExampleIsLearntAndDrawn) {
  spill(folder_ / "q", "1\n2.5\n");
  const std::string command = "regress --example --queries " + path("q") + " --json --svg " +
                              path("curve.svg") + " --map " + path("map.svg");
  const Ran ran = run_qkv(command);
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, run_qkv(command + " --threads 2").out);
  const Json json = Json::parse(ran.out);
  EXPECT_EQ(json["rows"], 50);
  EXPECT_LT(json["left_out_error"].get<double>(),
            0.5 * json["average_left_out_error"].get<double>());
  EXPECT_NEAR(json["queries"][0]["prediction"].get<double>(), 2 * std::sin(1.0) + 1, 0.6);
  const std::string curve = slurp(folder_ / "curve.svg");
  for (const char* name : {">kernel regression<", ">average pooling<", ">rows<", ">+ deviation<"}) {
    EXPECT_NE(curve.find(name), std::string::npos) << name;
  }
  EXPECT_NE(slurp(folder_ / "map.svg").find("queries"), std::string::npos);
  ASSERT_EQ(run_qkv("regress --example --count 12 --map " + path("map.svg")).exit, 0);
  EXPECT_NE(slurp(folder_ / "map.svg").find("rows, left out"), std::string::npos);
}

TEST_F(Regress, WhatDoesNotFitIsSaidInOneLine) {
  const auto refused = [](const std::string& command, const std::string& why, int exit = 1) {
    const Ran ran = run_qkv("regress " + command);
    EXPECT_EQ(ran.exit, exit) << command;
    EXPECT_NE(ran.err.find(why), std::string::npos) << ran.err;
  };
  spill(folder_ / "bad.csv", "a,b\n1,2\n3,four\n");
  spill(folder_ / "one", "1\n2\n3\n");
  spill(folder_ / "two", "1 2\n2 3\n");
  refused("", "give a file with columns of numbers, or --example");
  refused(path("bad.csv"), "bad.csv:3: field 2 is 'four'");
  refused(path("one"), "has one column");
  refused(path("two"), "at least 3; give one");
  refused(path("none"), "none");
  refused(path("people.csv") + " --query 63", "--query 63: 1 numbers, the rows have 2 features");
  refused(path("people.csv") + " --query 63,tall", "--query: field 2 is 'tall'");
  refused(path("people.csv") + " --sigma 1,2,3", "--sigma: 3 numbers");
  refused(path("people.csv") + " --sigma -1", "--sigma: '-1' is not a number above 0", 2);
  refused(path("people.csv") + " --sigma 1 --svg x.svg", "over one feature, there are 2");
  refused("--example " + path("people.csv"), "leave out");
  refused("--example --sigma 1 --per-feature", "excludes", 2);
}

}  // namespace
}  // namespace qkv

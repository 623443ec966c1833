// Settings files: each value reaches the option that it is meant for, and nothing else.
#include <algorithm>
#include <sstream>

#include "app/run_qkv.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

class ConfigFile : public testing::Test {
 protected:
  std::string path(const std::string& name) { return "'" + (folder_ / name).string() + "'"; }
  std::string with(const std::string& text) {
    spill(folder_ / "run.toml", text);
    return " --config " + path("run.toml") + " ";
  }
  /// One line with this in it, exit code 1.
  void refused(const std::string& verb, const std::string& text, const std::string& why) {
    const Ran ran = run_qkv(verb + with(text));
    EXPECT_EQ(ran.exit, 1) << verb << ": " << ran.err;
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
    EXPECT_NE(ran.err.find("run.toml:" + why), std::string::npos) << verb << ": " << ran.err;
    EXPECT_EQ(ran.out, "");
  }
  Temporary folder_;
};

/// "translate", "train lm" …: what --help lists, and below it.
std::vector<std::string> all_verbs(const std::string& above = "") {
  std::vector<std::string> verbs;
  const std::string help = run_qkv(above + "--help").out;
  const auto begin = help.find("Subcommands:\n");
  if (begin == std::string::npos) return {above.substr(0, above.size() - 1)};
  std::istringstream lines(help.substr(begin + 13));
  for (std::string line; std::getline(lines, line) && line.rfind("  ", 0) == 0;) {
    if (line[2] == ' ') continue;  // the help of the line before goes on
    const std::string name = line.substr(2, line.find(' ', 2) - 2);
    for (const std::string& verb : all_verbs(above + name + " ")) verbs.push_back(verb);
  }
  return verbs;
}

TEST_F(ConfigFile, AListIsAsTheFlagSeveralTimesAndNothingElse) {
  spill(folder_ / "first", "the red boat waits here\n");
  spill(folder_ / "second", "a small boat is waiting\n");
  const std::string output = "a small boat is waiting\n";
  const Ran flags =
      run_qkv("score bleu --reference " + path("first") + " --reference " + path("second"), output);
  ASSERT_EQ(flags.exit, 0) << flags.err;
  const Ran file =
      run_qkv("score bleu" + with("reference = [\"" + (folder_ / "first").string() + "\", \"" +
                                  (folder_ / "second").string() + "\"]\ndigits = 1\n"),
              output);
  ASSERT_EQ(file.exit, 0) << file.err;
  EXPECT_NE(file.out.find("nrefs:2"), std::string::npos) << file.out;
  EXPECT_NE(file.out.find(" = 100.0 "), std::string::npos) << file.out;
  EXPECT_NE(flags.out.find(" = 100.00 "), std::string::npos) << flags.out;
  const Ran one =
      run_qkv("score bleu" + with("reference = '" + (folder_ / "second").string() + "'"), output);
  EXPECT_NE(one.out.find("nrefs:1"), std::string::npos) << one.out;
  // Of tags there is one right answer.
  refused("score tags", "reference = ['a', 'b']", "1: reference: 2 values");
}

TEST_F(ConfigFile, TheCommandLineWins) {
  const std::string settings = with("queries = 32\nheads = 3\njson = true\nscore = 'l1'");
  const auto told =
      nlohmann::json::parse(run_qkv("explain attention --heads 2 --dim 8" + settings).out);
  EXPECT_EQ(told["queries"], 32);
  EXPECT_EQ(told["heads"], 2);
  EXPECT_EQ(told["score"], "l1");
}

TEST_F(ConfigFile, ValuesOfAnotherKindAreRefusedWithFileAndLine) {
  const std::string verb = "explain attention";
  refused(verb, "# a comment\nqueries = [1, 2]", "2: 'queries' takes one value, not a list");
  refused(verb, "queries = true", "1: 'queries' takes a value, not true or false");
  refused(verb, "measure = 1", "1: 'measure' must be true or false");
  refused(verb, "measure = 'yes'", "1: 'measure' must be true or false");
  refused(verb, "measure = [true]", "1: ");
  refused(verb, "\n\nqueries = 'many'", "3: queries: 'many' is not a whole number");
  refused(verb, "queries = 1.5", "1: queries: '1.5' is not a whole number");
  refused(verb, "queries = -1", "1: queries: '-1' is not a whole number");
  refused(verb, "score = 'l3'", "1: score: 'l3' is not one of scaled_dot");
  refused(verb, "bias = ['alibi', 'none']", "1: bias: 'none' is not one of soft_cap");
  refused(verb, "bias = [['alibi']]", "1: 'bias' must be ");
  refused(verb, "bias = [true]", "1: 'bias' must be ");
  refused(verb, "queries = 2020-01-01", "1: 'queries' must be ");
  refused(verb, "[queries]\nmany = 1", "1: 'queries' must be ");
  refused("bench attention", "seconds = nan", "1: seconds: 'nan' is not a number above 0");
  refused("bench attention", "seconds = inf", "1: seconds: 'inf' is not a number above 0");
}

TEST_F(ConfigFile, WhatIsNoTomlIsOneLine) {
  refused("lengths", "rate = i", "1: ");
  refused("lengths", "rate = ", "1: ");
  refused("lengths", "rate = 1\nrate = 2", "2: ");
  refused("lengths", "try-to = 1\ntry_to = 2", "2: 'try_to' stands there twice");
  refused("lengths", "rate", "1: ");
  refused("lengths", "r\u00E4te = 1", "1: ");
  refused("lengths", "rate \u00E4= 1", "1: ");
  const Ran none = run_qkv("lengths --config " + path("none.toml"));
  EXPECT_EQ(none.exit, 1);
  EXPECT_NE(none.err.find("none.toml: cannot open"), std::string::npos) << none.err;
}

TEST_F(ConfigFile, EveryVerbRefusesKeysThatAreNoOptionsOfIts) {
  const std::vector<std::string> verbs = all_verbs();
  EXPECT_GE(verbs.size(), 37U);
  int count = 0;
  for (const std::string& verb : verbs) {
    if (++count % QKV_SWEEP != 0) continue;
    refused(verb, "\nthraeds = 1", "2: 'thraeds' is no option of qkv " + verb);
    // A file that names files, itself among them.
    refused(verb, "config = 'run.toml'", "1: 'config' is no option of qkv ");
    refused(verb, "help = true", "1: 'help' is no option of qkv ");
  }
  // Words that have no flag.
  refused("regress", "file = 'x'", "1: 'file' is no option of qkv regress");
  refused("score bleu", "hypothesis = 'x'", "1: 'hypothesis' is no option of qkv score bleu");
  refused("compare", "task = 'both'", "1: 'task' is no option of qkv compare");
}

}  // namespace
}  // namespace qkv

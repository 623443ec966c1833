#include "qkv/io/flat_yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using ::testing::HasSubstr;

std::string error(const std::string& text) {
  try {
    (void)parse_flat_yaml(text, "it.yml");
  } catch (const DataError& e) {
    return e.what();
  }
  return "no error";
}

TEST(FlatYaml, ReadsScalarsOfAllTypes) {
  EXPECT_EQ(parse_flat_yaml("---\n"
                            "# a comment\n"
                            "whole: 12\nnegative: -3\nfraction: 0.5\nsmall: 1e-06\n"
                            "yes: true\nno: false\nnothing: ~\nempty: \"\"\n"
                            "text: v1.9.0 a:b c  # said\r\n"
                            "number as text: \"12\"\nwords: transformer\nminus: -\n",
                            "it"),
            Json({{"whole", 12},
                  {"negative", -3},
                  {"fraction", 0.5},
                  {"small", 1e-6},
                  {"yes", true},
                  {"no", false},
                  {"nothing", nullptr},
                  {"empty", ""},
                  {"text", "v1.9.0 a:b c"},
                  {"number as text", "12"},
                  {"words", "transformer"},
                  {"minus", "-"}}));
}

TEST(FlatYaml, ReadsLists) {
  EXPECT_EQ(parse_flat_yaml("a:\n  - 1\n  - x y\nb: [1, \"2,\", z]\nc: []\nd:\n  []\n"
                            "e:\n- one\nf:\ng: 1\n",
                            "it"),
            Json({{"a", {1, "x y"}},
                  {"b", {1, "2,", "z"}},
                  {"c", Json::array()},
                  {"d", Json::array()},
                  {"e", {"one"}},
                  {"f", nullptr},
                  {"g", 1}}));
}

TEST(FlatYaml, ReadsNamesHoweverTheyAreWritten) {
  EXPECT_EQ(
      parse_flat_yaml("</s>: 0\n<unk>: 1\n▁the: 2\n\":\": 3\n\"\\\"\": 4\n'it''s': 5\n"
                      "\"\\\\\": 6\n\"\\x85\": 7\n\"\\u2581a\": 8\nnull: 9\n12: 10\n\"#\": 11\n"
                      "▁\": 12\na:b: 13\n\"- \": 14\n-: 15\ntrue: 16\n~: 17\n\"\\U0001F600\": 18\n"
                      "\"\\0\": 19\n?: 20\n'': 21\n",
                      "it"),
      Json({{"</s>", 0}, {"<unk>", 1}, {"▁the", 2},   {":", 3},    {"\"", 4},
            {"it's", 5}, {"\\", 6},    {"\u0085", 7}, {"▁a", 8},   {"null", 9},
            {"12", 10},  {"#", 11},    {"▁\"", 12},   {"a:b", 13}, {"- ", 14},
            {"-", 15},   {"true", 16}, {"~", 17},     {"😀", 18},   {std::string(1, '\0'), 19},
            {"?", 20},   {"", 21}}));
}

TEST(FlatYaml, RefusesOtherYamlByItsLine) {
  EXPECT_THAT(error("a: 1\nb:\n  c: 2\n"), HasSubstr("it.yml:3: is nested"));
  EXPECT_THAT(error("a: 1\na: 2\n"), HasSubstr("it.yml:2: has a name that is there before"));
  EXPECT_THAT(error("a: &x 1\n"), HasSubstr("it.yml:1: is YAML of a kind"));
  for (const char* text :
       {"a: *x\n",      "a: !!str 1\n", "a: |\n  text\n", "a: >\n",        "a: {b: 1}\n",
        "{a: 1}\n",     "a\n",          "a:1\n",          "- 1\n",         "a: 1\n- 2\n",
        "a: \"x\n",     "a: 'x\n",      "a: \"\\q\"\n",   "a: \"\\x4\"\n", "a: \"\\ud800\"\n",
        "a: \"x\" y\n", "a: [1, 2\n",   "a: [1 2] 3\n",   "a: [[1]]\n",    "? a\n: 1\n",
        "a: \xFF\n",    "a: @b\n"}) {
    EXPECT_NE(error(text), "no error") << text;
  }
}

}  // namespace
}  // namespace qkv

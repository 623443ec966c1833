// Several labels at once, against counts by hand.
#include "qkv/eval/label_sets.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"

namespace qkv {
namespace {

TEST(LabelSets, EachLabelOfEachExampleCounts) {
  // a: 2 of 2 found right, one missed; b: one found wrongly; c: never found.
  const std::vector<LabelSet> gold = {{"a", "c"}, {"a"}, {}, {"a", "b"}},
                              found = {{"a"}, {"b", "a", "a"}, {}, {"b"}};
  const LabelSetReport r = score_label_sets(gold, found);
  EXPECT_EQ(r.all.gold, 5);
  EXPECT_EQ(r.all.found, 4);
  EXPECT_EQ(r.all.right, 3);
  EXPECT_DOUBLE_EQ(r.all.f1(), 100.0 * 6 / 9);
  EXPECT_DOUBLE_EQ(r.labels.at("a").recall(), 100.0 * 2 / 3);
  EXPECT_DOUBLE_EQ(r.labels.at("b").precision(), 50.0);
  EXPECT_EQ(r.labels.at("c").f1(), 0.0);
  EXPECT_DOUBLE_EQ(r.macro_f1(), (80.0 + 100.0 * 2 / 3 + 0) / 3);
  EXPECT_EQ(r.exact, 1) << "nothing for nothing is right";
  EXPECT_DOUBLE_EQ(nlohmann::json::parse(r.json())["labels"]["a"]["f1"], 80.0);
}

TEST(LabelSets, WhatMakesNone) {
  const std::vector<LabelSet> none, one(1);
  EXPECT_THROW(score_label_sets(none, none), Error);
  EXPECT_THROW(score_label_sets(one, none), Error);
  EXPECT_EQ(score_label_sets(one, one).all.f1(), 0.0);
}

}  // namespace
}  // namespace qkv

#include "qkv/data/hold_out.h"

#include <algorithm>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/data/clip_files.h"

namespace qkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(HoldOut, TakesEveryNthAndNeverAThousandMore) {
  EXPECT_EQ(held_out(7, 3, "pairs"),
            (std::vector<bool>{false, false, true, false, false, true, false}));
  const std::vector<bool> many = held_out(100'000, 10, "pairs");
  EXPECT_EQ(std::count(many.begin(), many.end(), true), 1000);
  EXPECT_THAT([] { (void)held_out(2, 3, "pairs"); },
              ThrowsMessage<Error>(HasSubstr("too few pairs to hold some out; give --valid")));
}

TEST(HoldOut, TakesTheLastLines) {
  std::vector<std::string> lines = {"a", "b", "c"};
  EXPECT_THAT(hold_out_tail(lines, 2), ElementsAre("b", "c"));
  EXPECT_THAT(lines, ElementsAre("a"));
  EXPECT_THROW((void)hold_out_tail(lines, 1), Error) << "nothing would be left";
  EXPECT_THROW((void)hold_out_tail(lines, 0), Error);
}

TEST(HoldOut, IsForWhoGivesNothingToJudgeBy) {
  const auto read = [](const std::vector<std::string>& paths) { return paths; };
  const auto last = [](std::vector<std::string>& lines) { return hold_out_tail(lines, 1); };
  const auto given = read_split({"a", "b"}, {"c"}, read, last);
  EXPECT_THAT(given.train, ElementsAre("a", "b"));
  EXPECT_THAT(given.valid, ElementsAre("c"));
  const auto held = read_split({"a", "b"}, {}, read, last);
  EXPECT_THAT(held.train, ElementsAre("a"));
  EXPECT_THAT(held.valid, ElementsAre("b"));
}

TEST(HoldOut, TakesAShareOfEachLabel) {
  std::vector<Clip> clips;
  for (std::int64_t i = 0; i < 61; ++i) {
    Clip clip;
    clip.id = std::to_string(i);
    clip.name = i < 20 ? "a" : i < 60 ? "b" : "c";
    clips.push_back(clip);
  }
  std::vector<Clip> rest = clips;
  const std::vector<Clip> held = hold_out(rest, 0.1, 1);
  std::set<std::string> ids;
  std::map<std::string, int> counts;
  for (const Clip& c : held) {
    ids.insert(c.id);
    ++counts[c.name];
  }
  EXPECT_EQ(counts, (std::map<std::string, int>{{"a", 2}, {"b", 4}}));  // the only c stays
  for (const Clip& c : rest) EXPECT_TRUE(ids.insert(c.id).second);
  EXPECT_EQ(ids.size(), 61U);
  std::vector<Clip> again = clips, other = clips;
  EXPECT_EQ(hold_out(again, 0.1, 1).front().id, held.front().id);
  const std::vector<Clip> another = hold_out(other, 0.1, 2);
  EXPECT_FALSE(std::ranges::equal(another, held, {}, &Clip::id, &Clip::id));
  std::vector<Clip> lone(1);
  EXPECT_THROW((void)hold_out(lone, 0.5, 1), Error);
}

}  // namespace
}  // namespace qkv

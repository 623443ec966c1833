#include "qkv/attention/mask.h"

#include "attention/picture.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::picture;

TEST(Mask, CausalInBothCorners) {
  EXPECT_EQ(picture(causal(), 3, 3), "#..\n##.\n###\n");
  EXPECT_EQ(picture(causal(), 2, 4), "###.\n####\n");
  EXPECT_EQ(picture(causal(), 4, 2), "..\n..\n#.\n##\n");
  EXPECT_EQ(picture(causal(Alignment::top_left), 2, 4), "#...\n##..\n");
  EXPECT_EQ(picture(causal(Alignment::top_left), 4, 2), "#.\n##\n##\n##\n");
}

TEST(Mask, Windows) {
  EXPECT_EQ(picture(window(2), 4, 4), "##..\n###.\n.###\n..##\n");
  EXPECT_EQ(picture(window(1), 3, 3), "#..\n.#.\n..#\n");
  EXPECT_EQ(picture(window(0), 2, 2), "..\n..\n");
  EXPECT_EQ(picture(window(1, 0), 3, 3), "#..\n##.\n.##\n");
  EXPECT_EQ(picture(window(-1, 1), 3, 3), ".#.\n..#\n...\n");  // strictly the next one
  EXPECT_EQ(picture(window(0, 0, Alignment::top_left), 2, 4), "#...\n.#..\n");
  EXPECT_EQ(picture(window(0, 0), 2, 4), "..#.\n...#\n");
  const std::int64_t far = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(picture(window(far, far), 2, 3), "###\n###\n");
}

TEST(Mask, PrefixAndLengths) {
  EXPECT_EQ(picture(prefix(2), 2, 3), "##.\n##.\n");
  EXPECT_EQ(picture(prefix(0), 2, 2), "..\n..\n");
  EXPECT_EQ(picture(prefix(9), 1, 2), "##\n");
  EXPECT_EQ(picture(segments(Segments({2, 1}), Segments({3, 2})) & lengths({1, 2}), 3, 5),
            "#....\n#....\n...##\n");
  EXPECT_EQ(picture(segments(Segments({2, 1}), Segments({3, 2})) & lengths({0, 2}), 3, 5),
            ".....\n.....\n...##\n");
  EXPECT_EQ(picture(query_lengths({3, 0, 2}), 3, 3), "###\n...\n##.\n");
  EXPECT_THROW(compile(lengths({4}), 2, 3), ShapeError);
  EXPECT_THROW(compile(lengths({-1}), 2, 3), ShapeError);
  EXPECT_THROW(compile(query_lengths({1, 1}), 3, 3), ShapeError);
  EXPECT_THROW(compile(segments(Segments({1, 1})) & lengths({1}), 2, 2), ShapeError);
}

TEST(Mask, SegmentsCountPositionsInside) {
  const Segments batch({2, 0, 3});
  EXPECT_EQ(picture(segments(batch), 5, 5), "##...\n##...\n..###\n..###\n..###\n");
  EXPECT_EQ(picture(segments(batch) & causal(), 5, 5), "#....\n##...\n..#..\n..##.\n..###\n");
  EXPECT_EQ(picture(causal() & segments(batch), 5, 5), "#....\n##...\n..#..\n..##.\n..###\n");
  EXPECT_EQ(picture(segments(batch) & prefix(1), 5, 5), "#....\n#....\n..#..\n..#..\n..#..\n");
  EXPECT_EQ(picture(segments(batch) & ~causal(), 5, 5), ".#...\n.....\n...##\n....#\n.....\n");
  EXPECT_EQ(picture(~segments(batch), 5, 5), "..###\n..###\n##...\n##...\n##...\n");
  EXPECT_EQ(picture(segments(Segments({1, 2}), Segments({3, 1})) & causal(), 3, 4),
            "###.\n....\n...#\n");
}

TEST(Mask, ThePlanCarriesTheSegments) {
  const Segments q({2, 0, 3}), k({1, 4, 2});
  const auto plan = compile(segments(q, k) & causal(), 5, 7);
  ASSERT_EQ(plan->segments.size(), 3u);
  EXPECT_EQ(plan->segments[2].q_begin, 2);
  EXPECT_EQ(plan->segments[2].q_end, 5);
  EXPECT_EQ(plan->segments[2].k_begin, 5);
  EXPECT_EQ(plan->segments[2].k_end, 7);
  // A row that looks into another sequence makes one segment of all.
  EXPECT_EQ(compile(segments(q, k) | everything(), 5, 7)->segments.size(), 1u);
  EXPECT_EQ(compile(everything(), 5, 7)->segments.size(), 1u);
  EXPECT_EQ(compile(segments(Segments()), 0, 0)->segments.size(), 0u);
}

TEST(Mask, ThePlanIsSharedAndFollowsTheSizes) {
  const Mask mask = causal();
  const Mask copy = mask;
  EXPECT_EQ(compile(mask, 4, 4), compile(copy, 4, 4));
  EXPECT_EQ(compile(mask, 5, 5)->queries, 5);
}

TEST(Mask, WrongSizesAreNamed) {
  EXPECT_THROW(compile(segments(Segments({2, 3})), 6, 5), ShapeError);
  EXPECT_THROW(compile(segments(Segments({2, 3})), 5, 6), ShapeError);
  EXPECT_THROW(segments(Segments({2, 3}), Segments({5})), ShapeError);
  EXPECT_THROW(compile(segments(Segments({2, 3})) & segments(Segments({3, 2})), 5, 5), ShapeError);
  EXPECT_NO_THROW(compile(segments(Segments({2, 3})) | ~segments(Segments({2, 3})), 5, 5));
}

TEST(Mask, Names) {
  const Mask mask = segments(Segments({2, 3})) & causal() & (window(3) | ~prefix(2));
  EXPECT_EQ(to_string(mask), "segments([2, 3]) & causal() & (window(2, 2) | ~prefix(2))");
  EXPECT_EQ(to_string(~(causal(Alignment::top_left) | everything())),
            "~(causal(top_left) | everything())");
}

TEST(Mask, OnesOwnRuleIsTidied) {
  const Mask own = Mask::of("every third", [](const MaskRow& row, Intervals& out) {
    for (std::int64_t j = row.keys + 2; j >= -3; j -= 3) out.push_back({j, j + 1});  // backwards
    out.push_back({4, 2});                                                           // empty
    out.push_back({0, 2});
    out.push_back({1, 3});  // overlaps
  });
  EXPECT_EQ(picture(own, 1, 7), "####..#\n");
  const auto plan = compile(own, 1, 7);
  EXPECT_EQ(plan->intervals, (Intervals{{0, 4}, {6, 7}}));
}

TEST(Mask, LawsOfSets) {
  const Segments batch({3, 0, 5, 1, 4});
  const Mask base = segments(batch);
  const std::vector<Mask> masks = {everything(),
                                   causal(),
                                   window(2),
                                   prefix(2),
                                   base,
                                   ~causal(),
                                   base & window(1, 0),
                                   prefix(1) | causal(),
                                   lengths({1, 0, 4, 1, 0})};
  // The same sequences must be known on both sides of a law, so all are taken with `base`.
  const auto set = [&](const Mask& m) { return compile(m & (base | ~base), 13, 13)->intervals; };
  for (const Mask& a : masks) {
    EXPECT_EQ(set(~~a), set(a));
    EXPECT_EQ(set(a & ~a), Intervals{});
    EXPECT_EQ(set(a | ~a), set(everything()));
    EXPECT_EQ(set(a & everything()), set(a));
    for (const Mask& b : masks) {
      EXPECT_EQ(set(a & b), set(b & a));
      EXPECT_EQ(set(a | b), set(b | a));
      EXPECT_EQ(set(~(a & b)), set(~a | ~b)) << to_string(a) << ", " << to_string(b);
      EXPECT_EQ(set(~(a | b)), set(~a & ~b)) << to_string(a) << ", " << to_string(b);
      EXPECT_EQ(set(a | (a & b)), set(a));
      for (const Mask& c : masks) EXPECT_EQ(set(a & (b | c)), set((a & b) | (a & c)));
    }
  }
}

}  // namespace
}  // namespace qkv

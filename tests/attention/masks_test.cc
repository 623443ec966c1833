// The ready-made masks that hold data or reach far, and masks from text.
#include <limits>

#include "attention/picture.h"
#include <gtest/gtest.h>

#include "qkv/attention/parse_mask.h"
#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::picture;

/// "110/011" as a pattern.
Pattern flags(const std::string& text) {
  Pattern p;
  p.rows = 1 + std::count(text.begin(), text.end(), '/');
  for (const char c : text) {
    if (c != '/') p.visible.push_back(c == '1');
  }
  p.keys = static_cast<std::int64_t>(p.visible.size()) / p.rows;
  return p;
}

const Mask kTwo = segments(Segments({2, 3}));

TEST(Masks, Dilated) {
  EXPECT_EQ(picture(dilated(2, 2), 5, 5), "#.#..\n.#.#.\n#.#.#\n.#.#.\n..#.#\n");
  EXPECT_EQ(picture(dilated(3, 1), 6, 6), picture(window(3), 6, 6));
  EXPECT_EQ(picture(dilated(9, 3), 2, 6), ".#..#.\n..#..#\n");
  EXPECT_EQ(picture(dilated(9, 3, Alignment::top_left), 2, 6), "#..#..\n.#..#.\n");
  EXPECT_EQ(picture(dilated(9, 2), 4, 2), "#.\n.#\n#.\n.#\n") << "places before the first key";
  EXPECT_EQ(picture(dilated(0, 2), 1, 2), "..\n");
  EXPECT_EQ(picture(kTwo & dilated(2, 2), 5, 5), "#....\n.#...\n..#.#\n...#.\n..#.#\n");
  const std::int64_t far = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(picture(dilated(far, far), 2, 2), "#.\n.#\n");
  EXPECT_THROW(dilated(2, 0), ShapeError);
}

TEST(Masks, NumbersAtTheEndsOfTheirRangeDoNotWrap) {
  const std::int64_t most = std::numeric_limits<std::int64_t>::max(),
                     least = std::numeric_limits<std::int64_t>::min();
  EXPECT_EQ(picture(window(least), 3, 3), picture(window(0), 3, 3));
  EXPECT_EQ(picture(window(least + 1), 3, 3), picture(window(0), 3, 3));
  EXPECT_EQ(picture(window(most), 3, 3), picture(window(3), 3, 3));
  EXPECT_EQ(picture(window(least, most), 2, 2), "..\n..\n");
  EXPECT_EQ(picture(window(most, most), 2, 2), "##\n##\n");
  EXPECT_EQ(picture(prefix(most), 1, 2), "##\n");
  EXPECT_EQ(picture(prefix(least), 1, 2), "..\n");
  EXPECT_EQ(picture(dilated(least, most), 1, 2), "..\n");
  for (const std::int64_t block : {std::int64_t{8}, most - 1, most}) {
    EXPECT_EQ(picture(block_sparse(block, flags("1")), 2, 3), "###\n###\n") << block;
    EXPECT_EQ(picture(block_sparse(block, flags("10/01")), 2, 3), "###\n###\n") << block;
    EXPECT_EQ(picture(block_sparse(block, flags("01/01")), 2, 3), "...\n...\n") << block;
  }
  EXPECT_EQ(picture(block_sparse(2, flags("111/111/111")), 5, 5), picture(everything(), 5, 5));
  EXPECT_THROW(Segments({most, most, 10}), ShapeError);
  EXPECT_THROW(parse_mask("segments([9223372036854775807, 9223372036854775807, 10])"), ShapeError);
  EXPECT_THROW(compile(graph({{most}}), 1, 8), ShapeError);
  EXPECT_THROW(dense({.rows = most, .keys = most, .visible = {1}}), ShapeError);
  EXPECT_THROW(dense({.rows = 1, .keys = 0, .visible = {1}}), ShapeError);
}

TEST(Masks, Documents) {
  EXPECT_EQ(picture(documents({7, 7, -1, 7}), 4, 4), "##.#\n##.#\n..#.\n##.#\n");
  EXPECT_EQ(picture(documents({1, 2, 3}, {2, 2, 1, 1}), 3, 4), "..##\n##..\n....\n");
  EXPECT_EQ(picture(kTwo & documents({0, 1, 1, 0, 1}), 5, 5),
            "#....\n.#...\n..#.#\n...#.\n..#.#\n");
  EXPECT_THROW(compile(documents({1, 2}), 3, 2), ShapeError);
  EXPECT_THROW(compile(documents({1, 2}), 2, 3), ShapeError);
}

TEST(Masks, Graph) {
  const Mask lists = graph({{1, 0, 1}, {}, {0, 2}});
  EXPECT_EQ(picture(lists, 3, 3), "##.\n...\n#.#\n");
  EXPECT_EQ(picture(lists, 3, 4), "##..\n....\n#.#.\n");
  const std::vector<Edge> edges = {{2, 2}, {0, 1}, {2, 0}, {0, 0}};
  EXPECT_EQ(picture(graph(edges), 3, 3), picture(lists, 3, 3));
  EXPECT_EQ(picture(graph(edges), 4, 3), "##.\n...\n#.#\n...\n");
  EXPECT_EQ(picture(graph(std::vector<std::vector<std::int64_t>>{}), 0, 0), "");
  EXPECT_THROW(compile(lists, 4, 4), ShapeError);
  EXPECT_THROW(compile(lists, 3, 2), ShapeError);
  EXPECT_THROW(compile(graph(edges), 2, 3), ShapeError);
  EXPECT_THROW(graph({{-1}}), ShapeError);
  EXPECT_THROW(graph(std::vector<Edge>{{-1, 0}}), ShapeError);
}

TEST(Masks, BlockSparse) {
  EXPECT_EQ(picture(block_sparse(2, flags("10/11")), 4, 3), "##.\n##.\n###\n###\n");
  EXPECT_EQ(picture(kTwo & block_sparse(2, flags("01/10")), 5, 5),
            ".....\n.....\n....#\n....#\n..##.\n");
  EXPECT_THROW(compile(block_sparse(2, flags("10/11")), 5, 4), ShapeError);
  EXPECT_THROW(compile(block_sparse(2, flags("10/11")), 4, 5), ShapeError);
  EXPECT_THROW(block_sparse(0, flags("1")), ShapeError);
  EXPECT_THROW(block_sparse(2, Pattern{2, 2, {1, 0, 1}}), ShapeError);
}

TEST(Masks, Dense) {
  EXPECT_EQ(picture(dense(flags("101/010")), 2, 3), "#.#\n.#.\n");
  EXPECT_EQ(picture(kTwo & dense(flags("101/010/111")), 5, 5),
            "#....\n.#...\n..#.#\n...#.\n..###\n");
  EXPECT_EQ(picture(dense(flags("101")), 2, 3), "#.#\n#.#\n") << "a flag a key";
  EXPECT_EQ(picture(dense(flags("1/0")), 2, 3), "###\n...\n") << "a flag a row";
  EXPECT_EQ(picture(kTwo & dense(flags("10101"), Numbering::packed), 5, 5),
            "#....\n#....\n..#.#\n..#.#\n..#.#\n");
  EXPECT_THROW(compile(dense(flags("101/010")), 3, 3), ShapeError);
  EXPECT_THROW(compile(kTwo & dense(flags("101/010/111"), Numbering::packed), 5, 5), ShapeError);
  EXPECT_THROW(dense(Pattern{1, 3, {1, 1}}), ShapeError);
}

TEST(Masks, LengthsOfEveryRowOfEverySequence) {
  EXPECT_EQ(picture(kTwo & query_lengths({{1, 2}, {0, 3, 1}}), 5, 5),
            "#....\n##...\n.....\n..###\n..#..\n");
  EXPECT_THROW(compile(kTwo & query_lengths({{1, 2}, {0, 3}}), 5, 5), ShapeError);
  EXPECT_THROW(compile(kTwo & query_lengths({{1, 2}, {0, 4, 1}}), 5, 5), ShapeError);
  EXPECT_THROW(compile(kTwo & query_lengths(std::vector<std::vector<std::int64_t>>{{1, 2}}), 5, 5),
               ShapeError);
}

TEST(Masks, PrefixAndDocumentsOfMpt) {
  // Bidirectional over the prefix, causal behind it, never into another document.
  const Mask mask = documents({0, 0, 0, 0, 1, 1, 1, 1}) & (causal() | dense(flags("11001110")));
  EXPECT_EQ(picture(mask, 8, 8),
            "##......\n##......\n###.....\n####....\n....###.\n....###.\n....###.\n....####\n");
}

TEST(MaskText, ReadsWhatToStringPrints) {
  for (const char* text :
       {"everything()", "causal()", "causal(top_left)", "window(2, -1)", "window(0, 3, top_left)",
        "~(causal() & prefix(1)) | ~~window(1, 1)", "dilated(3, 2)", "dilated(3, 2, top_left)",
        "segments([2, 3])", "segments([2, 3], [5, 0])", "segments([1, 1]) & lengths([1, 0])",
        "query_lengths([1, 0, 2])", "query_lengths([1], [0, 2])", "documents([0, 1], [1, 0, 0])",
        "graph([1], [], [0, 2])", "graph()", "block_sparse(4, 110/011)", "dense(10/01)",
        "dense(1/0, packed)"}) {
    EXPECT_EQ(to_string(parse_mask(text)), text);
  }
  EXPECT_EQ(to_string(parse_mask(" causal( )&\n(window( 256 )|prefix(32))")),
            "causal() & (window(255, 255) | prefix(32))");
  EXPECT_EQ(picture(parse_mask("causal() | prefix(2) & window(1)"), 3, 3),
            picture(causal() | (prefix(2) & window(1)), 3, 3));
}

std::string complaint(const std::string& text) {
  try {
    parse_mask(text);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(MaskText, ComplaintsSayWhere) {
  EXPECT_EQ(complaint("causal() & "), "mask: character 12: expected a mask, not the end");
  EXPECT_EQ(complaint("causal() + 1"), "mask: character 10: expected '&', '|' or the end, not '+'");
  EXPECT_EQ(complaint("(causal()"), "mask: character 10: expected ')', not the end");
  EXPECT_EQ(complaint("window(x)"), "mask: character 8: expected a number, not 'x'");
  EXPECT_EQ(complaint("causal(left)"), "mask: character 8: expected top_left");
  EXPECT_EQ(complaint("dense(11/1)"), "mask: character 11: rows of flags differ in length");
  EXPECT_EQ(complaint("prefix(99999999999999999999)"), "mask: character 8: a number too large");
  EXPECT_EQ(complaint("~windw(2)").rfind("mask: character 2: no mask 'windw'; there are ", 0), 0U);
  EXPECT_EQ(complaint(std::string(1000, '~')), "mask: character 102: nested too deep");
  EXPECT_EQ(complaint("dilated(2, 0)"), "dilated: step 0 is below 1");
  EXPECT_NE(complaint(""), "");
}

}  // namespace
}  // namespace qkv

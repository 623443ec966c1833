#include "qkv/view/terminal.h"

#include <algorithm>
#include <sstream>

#include "view/sample.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/view/label.h"

namespace qkv {
namespace {

int widest_line(const std::string& picture) {
  std::istringstream lines(picture);
  int width = 0;
  for (std::string line; std::getline(lines, line);) width = std::max(width, display_width(line));
  return width;
}

TEST(Terminal, DrawsLabelsAcrossWhenTheyFit) {
  HeatMap map = map_of({"狗", "</s>"}, {"the", "dog", "草地上"}, {0.25f, 0.75f, 0, 0, 0, 1});
  map.title = "small";
  EXPECT_EQ(terminal_heat_map(map, {.width = 60}),
            "small\n"
            "     the    dog    草地上\n"
            "  狗 ░░░ 25 ▓▓▓ 75\n"
            "</s>               ███100\n"
            "0   ░░▒▒▓▓██ 1   rows: queries, columns: keys\n");
  EXPECT_EQ(terminal_heat_map(map, {.width = 60, .numbers = false}),
            "small\n"
            "     the    dog    草地上\n"
            "  狗 ░░░░░░ ▓▓▓▓▓▓\n"
            "</s>               ██████\n"
            "0   ░░▒▒▓▓██ 1   rows: queries, columns: keys\n");
}

TEST(Terminal, DrawsLabelsDownWhenTheyDoNot) {
  const HeatMap map = map_of({"狗", "x"}, {"the", "dog", "草地", "a", "b"},
                             {0.25f, 0.75f, 0, 0, 0, 0, 0, 1, 0.5f, 0});
  EXPECT_EQ(terminal_heat_map(map, {.width = 20}),
            "   t d\n"
            "   h o 草\n"
            "   e g 地a b\n"
            "狗 ░░▓▓\n"
            " x     ██▒▒\n"
            "0   ░░▒▒▓▓██ 1\n");
}

TEST(Terminal, NumbersStandInForWideLettersInNarrowColumns) {
  HeatMap map = map_of({"r"}, {}, {});
  std::vector<float> weights;
  for (int i = 0; i < 12; ++i) {
    map.columns.push_back("草");
    weights.push_back(i == 11 ? 1.0f : 0.0f);
  }
  map.values = matrix(weights, 1, 12);
  EXPECT_EQ(terminal_heat_map(map, {.width = 20}),
            "            11\n"
            "  012345678901\n"
            "r            █\n"
            "0   ░░▒▒▓▓██ 1\n");
}

TEST(Terminal, ColoursCells) {
  const HeatMap map = map_of({"a"}, {"x", "y"}, {0, 1});
  EXPECT_THAT(terminal_heat_map(map, {.colour = TerminalColour::palette}),
              testing::StartsWith("  x   y\n"
                                  "a \x1b[48;5;234;38;5;231m    \x1b[48;5;229;38;5;16m100 \x1b[0m\n"
                                  "0 \x1b[48;5;234;38;5;231m "));
  const std::string colours = terminal_heat_map(map, {.colour = TerminalColour::truecolour});
  EXPECT_EQ(count_of(colours, "\x1b[48;2;24;24;38;38;2;255;255;255m"), 2);  // cell, legend
  EXPECT_EQ(count_of(colours, "\x1b[48;2;254;240;168;38;2;0;0;0m"), 2);
}

TEST(Terminal, NeverWiderThanAskedFor) {
  for (int n : {1, 5, 9, 40, 79, 80, 150, 450}) {
    HeatMap map = diagonal(n);
    map.title = std::string(300, 't');
    map.rows[0] = "草地草地草地草地草地草地草地草地";
    map.columns[static_cast<std::size_t>(n) - 1] = "ein ganz langes Wort";
    for (int width : {20, 33, 80, 200}) {
      EXPECT_LE(widest_line(terminal_heat_map(map, {.width = width})), width) << n << " " << width;
    }
  }
}

TEST(Terminal, LongSequencesShrink) {
  const std::string picture = terminal_heat_map(diagonal(450), {.width = 80});
  EXPECT_EQ(std::count(picture.begin(), picture.end(), '\n'), 210);  // 1 title, 8 labels, 200, 1
}

TEST(Terminal, EmptyAndSingle) {
  EXPECT_EQ(terminal_heat_map(map_of({}, {}, {})), "(empty: 0 rows, 0 columns)\n");
  EXPECT_EQ(terminal_heat_map(map_of({"a"}, {}, {})), "(empty: 1 rows, 0 columns)\n");
  EXPECT_EQ(terminal_heat_map(map_of({"a"}, {"b"}, {1}), {.width = 20}),
            "  b\n"
            "a 100\n"
            "0   ░░▒▒▓▓██ 1\n");
}

TEST(Terminal, LabelsCannotCommandTheTerminal) {
  const std::string picture =
      terminal_heat_map(map_of({"\x1b[2J"}, {"\x1b]0;x\a"}, {1}), {.width = 60});
  EXPECT_EQ(picture.find('\x1b'), std::string::npos);
  EXPECT_EQ(picture.find('\a'), std::string::npos);
}

TEST(Terminal, RefusesNanAndTinyTerminals) {
  EXPECT_THROW(terminal_heat_map(map_of({"a"}, {"b"}, {kNan})), NumericError);
  EXPECT_THROW(terminal_heat_map(map_of({"a"}, {"b"}, {1}), {.width = 19}), Error);
}

}  // namespace
}  // namespace qkv

#include "qkv/view/label.h"

#include <gtest/gtest.h>

#include "qkv/view/colour.h"

namespace qkv {
namespace {

TEST(Label, WidthsCountColumnsOfATerminal) {
  EXPECT_EQ(display_width(""), 0);
  EXPECT_EQ(display_width("dog"), 3);
  EXPECT_EQ(display_width("狗"), 2);
  EXPECT_EQ(display_width("草地ab"), 6);
  EXPECT_EQ(display_width("e\u0301"), 1);  // a combining accent
  EXPECT_EQ(display_width("é"), 1);
  EXPECT_EQ(display_width("👩\u200D🚀"), 2);  // one picture of two
  EXPECT_EQ(display_width("▁the"), 4);
}

TEST(Label, FitsWithoutCuttingCharacters) {
  EXPECT_EQ(fit_label("running", 7), "running");
  EXPECT_EQ(fit_label("running", 6), "runni…");
  EXPECT_EQ(fit_label("running", 1), "…");
  EXPECT_EQ(fit_label("running", 0), "");
  EXPECT_EQ(fit_label("草地上", 5), "草地…");
  EXPECT_EQ(fit_label("草地上", 4), "草…");  // half a character has no place
  EXPECT_EQ(pad_right("草地上", 4), "草… ");
  EXPECT_EQ(pad_left("狗", 4), "  狗");
  EXPECT_EQ(fit_label("e\u0301e\u0301e\u0301", 2), "e\u0301…");
}

TEST(Label, CleansWhatATerminalWouldObey) {
  EXPECT_EQ(clean_label("a\x1b[31mb"), "a␛[31mb");
  EXPECT_EQ(clean_label("a\nb\tc"), "a␊b␉c");
  EXPECT_EQ(clean_label(std::string_view("\0", 1)), "␀");
  EXPECT_EQ(clean_label("\x7f"), "␡");
  EXPECT_EQ(clean_label("\u009b31m"), "\uFFFD31m");        // a control sequence of one character
  EXPECT_EQ(clean_label("\u202Eabc"), "\uFFFDabc");        // right to left from here
  EXPECT_EQ(clean_label("\xff\xfe"), "\uFFFD\uFFFD");      // not UTF-8
  EXPECT_EQ(clean_label("\xEF\xBF\xBF"), "\uFFFD");        // U+FFFF, which XML forbids
  EXPECT_EQ(clean_label("草\xE8\x8D"), "草\uFFFD\uFFFD");  // cut short
  EXPECT_EQ(clean_label("  "), "␣␣");
  EXPECT_EQ(clean_label("a b"), "a b");
  EXPECT_EQ(clean_label(""), "");
}

TEST(Label, EscapesXml) {
  EXPECT_EQ(escape_xml("</s> & \"it's\""), "&lt;/s&gt; &amp; &quot;it&#39;s&quot;");
  EXPECT_EQ(escape_xml("\x01"), "␁");
}

TEST(Colour, RampsBeginAndEndWhereTheySay) {
  EXPECT_EQ(hex(ramp_colour(Ramp::paper, 0.0)), "#fff9f3");
  EXPECT_EQ(hex(ramp_colour(Ramp::paper, 1.0)), "#67041c");
  EXPECT_EQ(ramp_colour(Ramp::night, -3.0), ramp_colour(Ramp::night, 0.0));
  EXPECT_EQ(ramp_colour(Ramp::night, 7.0), ramp_colour(Ramp::night, 1.0));
  EXPECT_EQ(ramp_colour(Ramp::night, 0.0 / 0.0), ramp_colour(Ramp::night, 0.0));
  EXPECT_EQ(hex(ramp_colour(Ramp::paper, 0.5)), "#f69264");
}

TEST(Colour, PaletteAndForeground) {
  EXPECT_EQ(palette_index({0, 0, 0}), 16);
  EXPECT_EQ(palette_index({255, 255, 255}), 231);
  EXPECT_EQ(palette_index({255, 0, 0}), 196);
  EXPECT_EQ(palette_index({118, 118, 118}), 243);
  EXPECT_EQ(readable_on({255, 255, 0}), (Colour{0, 0, 0}));
  EXPECT_EQ(readable_on({103, 4, 28}), (Colour{255, 255, 255}));
}

}  // namespace
}  // namespace qkv

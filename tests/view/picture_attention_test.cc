#include "qkv/view/picture_attention.h"

#include "view/sample.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/media/picture_file.h"

namespace qkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// 2 × 2 patches and a class row in two heads; the class row looks at the last patch alone.
PictureAttention sample() {
  PictureAttention seen;
  seen.picture = Picture(1, 4, 4);
  seen.patches = {2, 2};
  seen.tokens = 1;
  seen.maps.title = "a.png → <b>";
  seen.maps.source = {"<class>", "0,0", "0,1", "1,0", "1,1"};
  std::vector<float> first(25, 0), second(25, 0);
  for (std::size_t r = 0; r < 5; ++r) {
    first[r * 5 + (r + 4) % 5] = 1;  // row r looks at the one before it, the class row at 1,1
    second[r * 5 + r] = 1;
  }
  seen.maps.maps = {{AttentionMap::Kind::encoder_self, 0, 0, matrix(first, 5, 5)},
                    {AttentionMap::Kind::encoder_self, 0, 1, matrix(second, 5, 5)}};
  return seen;
}

TEST(PictureAttention, TheClassRowLooksUnlessAPatchIsNamed) {
  const PatchWeights whole = patch_weights(sample(), {.head = 0});
  EXPECT_THAT(whole.weights, ElementsAre(0, 0, 0, 1));
  EXPECT_FALSE(whole.query);
  EXPECT_EQ(whole.name, "layer 0, head 0, class row");
  const PatchWeights patch = patch_weights(sample(), {.patch = PatchPlace{1, 0}});
  EXPECT_THAT(patch.weights, ElementsAre(0, 0.5, 0.5, 0));
  EXPECT_EQ(patch.query, 2);
  EXPECT_EQ(patch.name, "layer 0, mean of 2 heads, patch 1,0");
  EXPECT_THROW(patch_weights(sample(), {.patch = PatchPlace{2, 0}}), Error);
  EXPECT_THROW(patch_weights(sample(), {.head = 2}), Error);
  PictureAttention without = sample();
  without.tokens = 0;
  EXPECT_THROW(patch_weights(without), ShapeError);
}

TEST(PictureAttention, ReadsThePlaceOfAPatch) {
  EXPECT_EQ(patch_place("2,15").row, 2);
  EXPECT_EQ(patch_place("2,15").col, 15);
  for (const char* wrong : {"", "2", "2,", ",2", "-1,2", "1,2,3", "a,b"}) {
    EXPECT_THROW(patch_place(wrong), UsageError) << wrong;
  }
}

TEST(PictureAttention, IsBrightestWhereTheWeightIs) {
  const Picture p = overlay(sample(), patch_weights(sample(), {.head = 0}));
  EXPECT_EQ(p.channels, 3);
  EXPECT_EQ(p.height, 256);
  const auto grey = [&](int y, int x) { return p.at(0, y, x) + p.at(1, y, x) + p.at(2, y, x); };
  EXPECT_GT(grey(192, 192), 4 * grey(64, 64));
  EXPECT_EQ(grey(64, 64), grey(64, 192));
}

TEST(PictureAttention, IsDrawnInEveryForm) {
  const Picture png =
      decode_picture(png_picture_attention(sample(), {.patch = PatchPlace{0, 0}}), "png");
  EXPECT_EQ(png.width, 256);
  EXPECT_EQ(png.at(2, 0, 0), 255);  // the frame of the patch that looks
  const std::string svg = svg_picture_attention(sample(), {.head = 0});
  EXPECT_THAT(svg, HasSubstr("data:image/png;base64,iVBOR"));
  EXPECT_THAT(svg, HasSubstr("a.png → &lt;b&gt;: layer 0, head 0, class row"));
  EXPECT_THAT(svg, HasSubstr("<title>1,1: 1</title>"));
  const std::string plain = terminal_picture_attention(sample(), {.head = 0});
  EXPECT_THAT(plain, HasSubstr("█"));
  EXPECT_THAT(plain, Not(HasSubstr("\x1b")));
  const std::string colour =
      terminal_picture_attention(sample(), {}, {.colour = TerminalColour::truecolour});
  EXPECT_THAT(colour, HasSubstr("▀"));
  EXPECT_THAT(colour, HasSubstr("\x1b[0m\n"));
}

TEST(PictureAttention, MakesAPageThatNeedsNothingFromOutside) {
  const std::string page = html_picture_attention(sample(), {.patch = PatchPlace{1, 1}});
  EXPECT_THAT(page, HasSubstr("default-src 'none'; img-src data:"));
  EXPECT_THAT(page, HasSubstr("\"rows\": 2, \"cols\": 2, \"tokens\": 1"));
  EXPECT_THAT(page, HasSubstr("\"head\": -1, \"row\": 4"));
  EXPECT_THAT(page, HasSubstr("a.png → &lt;b&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<b>")));
  EXPECT_THAT(page, Not(HasSubstr("{{")));
  EXPECT_THAT(page, Not(HasSubstr("href=")));
}

}  // namespace
}  // namespace qkv

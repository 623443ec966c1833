#include "qkv/view/png.h"

#include "view/sample.h"
#include <gtest/gtest.h>
#include <png.h>

#include "qkv/base/error.h"
#include "qkv/view/canvas.h"
#include "qkv/view/font.h"

namespace qkv {
namespace {

struct Decoded {
  int width = 0, height = 0;
  std::vector<std::uint8_t> pixels;

  Colour at(int x, int y) const {
    const auto i = static_cast<std::size_t>((y * width + x) * 3);
    return {pixels[i], pixels[i + 1], pixels[i + 2]};
  }
};

Decoded decode(const std::string& bytes) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  EXPECT_TRUE(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()))
      << image.message;
  image.format = PNG_FORMAT_RGB;
  Decoded picture{static_cast<int>(image.width), static_cast<int>(image.height), {}};
  picture.pixels.resize(PNG_IMAGE_SIZE(image));
  EXPECT_TRUE(png_image_finish_read(&image, nullptr, picture.pixels.data(), 0, nullptr))
      << image.message;
  EXPECT_EQ(image.warning_or_error, 0U) << image.message;
  return picture;
}

TEST(Png, DecodesBackToExactCells) {
  HeatMap map = map_of({"狗", "</s>"}, {"the", "dog", "groß"}, {0.25f, 0.5f, 0, 0, 1, 0.75f});
  map.title = "Wörter";
  const PngOptions options{.scale = 1.0, .cell = 10};
  const PngLayout layout = png_layout(map, options);
  EXPECT_EQ(layout.cell, 10);
  const Decoded picture = decode(png_heat_map(map, options));
  EXPECT_EQ(picture.width, layout.width);
  EXPECT_EQ(picture.height, layout.height);
  for (int y = 0; y < 20; ++y) {
    for (int x = 0; x < 30; ++x) {
      const float value =
          map.at(static_cast<std::size_t>(y / 10), static_cast<std::size_t>(x / 10));
      ASSERT_EQ(picture.at(layout.x + x, layout.y + y),
                ramp_colour(Ramp::paper, static_cast<double>(value)))
          << x << " " << y;
    }
  }
  EXPECT_EQ(picture.at(0, 0), (Colour{255, 255, 255}));
}

TEST(Png, KeepsAllLabelsAsText) {
  HeatMap map = map_of({"狗", "</s>"}, {"the"}, {0, 1});
  map.title = "一";
  const std::string bytes = png_heat_map(map);
  EXPECT_NE(bytes.find("#0 狗\n#1 </s>"), std::string::npos);
  EXPECT_NE(bytes.find("#0 the"), std::string::npos);
  EXPECT_NE(bytes.find("Title"), std::string::npos);
}

TEST(Png, EmptySingleAndLong) {
  EXPECT_GT(decode(png_heat_map(map_of({}, {}, {}))).width, 0);
  const HeatMap one = map_of({"a"}, {"b"}, {1});
  const PngLayout layout = png_layout(one);
  EXPECT_EQ(decode(png_heat_map(one)).at(layout.x, layout.y), ramp_colour(Ramp::paper, 1.0));
  const Decoded large = decode(png_heat_map(diagonal(450)));
  EXPECT_LT(large.width, 1400);
}

TEST(Png, RefusesNanAndAbsurdCells) {
  EXPECT_THROW(png_heat_map(map_of({"a"}, {"b"}, {kNan})), NumericError);
  EXPECT_THROW(png_heat_map(map_of({"a"}, {"b"}, {1}), {.cell = 201}), Error);
  EXPECT_THROW(png_heat_map(map_of({"a"}, {"b"}, {1}), {.cell = -1}), Error);
}

std::string drawn(const Glyph& glyph) {
  std::string art;
  for (std::size_t y = 0; y < kGlyphRows; ++y) {
    for (std::size_t x = 0; x < kGlyphWidth; ++x) art += glyph.at(x, y) ? '#' : '.';
    art += '\n';
  }
  return art;
}

TEST(Font, DrawsAsciiAndMarks) {
  const auto glyphs = glyphs_of("Fö");
  ASSERT_TRUE(glyphs);
  ASSERT_EQ(glyphs->size(), 2U);
  EXPECT_EQ(drawn((*glyphs)[0]),
            ".....\n.....\n#####\n#....\n#....\n####.\n#....\n#....\n#....\n.....\n");
  EXPECT_EQ(drawn((*glyphs)[1]),
            ".....\n.#.#.\n.....\n.....\n.###.\n#...#\n#...#\n#...#\n.###.\n.....\n");
  EXPECT_EQ(glyphs_of("o\u0308")->size(), 1U);  // the same in two code points
}

TEST(Font, KnowsWhatItLacks) {
  for (char c = ' '; c < 0x7F; ++c) EXPECT_TRUE(glyphs_of(std::string(1, c))) << c;
  EXPECT_TRUE(glyphs_of("▁café “ß” – …"));
  EXPECT_FALSE(glyphs_of("草"));
  EXPECT_FALSE(glyphs_of("a草"));
  EXPECT_FALSE(glyphs_of("\t"));
  EXPECT_TRUE(glyphs_of(""));
  EXPECT_EQ(text_pixels("abc", 2), 36);
  EXPECT_EQ(text_pixels("草", 2), -1);
}

TEST(Font, NoTwoAsciiGlyphsAreEqual) {
  for (char a = ' '; a < 0x7F; ++a) {
    for (char b = static_cast<char>(a + 1); b < 0x7F; ++b) {
      EXPECT_NE(drawn(glyphs_of(std::string(1, a))->front()),
                drawn(glyphs_of(std::string(1, b))->front()))
          << a << b;
    }
  }
}

TEST(Canvas, CutsWhatLiesOutside) {
  Canvas canvas(8, 8);
  canvas.fill(-5, -5, 7, 7, {255, 0, 0});
  canvas.fill(6, 6, 100, 100, {0, 255, 0});
  canvas.text(-3, 5, "WWW", {0, 0, 0}, 3);
  const Decoded picture = decode(canvas.png());
  EXPECT_EQ(picture.at(0, 0), (Colour{255, 0, 0}));
  EXPECT_THROW(Canvas(0, 5), Error);
  EXPECT_THROW(Canvas(100'000, 100'000), Error);
}

}  // namespace
}  // namespace qkv

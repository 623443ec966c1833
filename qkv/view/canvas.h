// A picture of 8-bit RGB pixels with what heat maps and graphs need: rectangles, lines, small text.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/media/png.h"
#include "qkv/view/colour.h"

namespace qkv {

class Canvas {
 public:
  Canvas(int width, int height, Colour background = {255, 255, 255});

  int width() const { return width_; }
  int height() const { return height_; }

  /// What lies outside the picture is cut off.
  void fill(int x, int y, int width, int height, Colour colour);
  /// A line with round ends whose pixels have their middles within width/2 of it, places counted in
  /// pixels; from a point to itself it is a disc.
  void line(double x0, double y0, double x1, double y1, double width, Colour colour);

  enum class Turn { none, up };  // up: read from the bottom to the top
  /// Draws `text` from (x, y): the top left corner of its first letter, or, turned up, its bottom
  /// left. `scale` is the pixels of a dot of the font. Text that the font lacks is not drawn.
  void text(int x, int y, std::string_view text, Colour colour, int scale, Turn turn = Turn::none);

  /// A PNG file; `texts` are (keyword, UTF-8 text) chunks. Throws Error when libpng fails.
  std::string png(std::span<const PngText> texts = {}) const;

 private:
  int width_, height_;
  std::vector<std::uint8_t> pixels_;
};

/// Pixels of a text across, or -1 when the font lacks a character of it.
int text_pixels(std::string_view text, int scale);

}  // namespace qkv

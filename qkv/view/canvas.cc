#include "qkv/view/canvas.h"

#include <algorithm>
#include <cmath>

#include "qkv/base/error.h"
#include "qkv/view/font.h"

namespace qkv {

Canvas::Canvas(int width, int height, Colour background) : width_(width), height_(height) {
  // 64 million pixels are 192 MB; a heat map needs a hundredth.
  if (width < 1 || height < 1 || static_cast<std::int64_t>(width) * height > 64'000'000) {
    fail("picture: {} × {} pixels", width, height);
  }
  pixels_.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
  fill(0, 0, width, height, background);
}

void Canvas::fill(int x, int y, int width, int height, Colour colour) {
  const int right = std::min(x + width, width_), bottom = std::min(y + height, height_);
  for (int py = std::max(y, 0); py < bottom; ++py) {
    for (int px = std::max(x, 0); px < right; ++px) {
      const std::size_t at = (static_cast<std::size_t>(py) * static_cast<std::size_t>(width_) +
                              static_cast<std::size_t>(px)) *
                             3;
      pixels_[at] = colour.red;
      pixels_[at + 1] = colour.green;
      pixels_[at + 2] = colour.blue;
    }
  }
}

void Canvas::line(double x0, double y0, double x1, double y1, double width, Colour colour) {
  const double dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy, reach = width / 2;
  const auto first = [&](double a, double b) {
    return std::max(0, static_cast<int>(std::floor(std::min(a, b) - reach)));
  };
  const auto last = [&](double a, double b, int end) {
    return std::min(end, static_cast<int>(std::ceil(std::max(a, b) + reach)) + 1);
  };
  for (int y = first(y0, y1); y < last(y0, y1, height_); ++y) {
    for (int x = first(x0, x1); x < last(x0, x1, width_); ++x) {
      const double px = x + 0.5 - x0, py = y + 0.5 - y0;
      const double along = length > 0 ? std::clamp((px * dx + py * dy) / length, 0.0, 1.0) : 0.0;
      if (std::hypot(px - along * dx, py - along * dy) <= reach) fill(x, y, 1, 1, colour);
    }
  }
}

void Canvas::text(int x, int y, std::string_view text, Colour colour, int scale, Turn turn) {
  const auto glyphs = glyphs_of(text);
  if (!glyphs) return;
  int along = 0;
  for (const Glyph& glyph : *glyphs) {
    for (std::size_t gy = 0; gy < kGlyphRows; ++gy) {
      for (std::size_t gx = 0; gx < kGlyphWidth; ++gx) {
        if (!glyph.at(gx, gy)) continue;
        const int a = along + static_cast<int>(gx) * scale;
        const int down = (static_cast<int>(gy) - static_cast<int>(kGlyphAbove)) * scale;
        if (turn == Turn::none) {
          fill(x + a, y + down, scale, scale, colour);
        } else {
          fill(x + down, y - a - scale, scale, scale, colour);
        }
      }
    }
    along += static_cast<int>(kGlyphAdvance) * scale;
  }
}

std::string Canvas::png(std::span<const PngText> texts) const {
  return encode_png(pixels_, 3, height_, width_, texts);
}

int text_pixels(std::string_view text, int scale) {
  const auto glyphs = glyphs_of(text);
  if (!glyphs) return -1;
  return static_cast<int>(glyphs->size() * kGlyphAdvance) * scale;
}

}  // namespace qkv

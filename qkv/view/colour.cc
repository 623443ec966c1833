#include "qkv/view/colour.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/core.h>

namespace qkv {
namespace {

constexpr std::array<Colour, 5> kPaper = {
    {{255, 249, 243}, {254, 214, 180}, {246, 146, 100}, {209, 58, 50}, {103, 4, 28}}};
constexpr std::array<Colour, 5> kNight = {
    {{24, 24, 38}, {82, 32, 108}, {176, 52, 102}, {240, 128, 56}, {254, 240, 168}}};

std::uint8_t between(std::uint8_t a, std::uint8_t b, double t) {
  return static_cast<std::uint8_t>(std::lround(a + (b - a) * t));
}

int squared_distance(Colour a, Colour b) {
  const int red = a.red - b.red, green = a.green - b.green, blue = a.blue - b.blue;
  return red * red + green * green + blue * blue;
}

Colour of_palette(int index) {
  if (index >= 232) {
    const auto grey = static_cast<std::uint8_t>(8 + 10 * (index - 232));
    return {grey, grey, grey};
  }
  const auto level = [](int i) { return static_cast<std::uint8_t>(i == 0 ? 0 : 55 + 40 * i); };
  const int i = index - 16;
  return {level(i / 36), level(i / 6 % 6), level(i % 6)};
}

}  // namespace

Colour ramp_colour(Ramp ramp, double t) {
  const auto& anchors = ramp == Ramp::paper ? kPaper : kNight;
  if (!(t > 0.0)) return anchors.front();
  if (t >= 1.0) return anchors.back();
  const double place = t * static_cast<double>(anchors.size() - 1);
  const auto i = static_cast<std::size_t>(place);
  const double part = place - std::floor(place);
  const Colour a = anchors[i], b = anchors[i + 1];
  return {between(a.red, b.red, part), between(a.green, b.green, part),
          between(a.blue, b.blue, part)};
}

Colour readable_on(Colour background) {
  // Rec. 601 luma; 140 of 255 parts the two on both ramps.
  const double luma = 0.299 * background.red + 0.587 * background.green + 0.114 * background.blue;
  return luma > 140.0 ? Colour{0, 0, 0} : Colour{255, 255, 255};
}

std::string hex(Colour colour) {
  return fmt::format("#{:02x}{:02x}{:02x}", colour.red, colour.green, colour.blue);
}

int palette_index(Colour colour) {
  int best = 16;
  for (int i = 17; i < 256; ++i) {
    if (squared_distance(of_palette(i), colour) < squared_distance(of_palette(best), colour)) {
      best = i;
    }
  }
  return best;
}

}  // namespace qkv

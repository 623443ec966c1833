// Colours of weights: two ramps of even steps in lightness, one for paper, one for dark screens.
#pragma once

#include <cstdint>
#include <string>

namespace qkv {

struct Colour {
  std::uint8_t red = 0, green = 0, blue = 0;
  bool operator==(const Colour&) const = default;
};

enum class Ramp {
  paper,  // near white (0) to dark red (1)
  night,  // near black (0) over violet and orange to light yellow (1)
};

/// t in [0, 1]; values outside are clamped, NaN is 0.
Colour ramp_colour(Ramp ramp, double t);

/// Black or white, whichever is easier to read on it.
Colour readable_on(Colour background);

/// "#b22222"
std::string hex(Colour colour);

/// The nearest entry of the terminal's 6×6×6 cube or grey ramp, 16 … 255.
int palette_index(Colour colour);

}  // namespace qkv

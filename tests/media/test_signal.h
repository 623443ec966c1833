// The signal that golden values of frames are computed from: a rising tone, a steady one, noise,
// half a thousand samples of silence with a click; 4000 samples.
#pragma once

#include <cmath>
#include <numbers>

#include "media/fill.h"

#include "qkv/media/sound.h"

namespace qkv {

inline Sound test_signal(int rate) {
  Sound sound{rate, {}};
  Lcg noise(1);
  constexpr double kTurn = 2 * std::numbers::pi;
  for (int n = 0; n < 4000; ++n) {
    const double t = static_cast<double>(n) / rate;
    double x = 0.3 * std::sin(kTurn * (300 * t + 450 * t * t)) + 0.15 * std::sin(kTurn * 0.29 * n) +
               0.02 * noise.next();
    if (n >= 2000 && n < 2500) x = n == 2250 ? 0.5 : 0;
    sound.samples.push_back(static_cast<float>(x));
  }
  return sound;
}

}  // namespace qkv

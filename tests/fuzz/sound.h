// Any bytes as a recording, and its frames.
#pragma once

#include <cmath>
#include <vector>

#include "fuzz/target.h"
#include "media/sound_bytes.h"

#include "qkv/base/error.h"
#include "qkv/media/sound.h"

namespace qkv {

inline void fuzz_sound(std::string_view bytes) {
  try {
    const Sound sound = decode_sound(bytes, "fuzz", {.most_samples = 1 << 18});
    fuzz_require(sound.rate > 0, "no rate");
    fuzz_require(sound.samples.size() <= 1 << 18, "more than allowed");
    for (const float v : sound.samples) fuzz_require(std::isfinite(v), "not finite");
  } catch (const Error&) {
  }
}

inline std::vector<std::string> sound_seeds() {
  std::vector<float> x;
  for (int i = 0; i < 300; ++i) x.push_back(static_cast<float>(0.4 * std::sin(0.1 * i)));
  return {riff(wave_format(8000, 1, 16) + riff_chunk("junk", "abc") + riff_chunk("data", "abcdef")),
          sound_bytes(SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 2, x),
          sound_bytes(SF_FORMAT_WAV | SF_FORMAT_ULAW, 8000, 1, x),
          sound_bytes(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16000, 1, x)};
}

}  // namespace qkv

#include "qkv/systems/sound_look.h"

#include "qkv/systems/sound_model.h"

namespace qkv {

SoundAttention look_along(const SoundSystem& system, const Sound& sound) {
  const FrameOptions& how = system.model().frames;
  SoundAttention seen{.maps = system.attention(sound)};
  seen.frames = SoundFrames(how)(sound.rate == how.rate ? sound : resampled(sound, how.rate));
  seen.seconds = static_cast<double>(seen.frames.dim(0)) * how.hop_ms / 1000;
  seen.highest = how.rate / 2.0;
  return seen;
}

}  // namespace qkv

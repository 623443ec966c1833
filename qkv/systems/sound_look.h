// What a model of sounds attends to along a sound's spectrogram.
#pragma once

#include "qkv/systems/sounds.h"
#include "qkv/view/sound_attention.h"

namespace qkv {

/// The sound as the model heard it, with all maps of SoundSystem::attention().
SoundAttention look_along(const SoundSystem& system, const Sound& sound);

}  // namespace qkv

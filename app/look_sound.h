// qkv look at a sound: attention along the spectrogram.
#pragma once

#include <optional>
#include <string>

#include "app/command.h"

#include "qkv/systems/sounds.h"
#include "qkv/view/sound_attention.h"

namespace qkv::app {

/// In the terminal, or with `output` as .svg, .png, .json (all maps) or .html (with choosers). A
/// kind that was not asked for is the first that the model has of cross and encoder.
void look_at_sound(const SoundSystem& system, const std::string& file, SoundLook look,
                   const std::string& output, Program& program);

}  // namespace qkv::app

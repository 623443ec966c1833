// The web page of sound_attention.h, as it stands in the program. Plain HTML, CSS and JavaScript.
#pragma once

#include <string_view>

namespace qkv {

/// Holds {{title}} and then {{data}}, each once.
extern const std::string_view kSoundPage;

}  // namespace qkv

// How the rows of a sound become a text.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace qkv {

enum class SpeechMethod : std::uint8_t {
  ctc,        ///< a label or a blank for every row
  attention,  ///< a decoder that spells
  joint,      ///< both on one encoder
};
constexpr std::array<std::string_view, 3> spelling(SpeechMethod) {
  return {"ctc", "attention", "joint"};
}

}  // namespace qkv

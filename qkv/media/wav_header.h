// What a WAV promises, beside what libsndfile gives: that library takes what is there and says
// nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace qkv {

struct WavClaim {
  std::uint64_t claimed = 0, there = 0;  // bytes of sound
};
/// Of a RIFF file whose chunk "data" says more bytes than the file has; nothing for one that is
/// whole, of unknown length (0xFFFFFFFF, as pipes write it), or no RIFF.
std::optional<WavClaim> cut_wav(std::string_view bytes);

}  // namespace qkv

#include "qkv/media/wav_header.h"

namespace qkv {
namespace {

std::uint32_t little_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  }
  return value;
}

}  // namespace

std::optional<WavClaim> cut_wav(std::string_view bytes) {
  constexpr std::size_t kHead = 12, kChunk = 8;  // "RIFF" size "WAVE"; name size
  constexpr std::uint32_t kUnknown = 0xFFFFFFFF;
  if (bytes.size() < kHead || !bytes.starts_with("RIFF") || bytes.substr(8, 4) != "WAVE") return {};
  for (std::uint64_t at = kHead; at + kChunk <= bytes.size();) {
    const auto place = static_cast<std::size_t>(at);
    const std::uint32_t size = little_endian(bytes, place + 4);
    if (bytes.substr(place, 4) == "data") {
      const std::uint64_t there = bytes.size() - at - kChunk;
      if (size == kUnknown || size <= there) return {};
      return WavClaim{size, there};
    }
    at += kChunk + std::uint64_t{size} + (size & 1);  // chunks begin at even places
  }
  return {};
}

}  // namespace qkv

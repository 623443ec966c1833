// Sound as every reader of this room gives it: one channel of floats at a rate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

/// Samples that a recording may have: 4.6 hours at 16 kHz.
inline constexpr std::int64_t kMostSamples = std::int64_t{1} << 28;

struct Sound {
  int rate = 0;                // samples a second
  std::vector<float> samples;  // in [−1, 1) where the file has whole numbers
};

struct SoundReading {
  int rate = 0;                              // samples a second; 0: the file's own
  std::int64_t most_samples = kMostSamples;  // of all channels together
};

/// Whatever libsndfile reads: WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF … PCM of n bits becomes
/// v/2ⁿ⁻¹, floats stay (and may exceed 1), several channels become their mean, another rate is
/// converted by resampled(). A file without samples is an empty sound.
///
/// Throws FileError when the file cannot be read, DataError (naming it) when it is no sound, is
/// damaged or too long, or holds NaN or infinity. A file that is cut short gives the samples that
/// are there, and notice() says what is missing.
Sound read_sound(const std::filesystem::path& path, const SoundReading& how = {});
/// The same from a file's bytes; `name` is what messages call it.
Sound decode_sound(std::string_view bytes, std::string_view name, const SoundReading& how = {});

/// At another rate, by libsamplerate's SRC_SINC_MEDIUM_QUALITY in one call, so that the bits do not
/// depend on blocks; ⌊L · rate / sound.rate⌋ ± 1 samples. Throws Error for rates below 1 or further
/// apart than 256 to 1.
Sound resampled(const Sound& sound, int rate);

/// 16-bit mono WAV, samples rounded to v/32768 and clamped. For tests and for listening.
std::string encode_wav(const Sound& sound);

}  // namespace qkv

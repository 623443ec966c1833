#include "qkv/media/sound.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <mutex>

#include <samplerate.h>
#include <sndfile.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/notice.h"
#include "qkv/media/wav_header.h"

namespace qkv {
namespace {

/// A file in memory, as libsndfile asks for it.
struct Memory {
  std::string_view bytes;
  sf_count_t at = 0;

  sf_count_t size() const { return static_cast<sf_count_t>(bytes.size()); }
};

sf_count_t length(void* user) { return static_cast<Memory*>(user)->size(); }
sf_count_t tell(void* user) { return static_cast<Memory*>(user)->at; }
sf_count_t seek(sf_count_t offset, int whence, void* user) {
  auto* file = static_cast<Memory*>(user);
  const sf_count_t base = whence == SEEK_CUR ? file->at : whence == SEEK_END ? file->size() : 0;
  // Offsets come from the file, too.
  if (offset < -base || offset > file->size() - base) return -1;
  return file->at = base + offset;
}
sf_count_t read(void* to, sf_count_t count, void* user) {
  auto* file = static_cast<Memory*>(user);
  const sf_count_t n = std::clamp<sf_count_t>(count, 0, file->size() - file->at);
  std::memcpy(to, file->bytes.data() + file->at, static_cast<std::size_t>(n));
  file->at += n;
  return n;
}
sf_count_t no_write(const void* /*from*/, sf_count_t /*count*/, void* /*user*/) { return 0; }

struct Close {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using Open = std::unique_ptr<SNDFILE, Close>;

Open open(Memory& memory, SF_INFO& info, std::string_view name) {
  SF_VIRTUAL_IO calls = {
      .get_filelen = length, .seek = seek, .read = read, .write = no_write, .tell = tell};
  // Why a file cannot be opened is kept in one place for the process.
  static std::mutex lock;
  const std::lock_guard guard(lock);
  Open file(sf_open_virtual(&calls, SFM_READ, &info, &memory));
  if (!file) {
    std::string reason = sf_strerror(nullptr);
    while (!reason.empty() && (reason.back() == '\n' || reason.back() == '.')) reason.pop_back();
    throw DataError(name, 0, fmt::format("no sound that can be read: {}", reason));
  }
  return file;
}

void check(const SF_INFO& info, std::string_view name) {
  constexpr int kMostRate = 10'000'000, kMostChannels = 256;
  if (info.samplerate < 1 || info.samplerate > kMostRate) {
    throw DataError(name, 0, fmt::format("has {} samples a second", info.samplerate));
  }
  if (info.channels < 1 || info.channels > kMostChannels) {
    throw DataError(name, 0, fmt::format("has {} channels", info.channels));
  }
}

/// The mean of the channels of each frame.
std::vector<float> read_mono(SNDFILE* file, const SF_INFO& info, std::string_view name,
                             const SoundReading& how) {
  constexpr std::size_t kBlock = 4096;
  const auto channels = static_cast<std::size_t>(info.channels);
  std::vector<float> block(kBlock * channels), samples;
  const auto most = static_cast<std::size_t>(how.most_samples) / channels;
  for (;;) {
    const auto frames = static_cast<std::size_t>(std::max<sf_count_t>(
        0, sf_readf_float(file, block.data(), static_cast<sf_count_t>(kBlock))));
    if (frames == 0) return samples;
    if (samples.size() + frames > most) {
      throw DataError(
          name, 0, fmt::format("has more than {} samples; cut it into pieces", how.most_samples));
    }
    for (std::size_t i = 0; i < frames; ++i) {
      double sum = 0;
      for (std::size_t c = 0; c < channels; ++c)
        sum += static_cast<double>(block[i * channels + c]);
      samples.push_back(static_cast<float>(sum / static_cast<double>(channels)));
      if (!std::isfinite(samples.back())) {
        throw DataError(name, 0,
                        fmt::format("sample {} is {}", samples.size() - 1, samples.back()));
      }
    }
  }
}

void say_what_is_missing(std::string_view bytes, std::string_view name, const SF_INFO& info,
                         std::size_t frames) {
  if (const std::optional<WavClaim> cut = cut_wav(bytes)) {
    notice(fmt::format("{}: promises {} bytes of sound, {} are there: it is cut short", name,
                       cut->claimed, cut->there));
  } else if (info.frames > static_cast<sf_count_t>(frames) && info.frames < SF_COUNT_MAX) {
    notice(fmt::format("{}: promises {} samples, {} could be decoded: it is cut short or damaged",
                       name, info.frames, frames));
  }
}

void append(std::string& bytes, std::uint32_t number, int size) {
  for (int i = 0; i < size; ++i) bytes += static_cast<char>(number >> (8 * i) & 0xFF);
}

}  // namespace

Sound read_sound(const std::filesystem::path& path, const SoundReading& how) {
  return decode_sound(read_file(path), path.string(), how);
}

Sound decode_sound(std::string_view bytes, std::string_view name, const SoundReading& how) {
  if (bytes.empty()) throw DataError(name, 0, "is empty, expected a sound");
  Memory memory{bytes};
  SF_INFO info{};
  const Open file = open(memory, info, name);
  check(info, name);
  Sound sound{info.samplerate, read_mono(file.get(), info, name, how)};
  say_what_is_missing(bytes, name, info, sound.samples.size());
  return how.rate == 0 || how.rate == sound.rate ? sound : resampled(sound, how.rate);
}

Sound resampled(const Sound& sound, int rate) {
  if (rate < 1 || sound.rate < 1) fail("sound: from {} to {} samples a second", sound.rate, rate);
  Sound out{rate, {}};
  if (sound.samples.empty()) return out;
  const double ratio = static_cast<double>(rate) / sound.rate;
  if (src_is_valid_ratio(ratio) == 0) {
    fail("sound: from {} to {} samples a second is too far", sound.rate, rate);
  }
  const double expected = std::floor(static_cast<double>(sound.samples.size()) * ratio);
  if (expected > static_cast<double>(kMostSamples)) {
    fail("sound: {} samples at {} samples a second are too many", expected, rate);
  }
  out.samples.resize(static_cast<std::size_t>(expected) + 2);
  SRC_DATA data{};
  data.data_in = sound.samples.data();
  data.input_frames = static_cast<long>(sound.samples.size());  // NOLINT: libsamplerate's type
  data.data_out = out.samples.data();
  data.output_frames = static_cast<long>(out.samples.size());  // NOLINT
  data.src_ratio = ratio;
  if (const int error = src_simple(&data, SRC_SINC_MEDIUM_QUALITY, 1); error != 0) {
    fail("sound: libsamplerate: {}", src_strerror(error));
  }
  out.samples.resize(static_cast<std::size_t>(data.output_frames_gen));
  return out;
}

std::string encode_wav(const Sound& sound) {
  const auto size = static_cast<std::uint32_t>(2 * sound.samples.size());
  const auto rate = static_cast<std::uint32_t>(sound.rate);
  std::string bytes = "RIFF";
  append(bytes, 36 + size, 4);
  bytes += "WAVEfmt ";
  append(bytes, 16, 4);
  append(bytes, 1, 2);  // PCM
  append(bytes, 1, 2);  // a channel
  append(bytes, rate, 4);
  append(bytes, 2 * rate, 4);
  append(bytes, 2, 2);  // bytes a frame
  append(bytes, 16, 2);
  bytes += "data";
  append(bytes, size, 4);
  for (const float sample : sound.samples) {
    const double v = std::clamp(std::round(static_cast<double>(sample) * 32768), -32768.0, 32767.0);
    append(bytes, static_cast<std::uint32_t>(static_cast<std::int32_t>(v)), 2);
  }
  return bytes;
}

}  // namespace qkv

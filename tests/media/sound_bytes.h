// Sound files of any format, by libsndfile, and WAV files with what is wrong with them in the wild.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <sndfile.h>

namespace qkv {

/// The bytes of a file of a format (SF_FORMAT_…), frames of `channels` numbers one after another.
inline std::string sound_bytes(int format, int rate, int channels, std::vector<float> samples) {
  struct Memory {
    std::string bytes;
    std::size_t at = 0;
  } memory;
  SF_VIRTUAL_IO calls = {};
  calls.get_filelen = [](void* user) {
    return static_cast<sf_count_t>(static_cast<Memory*>(user)->bytes.size());
  };
  calls.tell = [](void* user) { return static_cast<sf_count_t>(static_cast<Memory*>(user)->at); };
  calls.seek = [](sf_count_t offset, int whence, void* user) {
    auto* file = static_cast<Memory*>(user);
    const std::size_t base = whence == SEEK_CUR   ? file->at
                             : whence == SEEK_END ? file->bytes.size()
                                                  : 0;
    file->at = base + static_cast<std::size_t>(offset);
    return static_cast<sf_count_t>(file->at);
  };
  calls.read = [](void* to, sf_count_t count, void* user) {
    auto* file = static_cast<Memory*>(user);
    const std::size_t n = std::min(static_cast<std::size_t>(count), file->bytes.size() - file->at);
    std::memcpy(to, file->bytes.data() + file->at, n);
    file->at += n;
    return static_cast<sf_count_t>(n);
  };
  calls.write = [](const void* from, sf_count_t count, void* user) {
    auto* file = static_cast<Memory*>(user);
    const auto n = static_cast<std::size_t>(count);
    file->bytes.resize(std::max(file->bytes.size(), file->at + n));
    std::memcpy(file->bytes.data() + file->at, from, n);
    file->at += n;
    return count;
  };
  SF_INFO info{};
  info.samplerate = rate;
  info.channels = channels;
  info.format = format;
  SNDFILE* file = sf_open_virtual(&calls, SFM_WRITE, &info, &memory);
  if (file == nullptr) return {};
  sf_command(file, SFC_SET_CLIPPING, nullptr, SF_TRUE);
  sf_writef_float(file, samples.data(), static_cast<sf_count_t>(samples.size()) / channels);
  sf_close(file);
  return memory.bytes;
}

/// A chunk of a RIFF file with a size that may lie; padded to even unless told.
inline std::string riff_chunk(const std::string& name, const std::string& body,
                              std::int64_t size = -1, bool pad = true) {
  const auto told =
      static_cast<std::uint32_t>(size < 0 ? static_cast<std::int64_t>(body.size()) : size);
  std::string bytes = name;
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(told >> (8 * i) & 0xFF);
  bytes += body;
  if (pad && body.size() % 2 == 1) bytes += '\0';
  return bytes;
}
inline std::string wave_format(int rate, int channels, int bits, int tag = 1) {
  std::string body;
  const auto put = [&body](int value, int size) {
    for (int i = 0; i < size; ++i) body += static_cast<char>(value >> (8 * i) & 0xFF);
  };
  put(tag, 2);
  put(channels, 2);
  put(rate, 4);
  put(rate * channels * bits / 8, 4);
  put(channels * bits / 8, 2);
  put(bits, 2);
  return riff_chunk("fmt ", body);
}
inline std::string riff(const std::string& chunks) {
  return riff_chunk("RIFF", "WAVE" + chunks, -1, false);
}

}  // namespace qkv

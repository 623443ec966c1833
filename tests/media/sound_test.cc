// Recordings of every kind, whole and broken, against samples known beforehand.
#include "qkv/media/sound.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "data/notices.h"
#include "media/fill.h"
#include "media/sound_bytes.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"

namespace qkv {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Sound decoded(const std::string& bytes, const SoundReading& how = {}) {
  return decode_sound(bytes, "x.wav", how);
}
std::string why(const std::string& bytes, const SoundReading& how = {}) {
  try {
    (void)decoded(bytes, how);
  } catch (const DataError& error) {
    return error.what();
  }
  return "read";
}

const std::string kThree = "\1\0\0\x80\xFF\x7F"s;  // 1, −32768, 32767

TEST(Sound, WhatIsWrittenIsReadBack) {
  Sound sound{8000, {0, 0.5F, -1, 32767.0F / 32768}};
  const Temporary folder;
  write_file(folder / "a.wav", encode_wav(sound));
  const Sound again = read_sound(folder / "a.wav");
  EXPECT_EQ(again.rate, 8000);
  EXPECT_EQ(again.samples, sound.samples);
  EXPECT_THROW(read_sound(folder / "none.wav"), FileError);
}

TEST(Sound, PcmOfAnyBits) {
  const auto wav = [](int bits, const std::string& data) {
    return decoded(riff(wave_format(8000, 1, bits) + riff_chunk("data", data))).samples;
  };
  EXPECT_THAT(wav(8, "\0\x80\xC0\xFF"s), ElementsAre(-1, 0, 0.5F, 127.0F / 128));
  EXPECT_THAT(wav(16, kThree), ElementsAre(1.0F / 32768, -1, 32767.0F / 32768));
  EXPECT_THAT(wav(24, "\0\0\x40\0\0\x80"s), ElementsAre(0.5F, -1));
  EXPECT_THAT(wav(32, "\0\0\0\x40\0\0\0\x80"s), ElementsAre(0.5F, -1));
}

TEST(Sound, FloatsMayExceedOneButMustBeFinite) {
  const auto of = [](float v) {
    return sound_bytes(SF_FORMAT_WAV | SF_FORMAT_FLOAT, 8000, 1, {0.25F, v});
  };
  EXPECT_THAT(decoded(of(3.5F)).samples, ElementsAre(0.25F, 3.5F));
  EXPECT_THAT(why(of(std::nanf(""))), HasSubstr("x.wav: sample 1 is nan"));
  EXPECT_THAT(why(of(std::numeric_limits<float>::infinity())), HasSubstr("sample 1 is inf"));
}

TEST(Sound, ChannelsAreAveraged) {
  const std::string bytes =
      riff(wave_format(8000, 2, 16) + riff_chunk("data", "\0\x40\0\0\0\x80\0\x40"s));
  EXPECT_THAT(decoded(bytes).samples, ElementsAre(0.25F, -0.25F));
}

TEST(Sound, FlacOggAndAiff) {
  std::vector<float> x;
  for (int i = 0; i < 4000; ++i) x.push_back(static_cast<float>(0.5 * std::sin(0.05 * i)));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::round(x[i] * 32768) / 32768;
  for (const int format : {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, SF_FORMAT_AIFF | SF_FORMAT_PCM_16}) {
    const Sound sound = decoded(sound_bytes(format, 16000, 1, x));
    EXPECT_EQ(sound.rate, 16000);
    EXPECT_EQ(sound.samples, x);
  }
  const Sound lossy = decoded(sound_bytes(SF_FORMAT_OGG | SF_FORMAT_VORBIS, 16000, 1, x));
  ASSERT_EQ(lossy.samples.size(), x.size());
  double off = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    off += std::abs(static_cast<double>(lossy.samples[i] - x[i]));
  }
  EXPECT_LT(off / 4000, 0.02);
}

TEST(Sound, OddFilesThatAreRead) {
  const std::string format = wave_format(8000, 1, 16), data = riff_chunk("data", kThree);
  const Notices notices;
  EXPECT_EQ(decoded(riff(format + riff_chunk("junk", "abc") + data)).samples.size(), 3U);
  EXPECT_EQ(decoded(riff(format + data + riff_chunk("LIST", "INFOxxxx"))).samples.size(), 3U);
  EXPECT_EQ(decoded(riff(format + riff_chunk("data", ""))).samples.size(), 0U);
  std::string wrong = riff(format + data);
  wrong[4] = '\x01';
  EXPECT_EQ(decoded(wrong).samples.size(), 3U);
  EXPECT_EQ(decoded(riff(format + riff_chunk("data", kThree, 0xFFFFFFFF))).samples.size(), 3U)
      << "a stream does not know its length";
  EXPECT_THAT(notices.lines, IsEmpty());
}

TEST(Sound, CutShortIsReadAndSaid) {
  const std::string format = wave_format(8000, 1, 16);
  const Notices notices;
  EXPECT_EQ(decoded(riff(format + riff_chunk("data", kThree, 1000))).samples.size(), 3U);
  ASSERT_EQ(notices.lines.size(), 1U);
  EXPECT_EQ(notices.lines[0], "x.wav: promises 1000 bytes of sound, 6 are there: it is cut short");
  EXPECT_EQ(decoded(riff(format + riff_chunk("data", kThree + "\1", 8, false))).samples.size(), 3U)
      << "within a sample";
  EXPECT_EQ(notices.lines.size(), 2U);
  std::vector<float> x(20000);
  Lcg noise(1);
  for (float& v : x) v = static_cast<float>(noise.next());
  const std::string flac = sound_bytes(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16000, 1, x);
  const std::size_t samples = decoded(flac.substr(0, flac.size() / 2)).samples.size();
  EXPECT_LT(samples, 20000U);
  EXPECT_GT(samples, 2000U);
  ASSERT_EQ(notices.lines.size(), 3U);
  EXPECT_THAT(notices.lines[2], HasSubstr("promises 20000 samples"));
}

TEST(Sound, BrokenFilesAreNamed) {
  const std::string format = wave_format(8000, 1, 16), data = riff_chunk("data", kThree);
  EXPECT_THAT(why(""), HasSubstr("x.wav: is empty"));
  EXPECT_THAT(why("hello, this is no sound"), HasSubstr("x.wav: no sound that can be read"));
  EXPECT_NE(why(riff(format)), "read");
  EXPECT_NE(why(riff(data + format)), "read");
  EXPECT_NE(why(riff(wave_format(8000, 0, 16) + data)), "read");
  EXPECT_NE(why(riff(wave_format(0, 1, 16) + data)), "read");
  EXPECT_THAT(why(riff(format + data), {.most_samples = 2}), HasSubstr("more than 2 samples"));
}

TEST(Sound, CutAtEveryByteNeverHarms) {
  const std::string whole =
      riff(wave_format(8000, 1, 16) + riff_chunk("junk", "abc") + riff_chunk("data", kThree));
  for (std::size_t size = 0; size <= whole.size(); ++size) (void)why(whole.substr(0, size));
}

TEST(Resampled, AToneKeepsItsPitch) {
  Sound sound{8000, {}};
  for (int n = 0; n < 8000; ++n) {
    sound.samples.push_back(
        static_cast<float>(0.5 * std::sin(2 * std::numbers::pi * 440 * n / 8000)));
  }
  for (const int rate : {16000, 11025, 4000}) {
    const Sound out = resampled(sound, rate);
    EXPECT_EQ(out.rate, rate);
    EXPECT_NEAR(static_cast<double>(out.samples.size()), rate, 1.01) << "a second stays one";
    double off = 0;
    for (int n = rate / 4; n < rate * 3 / 4; ++n) {
      off = std::max(off, std::abs(0.5 * std::sin(2 * std::numbers::pi * 440 * n / rate) -
                                   static_cast<double>(out.samples[static_cast<std::size_t>(n)])));
    }
    EXPECT_LT(off, 1e-3) << rate;
  }
  EXPECT_THAT(resampled(Sound{8000, {}}, 16000).samples, IsEmpty());
  EXPECT_THROW(resampled(sound, 0), Error);
  EXPECT_THROW(resampled(sound, 8000 * 300), Error);
  const Sound read = decode_sound(encode_wav(sound), "x", {.rate = 16000});
  EXPECT_EQ(read.rate, 16000);
}

}  // namespace
}  // namespace qkv

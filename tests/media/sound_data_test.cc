// The recordings of spoken digits as they lie on disk.
#include <filesystem>
#include <numeric>

#include <gtest/gtest.h>

#include "qkv/media/folders.h"
#include "qkv/media/sound.h"
#include "qkv/media/sound_frames.h"

namespace qkv {
namespace {

const std::filesystem::path kRecordings =
    std::filesystem::path(QKV_DATA_DIR) / "spoken-digits" / "recordings";

TEST(SpokenDigits, AreWhatTheirPageSays) {
  if (!std::filesystem::exists(kRecordings)) GTEST_SKIP() << "no " << kRecordings;
  const auto files = files_in(kRecordings, sound_endings());
  EXPECT_EQ(files.size(), 2500U);
  std::size_t all = 0, least = SIZE_MAX, most = 0;
  for (const auto& path : files) {
    const Sound sound = read_sound(path);
    ASSERT_EQ(sound.rate, 8000) << path;
    all += sound.samples.size();
    least = std::min(least, sound.samples.size());
    most = std::max(most, sound.samples.size());
  }
  EXPECT_NEAR(static_cast<double>(all) / 8000, 923.9 + 101.2, 0.1);
  EXPECT_NEAR(static_cast<double>(least) / 8000, 0.143, 0.0006);
  EXPECT_NEAR(static_cast<double>(most) / 8000, 2.283, 0.0006);
  const Sound zero = read_sound(kRecordings / "0_george_0.wav");
  EXPECT_EQ(zero.samples.size(), 2384U);
  EXPECT_EQ(zero.samples[0], -1489.0F / 32768);
  EXPECT_EQ(zero.samples[3], 163.0F / 32768);
  EXPECT_EQ(std::accumulate(zero.samples.begin(), zero.samples.end(), 0.0) * 32768, 4297);
  EXPECT_EQ(SoundFrames({.rate = 8000, .bands = 40})(zero).shape(), Shape({29, 40}));
}

}  // namespace
}  // namespace qkv

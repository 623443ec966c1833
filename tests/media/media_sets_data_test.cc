// The real sets as they lie on disk.
#include <algorithm>
#include <filesystem>

#include <gtest/gtest.h>

#include "qkv/media/media_sets.h"

namespace qkv {
namespace {

const std::filesystem::path kData = QKV_DATA_DIR;

TEST(MediaSetsData, Mnist) {
  const auto path = kData / "mnist" / "t10k-images-idx3-ubyte.gz";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const PictureSet set = read_pictures({path});
  EXPECT_EQ(set.pictures.size(), 10000U);
  EXPECT_EQ(set.classes.size(), 10U);
  EXPECT_EQ(set.labels[0], 7);
  EXPECT_EQ(set.pictures[0].height, 28);
}

TEST(MediaSetsData, Cifar) {
  const auto folder = kData / "cifar10-subset";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  const PictureSet set =
      read_pictures({folder / "data_batch_1.bin.gz", folder / "data_batch_2.bin.gz"});
  EXPECT_EQ(set.pictures.size(), 10000U);
  EXPECT_EQ(set.classes[0], "airplane");
  for (int c = 0; c < 10; ++c) EXPECT_EQ(std::ranges::count(set.labels, c), 1000);
}

TEST(MediaSetsData, SpokenDigits) {
  const auto path = kData / "spoken-digits" / "test.tsv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const SoundSet set = read_sounds({path}, {.sound = {.rate = 8000}, .least_samples = 80});
  EXPECT_EQ(set.sounds.size(), 250U);
  EXPECT_EQ(set.classes.size(), 10U);
}

}  // namespace
}  // namespace qkv

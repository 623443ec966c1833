// The skeleton sets as they lie on disk: the documented counts and splits, features that are
// finite.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include <gtest/gtest.h>

#include "qkv/data/clips.h"
#include "qkv/data/pose_features.h"

namespace qkv {
namespace {

const std::filesystem::path kData = QKV_DATA_DIR;

struct Counts {
  std::size_t clips;
  std::int64_t frames;
};

Counts check(const std::string& set, const std::string& filter, std::string_view skeleton,
             std::int64_t features) {
  const std::vector<Clip> clips = read_clips((kData / set / "clips.txt.gz").string(), filter);
  PoseOptions options = pose_options(clips.front());
  EXPECT_EQ(options.skeleton, skeleton);
  EXPECT_EQ(options.features(), features);
  std::int64_t frames = 0;
  for (const Clip& clip : clips) {
    frames += clip.frames;
    const Poses poses = poses_of(clip, options);
    std::vector<float> x;
    for (const ClipWindow& w : windows_of(clip.frames, options)) {
      append_features(poses, w, options, x);
    }
    EXPECT_TRUE(std::ranges::all_of(x, [](float v) { return std::isfinite(v); })) << clip.id;
  }
  return {clips.size(), frames};
}

TEST(ClipsData, PennAction) {
  if (!std::filesystem::exists(kData / "penn-action-pose")) GTEST_SKIP() << "no data";
  const Counts train = check("penn-action-pose", "train", "penn13", 52);
  const Counts test = check("penn-action-pose", "test", "penn13", 52);
  EXPECT_EQ(train.clips, 1258U);
  EXPECT_EQ(test.clips, 1068U);
  EXPECT_EQ(train.frames + test.frames, 163841);
}

TEST(ClipsData, Jhmdb) {
  if (!std::filesystem::exists(kData / "jhmdb-pose")) GTEST_SKIP() << "no data";
  EXPECT_EQ(check("jhmdb-pose", "1=train", "jhmdb15", 60).clips, 433U);
  EXPECT_EQ(check("jhmdb-pose", "2=train", "jhmdb15", 60).clips, 433U);
  EXPECT_EQ(check("jhmdb-pose", "3=test", "jhmdb15", 60).clips, 175U);
}

TEST(ClipsData, MsrAction) {
  if (!std::filesystem::exists(kData / "msr-action3d")) GTEST_SKIP() << "no data";
  EXPECT_EQ(check("msr-action3d", "train,std", "msr20", 120).clips, 284U);
  EXPECT_EQ(check("msr-action3d", "test,std", "msr20", 120).clips, 273U);
  EXPECT_EQ(check("msr-action3d", "s01|s03|s05|s07|s09,std", "msr20", 120).clips, 284U);
  EXPECT_EQ(check("msr-action3d", "", "msr20", 120).frames, 23478);
}

}  // namespace
}  // namespace qkv

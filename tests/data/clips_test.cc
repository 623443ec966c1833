// Clips of skeletons, their filters, and the features that models read.
#include "qkv/data/clips.h"

#include <cmath>
#include <fstream>
#include <numeric>

#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/data/pose_features.h"

namespace qkv {
namespace {

class Clips : public testing::Test {
 protected:
  std::string file(const std::string& text) {
    const std::filesystem::path path = folder_ / "clips.txt";
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }
  void refused(const std::string& text, const std::string& why) {
    try {
      (void)read_clips(file(text));
      ADD_FAILURE() << "accepted: " << text;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what();
    }
  }
  Temporary folder_;
};

TEST_F(Clips, AreRead) {
  const std::vector<Clip> clips = read_clips(file(
      "clip 7 0 wave s01 train 2 2 2\n1 2 3 4\n-1.5 2e-1 0 4\n\nclip 8 1 sit 1 2 2\n1 2 3 4\n"));
  ASSERT_EQ(clips.size(), 2U);
  EXPECT_EQ(clips[0].id, "7");
  EXPECT_EQ(clips[0].name, "wave");
  EXPECT_EQ(clips[0].fields, (std::vector<std::string>{"s01", "train"}));
  EXPECT_EQ(clips[0].frames, 2);
  EXPECT_EQ(clips[0].frame(1)[0], -1.5F);
  EXPECT_EQ(clips[0].frame(1)[1], 0.2F);
  EXPECT_TRUE(clips[1].fields.empty());
}

TEST_F(Clips, WhatDoesNotFitIsRefusedByLine) {
  refused("", "holds no clip");
  refused("1 2 3\n", "clips.txt:1: expected clip ID LABEL NAME");
  refused("clip 1 0 wave 1 2\n", ":1: expected clip ID");
  refused("clip 1 x wave 1 2 2\n1 2 3 4\n", ":1: label 'x'");
  refused("clip 1 0 wave 0 2 2\n", ":1: frames '0'");
  refused("clip 1 0 wave 1 99999999999 2\n", ":1: joints '99999999999'");
  refused("clip 1 0 wave 2 2 2\n1 2 3 4\n", "ends after 1 of the 2 frames");
  refused("clip 1 0 wave 1 2 2\n1 2 3\n",
          ":2: frame 0 of clip 1 has 3 numbers, 2 joints of 2 are 4");
  refused("clip 1 0 wave 1 2 2\n1 2 3 nan\n", ":2: 'nan' is no finite number");
  refused("clip 1 0 wave 1 2 2\n1 2 3 +-5\n", ":2: '+-5' is no finite number");
  refused("clip 1 0 wave 1 2 2\n1 2 3 4x\n", ":2: '4x'");
  refused("clip 1 0 wave 1 1 2\n1 2\nclip 2 0 sit 1 1 2\n1 2\n",
          ":3: label 0 is called 'sit' here and 'wave' before");
  refused("clip 1 0 wave 1 1 2\n1 2\nclip 2 0 wave 1 2 1\n1 2\n", "has 2 joints of 1 numbers");
  EXPECT_THROW((void)read_clips("/no/such/file"), FileError);
}

TEST_F(Clips, FiltersChooseBySplitSubjectAndList) {
  Clip clip;
  clip.fields = {"a01_s03_e01", "s03", "train", "std"};
  EXPECT_TRUE(ClipFilter()(clip));
  EXPECT_TRUE(ClipFilter("train,std")(clip));
  EXPECT_FALSE(ClipFilter("train,extra")(clip));
  EXPECT_TRUE(ClipFilter("s01|s03|s05")(clip));
  EXPECT_FALSE(ClipFilter("s02|s04")(clip));
  EXPECT_TRUE(ClipFilter("3=train")(clip));
  EXPECT_FALSE(ClipFilter("2=train")(clip));
  EXPECT_FALSE(ClipFilter("9=train")(clip));
  EXPECT_THROW(ClipFilter("x=train"), Error);
  EXPECT_THROW(ClipFilter("0=train"), Error);
  EXPECT_THROW(ClipFilter("2="), Error);
  const std::string two = file("clip 1 0 a test 1 1 2\n1 2\nclip 2 0 a train 1 1 2\n1 2\n");
  EXPECT_EQ(read_clips(two, "train").front().id, "2");
  try {
    (void)read_clips(two, "valid");
    ADD_FAILURE();
  } catch (const DataError& e) {
    EXPECT_NE(std::string(e.what()).find("no clip fits 'valid'; the fields of the first clip are: "
                                         "test"),
              std::string::npos)
        << e.what();
  }
}

/// 25 joints; joint j of frame t at (100 + 10 j + t, 50 + 4 j).
Clip openpose(std::int64_t frames) {
  Clip clip{.id = "1", .label = 0, .name = "a", .fields = {}, .frames = frames};
  clip.joints = 25;
  clip.values = 3;
  for (std::int64_t t = 0; t < frames; ++t) {
    for (std::int64_t j = 0; j < 25; ++j) {
      clip.numbers.push_back(static_cast<float>(100 + 10 * j + t));
      clip.numbers.push_back(static_cast<float>(50 + 4 * j));
      clip.numbers.push_back(0.5F);
    }
  }
  return clip;
}

std::vector<float> features(const Clip& clip, const PoseOptions& options) {
  std::vector<float> x;
  const Poses poses = poses_of(clip, options);
  for (const ClipWindow& w : windows_of(clip.frames, options)) {
    append_features(poses, w, options, x);
  }
  return x;
}

TEST(PoseFeatures, OpenPoseAsPublished) {
  Clip clip = openpose(3);
  // Joints of the head that were not found do not count in its mean; x and y do so by themselves.
  for (const std::int64_t j : {15, 16, 17}) clip.numbers[static_cast<std::size_t>(3 * j)] = 0;
  PoseOptions options = pose_options(clip);
  options.frames = 3;
  EXPECT_EQ(options.skeleton, "openpose25");
  EXPECT_EQ(options.features(), 52);
  const std::vector<float> x = features(clip, options);
  ASSERT_EQ(x.size(), 3U * 52U);
  // Neck (110, 54), mid-hip (180, 82).
  const double torso = std::hypot(70.0, 28.0);
  EXPECT_NEAR(x[0], ((100 + 280) / 2.0 - 110) / torso, 1e-5);  // joints 0 and 18
  EXPECT_NEAR(x[1], (50 + 4 * (0 + 15 + 16 + 17 + 18) / 5.0 - 54) / torso, 1e-5);
  EXPECT_EQ(x[2], x[0]);  // v₀ = x₀
  EXPECT_EQ(x[3], x[1]);
  EXPECT_NEAR(x[4], (120 - 110) / torso, 1e-5);      // joint 2: the neck is left out
  EXPECT_NEAR(x[4 * 6], (170 - 110) / torso, 1e-5);  // joint 7
  EXPECT_NEAR(x[4 * 7], (190 - 110) / torso, 1e-5);  // joint 9: the mid-hip is left out
  EXPECT_NEAR(x[4 * 9], (210 + 10 * (0 + 11 + 12 + 13) / 4.0 - 110) / torso, 1e-5);  // right foot
  // All joints move by the same way, which centring takes out; the head's mean has all five joints.
  EXPECT_NEAR(x[52 + 4 + 2], 0.0, 1e-6);
  EXPECT_NEAR(x[52 + 2], (100 + 10 * 66 / 5.0 - 110) / torso - static_cast<double>(x[0]), 1e-5);
}

TEST(PoseFeatures, MissingJointsOfOpenPoseStayMissing) {
  Clip clip = openpose(1);
  for (std::size_t d = 0; d < 3; ++d) clip.numbers[3 * 4 + d] = 0;  // joint 4
  PoseOptions options = pose_options(clip);
  options.frames = 1;
  EXPECT_NEAR(features(clip, options)[4 * 3], -110 / std::hypot(70.0, 28.0), 1e-5);
  Clip empty = openpose(2);
  std::ranges::fill(empty.numbers, 0.0F);  // the torso counts as 1
  options.frames = 2;
  for (const float v : features(empty, options)) EXPECT_EQ(v, 0.0F);
}

/// One joint that moves, one that stands.
Clip plain(const std::vector<float>& x) {
  Clip clip{.id = "1", .label = 0, .name = "a", .fields = {}};
  clip.frames = static_cast<std::int64_t>(x.size());
  clip.joints = 2;
  clip.values = 2;
  for (const float v : x) {
    for (const float number : {v, 1.0F, 0.0F, 1.0F}) clip.numbers.push_back(number);
  }
  return clip;
}

TEST(PoseFeatures, JointsNotFoundAreDrawnBetweenTheirNeighbours) {
  Clip clip = plain({9, 4, 9, 10, 9});
  const auto lose = [&clip](std::size_t t, std::size_t j) {
    clip.numbers[t * 4 + j * 2] = clip.numbers[t * 4 + j * 2 + 1] = 0;
  };
  for (const std::size_t t : {0U, 2U, 4U}) lose(t, 0);
  const PoseOptions options = pose_options(clip);
  EXPECT_EQ(options.skeleton, "plain");
  const Poses p = poses_of(clip, options);
  std::vector<float> x;
  for (std::size_t t = 0; t < 5; ++t) x.push_back(p.places[t * 4]);
  EXPECT_EQ(x, (std::vector<float>{4, 4, 7, 10, 10}));
  for (std::size_t t = 0; t < 5; ++t) lose(t, 0);
  const Poses q = poses_of(clip, options);  // at the place of the only other joint
  EXPECT_EQ(q.places[0], 0.0F);
  EXPECT_EQ(q.places[1], 1.0F);
  std::ranges::fill(clip.numbers, 0.0F);  // the tracker lost the whole clip
  for (const float v : features(clip, options)) EXPECT_EQ(v, 0.0F);
}

TEST(PoseFeatures, WindowsStretchOrSlide) {
  PoseOptions o = pose_options(plain({1}));
  o.frames = 4;
  ASSERT_EQ(windows_of(9, o).size(), 1U);
  EXPECT_EQ(windows_of(9, o)[0].last, 8.0);
  EXPECT_EQ(windows_of(2, o)[0].frames, 4);
  o.cut = ClipCut::slide;
  o.stride = 2;
  const std::vector<ClipWindow> w = windows_of(9, o);
  ASSERT_EQ(w.size(), 4U);  // 0, 2, 4, and 5: the last window ends with the clip
  EXPECT_EQ(w[2].first, 4.0);
  EXPECT_EQ(w[3].first, 5.0);
  EXPECT_EQ(w[3].last, 8.0);
  EXPECT_EQ(windows_of(4, o).size(), 1U);
  EXPECT_EQ(windows_of(3, o)[0].frames, 3);
  Philox random(5);
  for (int i = 0; i < 50; ++i) {
    const ClipWindow j = jittered(w[3], 9, o, 1.0, random);
    EXPECT_GE(j.first, 0.0);
    EXPECT_LE(j.last, 8.0);
    EXPECT_EQ(j.last - j.first, 3.0);
    EXPECT_EQ(j.first, std::round(j.first));
    o.cut = ClipCut::stretch;
    const ClipWindow s = jittered({0, 8, 4}, 9, o, 0.5, random);
    EXPECT_GE(s.first, 0.0);
    EXPECT_LE(s.last, 8.0);
    EXPECT_GE(s.last - s.first, 4.0);
    o.cut = ClipCut::slide;
  }
}

TEST(PoseFeatures, MeasuringByClipKeepsTheWay) {
  const Clip clip = plain({2, 4, 6});
  PoseOptions o = pose_options(clip);
  o.frames = 3;
  o.centre = o.scale = PoseUnit::clip;
  const std::vector<float> x = features(clip, o);
  // Centres 1, 2, 3 have the mean 2; distances from the centre 1, 2, 3 too.
  EXPECT_NEAR(x[0], 0.0, 1e-6);
  EXPECT_NEAR(x[8], 1.0, 1e-6);
  EXPECT_NEAR(x[8 + 2], 1.0, 1e-6);
  EXPECT_NEAR(x[4], -1.0, 1e-6);
  EXPECT_NEAR(x[8 + 4 + 2], 0.0, 1e-6);
  o.centre = o.scale = PoseUnit::frame;  // the pose is the same in every frame
  const std::vector<float> y = features(clip, o);
  EXPECT_NEAR(y[0], 1.0, 1e-6);
  EXPECT_NEAR(y[8 + 2], 0.0, 1e-6);
}

TEST(PoseFeatures, FlippingTwiceIsNothing) {
  std::vector<float> x(24);
  std::iota(x.begin(), x.end(), 1.0F);
  const std::vector<float> before = x;
  flip(x, 3);
  EXPECT_EQ(x[0], -1.0F);
  EXPECT_EQ(x[1], 2.0F);
  EXPECT_EQ(x[3], -4.0F);  // vx
  flip(x, 3);
  EXPECT_EQ(x, before);
  std::vector<float> noise(4000);
  Philox random(1);
  add_noise(noise, 0.03, random);
  double sum = 0;
  for (const float v : noise) sum += static_cast<double>(v) * static_cast<double>(v);
  EXPECT_NEAR(std::sqrt(sum / 4000), 0.03, 0.001);
}

TEST(PoseFeatures, ClipsOfAnotherShapeAreRefused) {
  const PoseOptions options = pose_options(openpose(1));
  EXPECT_THROW((void)poses_of(plain({1}), options), Error);
  EXPECT_THROW((void)skeleton_of("stick"), Error);
  Clip odd = plain({1});
  odd.joints = 1;
  odd.values = 4;
  EXPECT_THROW((void)pose_options(odd), Error);
}

}  // namespace
}  // namespace qkv

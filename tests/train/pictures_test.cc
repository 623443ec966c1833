// Pictures: the recipes' counts, learning, bits, resuming with batch norm, what is held out.
#include "qkv/train/pictures.h"

#include <algorithm>
#include <filesystem>

#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/parallel.h"
#include "qkv/base/random.h"
#include "qkv/systems/picture_classifier.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

/// Bars that stand or lie, in 8 × 8 pixels with some noise.
PictureSet bars(int count, std::uint64_t seed) {
  PictureSet set;
  set.classes = {"lying", "standing"};
  Philox random(seed);
  for (int i = 0; i < count; ++i) {
    Picture p(1, 8, 8);
    for (std::uint8_t& v : p.bytes) v = static_cast<std::uint8_t>(random.below(60));
    const int place = 1 + static_cast<int>(random.below(6));
    for (int k = 0; k < 8; ++k) {
      (i % 2 == 0 ? p.at(0, place, k) : p.at(0, k, place)) = 230;
    }
    set.pictures.push_back(p);
    set.labels.push_back(i % 2);
  }
  return set;
}

PictureRecipe small(PictureKind kind, std::int64_t epochs) {
  PictureRecipe r = picture_recipe(kind);
  r.network.width = 16;
  r.network.layers = 2;
  r.network.heads = 4;
  r.network.patch = 2;
  r.network.feed_forward = 32;
  r.network.token_width = 16;
  r.network.widths = {8, 12};
  r.network.strides = {1, 2};
  r.batch = 20;
  r.noise.shift = 1;
  r.train.epochs = epochs;
  r.train.schedule.rate = 0.005;
  r.train.schedule.warm_up = 5;
  return r;
}

TEST(PictureRecipe, HasTheCountsOfTheTable) {
  const auto count = [](PictureKind kind, std::int64_t side, std::int64_t channels,
                        const std::function<void(PictureNetwork::Config&)>& change) {
    PictureNetwork::Config c = picture_recipe(kind).network;
    c.side = side;
    c.channels = channels;
    change(c);
    return parameter_count(PictureNetwork::make(Initialiser::blank(), c));
  };
  const auto seven = [](PictureNetwork::Config& c) { c.patch = 7; };
  EXPECT_EQ(count(PictureKind::vit, 28, 1, seven), 139'018);
  EXPECT_EQ(count(PictureKind::mixer, 28, 1, seven), 136'170);
  EXPECT_EQ(count(PictureKind::cnn, 28, 1, [](auto&) {}), 129'290);
  EXPECT_EQ(count(PictureKind::vit, 32, 3, [](auto&) {}), 142'026);
}

class PictureTraining : public ::testing::Test {
 protected:
  double accuracy(PictureKind kind, const std::string& name, std::int64_t epochs, int threads = 1) {
    const ThreadScope scope(threads);
    const PictureSets sets{.train = bars(200, 1), .valid = bars(40, 2), .test = {}};
    TrainingRun run({.model = (folder_ / name).string()});
    train_pictures(small(kind, epochs), sets, run);
    return PictureClassifier::load(folder_ / name).score(bars(100, 3)).accuracy();
  }
  std::string weights(const std::string& name) {
    return read_file(folder_ / name / "model.safetensors");
  }
  Temporary folder_;
};

TEST_F(PictureTraining, EveryKindLearnsWhichWayABarLies) {
  for (const PictureKind kind :
       {PictureKind::vit, PictureKind::mixer, PictureKind::cnn, PictureKind::quadratic}) {
    EXPECT_GT(accuracy(kind, std::string(name_of(kind)), 12), 90) << name_of(kind);
  }
}

TEST_F(PictureTraining, SameBitsForAnyNumberOfThreads) {
  for (const PictureKind kind : {PictureKind::vit, PictureKind::cnn, PictureKind::quadratic}) {
    accuracy(kind, "one", 2, 1);
    accuracy(kind, "three", 2, 3);
    EXPECT_EQ(weights("one"), weights("three")) << name_of(kind);
    std::filesystem::remove_all(folder_ / "one");
    std::filesystem::remove_all(folder_ / "three");
  }
}

TEST_F(PictureTraining, WhatIsResumedEndsAtTheSameBits) {
  const PictureSets sets{.train = bars(100, 1), .valid = bars(20, 2), .test = {}};
  TrainWatch watch;
  watch.progress = [&](const Progress& p) {
    if (p.done != 7) return;  // in the middle of the second epoch
    std::filesystem::copy(folder_ / "whole", folder_ / "seen",
                          std::filesystem::copy_options::recursive);
  };
  const auto train = [&](const std::string& name, std::int64_t epochs, bool resume) {
    PictureRecipe r = small(PictureKind::cnn, epochs);
    r.train.schedule.kind = Schedule::Kind::constant;  // a cosine's end would differ
    r.train.save_minutes = 1e-9;  // a state within each step, when buffers have moved
    TrainingRun run({.model = (folder_ / name).string(), .resume = resume});
    train_pictures(r, sets, run, name == "whole" ? watch : TrainWatch());
  };
  train("whole", 6, false);
  train("parts", 3, false);
  train("parts", 6, true);
  EXPECT_EQ(weights("whole"), weights("parts"));
  train("seen", 6, true);
  EXPECT_EQ(weights("whole"), weights("seen"));
  EXPECT_EQ(read_file(folder_ / "whole" / "state" / "state.safetensors").size(),
            read_file(folder_ / "parts" / "state" / "state.safetensors").size());
}

TEST(PackedPictures, MoveAndMirrorOnlyWhileATapeRecords) {
  PictureDesign design;
  design.network = small(PictureKind::cnn, 1).network;
  const PictureSet set = bars(4, 1);
  const PictureModel model = make_picture_model(design, set, 1);
  const PictureNoise noise{.shift = 2, .mirror = true};
  const std::vector<std::int64_t> one = {2};
  const Tensor plain = pack(model, set.pictures, one);
  EXPECT_TRUE(same_numbers(pack(model, set.pictures, one, &noise), plain));
  const auto black = static_cast<float>(-model.mean[0] / model.deviation[0]);
  bool moved = false;
  for (std::uint64_t key = 0; key < 8; ++key) {
    Tape tape;
    const Recording on(tape, key);
    const Tensor noisy = pack(model, set.pictures, one, &noise);
    if (same_numbers(noisy, plain)) continue;
    moved = true;
    // Every pixel is one of the picture's, or black.
    for (const float x : noisy.values()) {
      EXPECT_TRUE(x == black || std::ranges::count(plain.values(), x) > 0);
    }
  }
  EXPECT_TRUE(moved);
}

TEST(PackedPictures, AreStandardisedByTheTrainingSet) {
  const PictureSet set = bars(50, 7);
  PictureDesign design;
  design.network = small(PictureKind::cnn, 1).network;
  const PictureModel model = make_picture_model(design, set, 1);
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < 50; ++i) all.push_back(i);
  const Tensor x = pack(model, set.pictures, all);
  double sum = 0, squares = 0;
  for (const float v : x.values()) {
    sum += static_cast<double>(v);
    squares += static_cast<double>(v) * static_cast<double>(v);
  }
  EXPECT_NEAR(sum / static_cast<double>(x.count()), 0, 1e-5);
  EXPECT_NEAR(squares / static_cast<double>(x.count()), 1, 1e-5);
}

TEST(HeldOutPictures, AreAShareOfEachClass) {
  PictureSet set = bars(41, 1);
  const PictureSet held = hold_out(set, 0.2, 1);
  EXPECT_EQ(held.pictures.size() + set.pictures.size(), 41U);
  EXPECT_EQ(std::ranges::count(held.labels, 0), 4);
  EXPECT_EQ(std::ranges::count(held.labels, 1), 4);
  for (const Picture& p : held.pictures) EXPECT_EQ(std::ranges::count(set.pictures, p), 0);
  PictureSet two = bars(2, 1);
  EXPECT_THROW(hold_out(two, 0.5, 1), Error);
}

TEST_F(PictureTraining, SaysWhatIsMissing) {
  const auto complain = [&](const PictureSets& sets, PictureRecipe r) -> std::string {
    try {
      TrainingRun run({.model = (folder_ / "bad").string()});
      train_pictures(r, sets, run);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  const PictureRecipe r = small(PictureKind::cnn, 1);
  PictureSets sets{.train = bars(20, 1), .valid = bars(10, 2), .test = {}};
  sets.valid.classes[1] = "leaning";
  EXPECT_NE(complain(sets, r).find("class 'leaning' is none of the model's"), std::string::npos);
  sets = {.train = bars(20, 1), .valid = {}, .test = {}};
  EXPECT_NE(complain(sets, r).find("to validate on"), std::string::npos);
  sets = {.train = {}, .valid = {}, .test = {}};
  EXPECT_NE(complain(sets, r).find("there are none"), std::string::npos);
  sets = {.train = bars(20, 1), .valid = bars(10, 2), .test = {}};
  sets.train.pictures[3] = Picture(1, 8, 9);
  EXPECT_NE(complain(sets, r).find("give --side"), std::string::npos);
  PictureRecipe patches = small(PictureKind::vit, 1);
  patches.network.patch = 3;
  sets = {.train = bars(20, 1), .valid = bars(10, 2), .test = {}};
  EXPECT_NE(complain(sets, patches).find("8 × 8 is not made of patches of 3"), std::string::npos);
  PictureRecipe mean = r;
  mean.train.average_last = 3;
  EXPECT_NE(complain(sets, mean).find("--average"), std::string::npos);
}

}  // namespace
}  // namespace qkv

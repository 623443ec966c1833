#include "qkv/train/upscaling.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"

namespace qkv {
namespace {

std::vector<NamedPicture> pictures(int count, int side) {
  std::vector<NamedPicture> all;
  for (int n = 0; n < count; ++n) {
    Picture p(3, side, side + n);
    for (std::size_t i = 0; i < p.bytes.size(); ++i) {
      p.bytes[i] =
          static_cast<std::uint8_t>((i * 7 + i / 31 * (3 + static_cast<std::size_t>(n))) % 256);
    }
    all.push_back({"p" + std::to_string(n), p});
  }
  return all;
}

UpscaleModel tiny(RestoreJob job, double level) {
  UpscaleModel m;
  m.job = job;
  m.level = level;
  SwinIr::Config c = upscale_sizes("xs", job, job == RestoreJob::upscale ? 2 : 1, 3);
  c.width = 8;
  c.depths = {2};
  c.heads = {2};
  c.window = 4;
  m.network = SwinIr::make(1, c);
  return m;
}

UpscaleTraining training_of(const UpscaleModel& m, std::int64_t crop = 8) {
  return {.train = restore_pairs(m, pictures(5, 40)),
          .valid = restore_pairs(m, pictures(1, 24)),
          .crop = crop,
          .batch = 2};
}

double loss_of(const TrainTask& task, const std::vector<std::int64_t>& draws) {
  Tape tape;
  const Recording on(tape, 1);
  const BatchLoss loss = task.loss(draws, 1);
  return loss.loss_sum / static_cast<double>(loss.tokens);
}

TEST(Upscaling, DrawsEachPictureOnceAnEpoch) {
  UpscaleModel m = tiny(RestoreJob::upscale, 0);
  const UpscaleTraining t = training_of(m);
  const TrainTask task = upscale_task(m, t);
  std::set<std::int64_t> draws;
  for (const auto& batch : task.plan(3)) draws.insert(batch.begin(), batch.end());
  EXPECT_EQ(draws.size(), 5u);
  EXPECT_EQ(*draws.begin(), 15);
  EXPECT_EQ(task.plan(3), task.plan(3));
  EXPECT_EQ(task.tokens(task.plan(0)[0]), 2 * 16 * 16);
}

TEST(Upscaling, ADrawIsItsNumber) {
  UpscaleModel m = tiny(RestoreJob::denoise, 30);
  const UpscaleTraining t = training_of(m);
  const TrainTask task = upscale_task(m, t);
  EXPECT_EQ(loss_of(task, {3}), loss_of(task, {3}));
  EXPECT_NE(loss_of(task, {3}), loss_of(task, {8}));  // the same picture, another crop
  for (const int n : {1, 2}) {
    const ThreadScope threads(n);
    EXPECT_NEAR(loss_of(task, {3, 4}), (loss_of(task, {3}) + loss_of(task, {4})) / 2, 1e-6);
  }
}

TEST(Upscaling, CropsOfBothPicturesShowTheSame) {
  // A fresh model is bicubic: a smooth picture comes back all but unchanged, however it is turned.
  std::vector<NamedPicture> smooth = pictures(1, 40);
  for (int y = 0; y < 40; ++y) {
    for (int x = 0; x < 40; ++x) {
      for (int c = 0; c < 3; ++c) {
        smooth[0].picture.at(c, y, x) =
            static_cast<std::uint8_t>(128 + 60 * std::sin(0.15 * y) * std::cos(0.1 * x + c));
      }
    }
  }
  UpscaleModel m = tiny(RestoreJob::upscale, 0);
  UpscaleTraining t = training_of(m);
  t.train = restore_pairs(m, smooth);
  const TrainTask task = upscale_task(m, t);
  for (std::int64_t draw = 0; draw < 24; ++draw) EXPECT_LT(loss_of(task, {draw}), 0.02) << draw;
}

TEST(Upscaling, RefusesWhatCannotBe) {
  UpscaleModel m = tiny(RestoreJob::upscale, 0);
  const UpscaleTraining large = training_of(m, 21);
  EXPECT_THROW((void)upscale_task(m, large), Error);
  UpscaleTraining none = training_of(m);
  none.train.clear();
  EXPECT_THROW((void)upscale_task(m, none), Error);
  UpscaleRecipe r = upscale_recipe({.variant = "xs", .job = RestoreJob::denoise});
  EXPECT_THROW(r.check(), UsageError);
  r.kind.level = 25;
  EXPECT_NO_THROW(r.check());
  r = upscale_recipe({.variant = "xs"});
  r.network.channels = 2;
  EXPECT_THROW(r.check(), Error);
}

}  // namespace
}  // namespace qkv

#include "qkv/train/upscaling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/io/directory.h"
#include "qkv/ops/deviation.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/pieces.h"
#include "qkv/ops/shape.h"
#include "qkv/systems/upscaler.h"

namespace qkv {
namespace {

constexpr double kMostPsnr = 100;  // of equal pictures, whose PSNR is no number

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

std::string fingerprint_of(std::span<const NamedPicture> pictures) {
  std::uint64_t sum = 0;
  for (const NamedPicture& p : pictures) {
    sum = key_of(sum, p.picture.height, p.picture.width,
                 checksum(std::as_bytes(std::span(p.picture.bytes))));
  }
  return fmt::format("{} pictures, {:016x}", pictures.size(), sum);
}

void check_sizes(const UpscaleModel& model, const UpscaleTraining& t) {
  if (t.train.empty()) fail("training needs pictures");
  if (t.valid.empty()) fail("training needs pictures to judge by");
  const std::int64_t scale = model.network.config.scale;
  for (const RestorePair& pair : t.train) {
    if (pair.given.height >= t.crop && pair.given.width >= t.crop) continue;
    fail(
        "{}: {} × {} pixels are smaller than a crop of {} × {}; leave it out, or take a smaller "
        "--crop than {}",
        pair.name, pair.right.width, pair.right.height, t.crop * scale, t.crop * scale, t.crop);
  }
}

/// A crop of each picture of a pair, where `key` says, both turned alike.
std::pair<Picture, Picture> crops_of(const RestorePair& pair, std::int64_t side, std::int64_t scale,
                                     std::uint64_t key) {
  Philox random(key);
  const auto place = [&](int n) {
    return static_cast<int>(random.below(static_cast<std::uint64_t>(n - side + 1)));
  };
  const int top = place(pair.given.height), left = place(pair.given.width);
  const int turn = 1 + static_cast<int>(random.below(8));
  const auto cut = [&](const Picture& picture, std::int64_t times) {
    const int f = static_cast<int>(times), n = static_cast<int>(side) * f;
    return turned(cropped(picture, top * f, left * f, n, n), turn);
  };
  return {cut(pair.given, 1), cut(pair.right, scale)};
}

/// An example is a draw: its number says which picture, and its key where the crop lies.
struct Batch {
  Tensor given, right;
};
Batch batch_of(const UpscaleModel& model, const UpscaleTraining& t,
               std::span<const std::int64_t> draws) {
  std::vector<Tensor> given, right;
  const auto pictures = static_cast<std::int64_t>(t.train.size());
  for (const std::int64_t draw : draws) {
    const auto [low, high] =
        crops_of(t.train[at(draw % pictures)], t.crop, model.network.config.scale,
                 key_of(t.seed, hash_name("crops"), draw));
    given.push_back(pixels_of(low, 0, low.height));
    add_noise(model, key_of(t.seed, hash_name("noise"), draw), given.back());
    right.push_back(pixels_of(high, 0, high.height));
  }
  return {stack_rows(given), stack_rows(right)};
}

BatchLoss loss_of(const UpscaleModel& model, const UpscaleTraining& t,
                  std::span<const std::int64_t> draws, double scale_by) {
  const Batch batch = batch_of(model, t, draws);
  const Grids grids = Grids::of(static_cast<std::int64_t>(draws.size()), {t.crop, t.crop});
  const Tensor y = model.network(batch.given, grids);
  const Tensor total = sum(deviations(y, batch.right, t.eps));
  const double channels = static_cast<double>(y.dim(1));
  BatchLoss loss;
  loss.loss_sum = loss.nll_sum = total.item() / channels;
  loss.tokens = y.dim(0);
  loss.correct = -1;
  loss.loss = scale(total, scale_by / channels);
  return loss;
}

Validation judge(const UpscaleModel& model, const UpscaleTraining& t) {
  const PictureReport report = psnr_restored(model, t.valid);
  Validation v;
  v.score = std::min(report.mean(), kMostPsnr);
  v.loss = std::pow(10.0, -v.score / 20);  // the root of the mean square, of numbers up to 1
  v.text = fmt::format("PSNR-{} {:.3f}", report.channel == ScoreChannel::y ? "Y" : "RGB", v.score);
  v.metrics = nlohmann::json{{"psnr", v.score}}.dump();
  return v;
}

UpscaleModel fresh_model(const UpscaleRecipe& r) {
  if (!r.kind.init.empty()) {
    UpscaleModel model = load_upscale_model(r.kind.init);
    if (r.kind.level > 0) model.level = r.kind.level;
    return model;
  }
  UpscaleModel model;
  model.network = SwinIr::make(r.train.seed, r.network);
  model.job = r.kind.job;
  model.level = r.kind.level;
  model.variant = r.kind.variant;
  return model;
}

}  // namespace

UpscaleRecipe upscale_recipe(const UpscaleKind& kind) {
  UpscaleRecipe r;
  r.kind = kind;
  if (kind.init.empty()) {
    const std::int64_t scale = kind.job == RestoreJob::upscale ? kind.scale : 1;
    r.network = upscale_sizes(kind.variant, kind.job, scale, kind.grey ? 1 : 3);
  }
  r.eps = kind.job == RestoreJob::upscale ? 0 : 1e-9;
  r.train.optimiser.beta2 = 0.999;
  r.train.schedule.kind = Schedule::Kind::cosine;
  r.train.schedule.rate = kind.init.empty() ? 1e-3 : 2e-4;
  r.train.schedule.floor = r.train.schedule.rate / 20;
  r.train.schedule.warm_up = 0;
  r.train.steps = 6000;
  r.train.validate_every = 300;
  return r;
}

void UpscaleRecipe::check() const {
  check_ranges(*this);
  check_ranges(kind);
  train.check();
  if (!kind.init.empty()) return;
  check_ranges(network);
  network.check();
  if (network.channels == 2) fail("channels: 2 is neither 3 (red, green, blue) nor 1 (grey)");
  if (kind.job == RestoreJob::upscale) {
    if (kind.level > 0) fail<UsageError>("--level is for --job denoise or jpeg");
    return;
  }
  if (!(kind.level > 0)) {
    fail<UsageError>("--job {} needs --level, {}", name_of(kind.job),
                     kind.job == RestoreJob::jpeg ? "the quality" : "the noise's deviation");
  }
  if (kind.job == RestoreJob::jpeg && kind.level > 100)
    fail<UsageError>("--level: quality ends at 100");
}

TrainTask upscale_task(UpscaleModel& model, const UpscaleTraining& training) {
  check_sizes(model, training);
  TrainTask task;
  task.plan = [&training](std::int64_t epoch) {
    const auto pictures = static_cast<std::int64_t>(training.train.size());
    std::vector<std::int64_t> order(training.train.size());
    std::iota(order.begin(), order.end(), epoch * pictures);
    Philox random(key_of(training.seed, hash_name("pictures"), epoch));
    shuffle(std::span<std::int64_t>(order), random);
    std::vector<std::vector<std::int64_t>> batches;
    for (std::size_t begin = 0; begin < order.size(); begin += at(training.batch)) {
      const auto first = order.begin() + static_cast<std::ptrdiff_t>(begin);
      const auto size = std::min(order.size() - begin, at(training.batch));
      batches.emplace_back(first, first + static_cast<std::ptrdiff_t>(size));
    }
    return batches;
  };
  const std::int64_t side = training.crop * model.network.config.scale;
  task.words.counted = "pixels";
  task.tokens = [side](std::span<const std::int64_t> draws) {
    return static_cast<std::int64_t>(draws.size()) * side * side;
  };
  task.loss = [&model, &training](std::span<const std::int64_t> draws, double scale_by) {
    return loss_of(model, training, draws, scale_by);
  };
  task.validate = [&model, &training] { return judge(model, training); };
  task.save = task.keep = [&model](const std::filesystem::path& folder) {
    save_upscale_model(model, folder);
  };
  return task;
}

TrainReport train_upscaler(const UpscaleRecipe& r, std::span<const NamedPicture> train,
                           std::span<const NamedPicture> valid, TrainingRun& run,
                           const TrainWatch& watch) {
  run.record.data = {{"train", fingerprint_of(train)}, {"valid", fingerprint_of(valid)}};
  UpscaleModel model = run.resumes() ? load_upscale_model(run.state()) : fresh_model(r);
  for (const std::string& note : std::exchange(model.notes, {})) watch.say("qkv: " + note);
  UpscaleTraining training{.train = restore_pairs(model, train),
                           .valid = restore_pairs(model, valid),
                           .crop = r.crop,
                           .batch = std::min(r.batch, static_cast<std::int64_t>(train.size())),
                           .eps = r.eps,
                           .seed = r.train.seed};
  const TrainTask task = upscale_task(model, training);
  watch.say(fmt::format("model: {} parameters ({}), {} channels, × {}, residual {}",
                        grouped(parameter_count(model)), model.variant,
                        model.network.config.channels, model.network.config.scale,
                        name_of(model.network.config.residual)));
  const PictureReport given = psnr_given(model, training.valid);
  watch.say(fmt::format("pictures: {} to train on, {} to judge by; {} has PSNR-{} {:.3f}",
                        train.size(), valid.size(),
                        model.job == RestoreJob::upscale ? "bicubic" : "what is to be restored",
                        given.channel == ScoreChannel::y ? "Y" : "RGB", given.mean()));
  run.curve_score = {"psnr", "PSNR"};
  return run.train(model, task, r.train, watch);
}

}  // namespace qkv

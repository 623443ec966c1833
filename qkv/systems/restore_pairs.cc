#include "qkv/systems/restore_pairs.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/models/swin_ir_strips.h"
#include "qkv/systems/upscaler.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

Picture given_of(const UpscaleModel& model, const Picture& right, const std::string& name) {
  switch (model.job) {
    case RestoreJob::upscale:
      return resize_bicubic(right, 1.0 / static_cast<double>(model.network.config.scale));
    case RestoreJob::jpeg:
      return decode_picture(encode_jpeg(right, static_cast<int>(model.level)), name,
                            {.channels = right.channels});
    case RestoreJob::denoise:
      break;
  }
  return right;
}

/// The picture that a model makes of what it is given.
Picture restored(const UpscaleModel& model, const RestorePair& pair, std::uint64_t place) {
  const Grid grid{pair.given.height, pair.given.width};
  Tensor x = pixels_of(pair.given, 0, grid.rows);
  add_noise(model, key_of(hash_name("scored"), place), x);
  Picture out(pair.right.channels, pair.right.height, pair.right.width);
  put_pixels(restore_pixels(model.network, x, grid), 0, out);
  return out;
}

using Metric = double (*)(const ScorePlanes&, const ScorePlanes&, int border);

PictureReport report_of(const UpscaleModel& model, const char* metric) {
  const bool upscale = model.job == RestoreJob::upscale;
  return {.metric = metric,
          .protocol = "rgb",
          .channel = upscale ? ScoreChannel::y : ScoreChannel::rgb,
          .border = upscale ? static_cast<int>(model.network.config.scale) : 0};
}

void score(const RestorePair& pair, const Picture& out, Metric metric, PictureReport& report) {
  report.names.push_back(pair.name);
  report.scores.push_back(metric(score_planes(pair.right, report.channel),
                                 score_planes(out, report.channel), report.border));
}

}  // namespace

std::vector<RestorePair> restore_pairs(const UpscaleModel& model,
                                       std::span<const NamedPicture> pictures) {
  const SwinIr::Config& c = model.network.config;
  if (model.job != RestoreJob::upscale && !(model.level > 0)) {
    fail("the model does not say how much {} it is for; give the level",
         model.job == RestoreJob::jpeg ? "loss" : "noise");
  }
  std::vector<RestorePair> pairs;
  for (const NamedPicture& p : pictures) {
    try {
      Picture right = c.channels == 1 ? grey_of(p.picture) : rgb_of(p.picture);
      right = cropped_to_multiple(right, static_cast<int>(c.scale));
      Picture given = given_of(model, right, p.name);
      pairs.push_back({p.name, std::move(right), std::move(given)});
    } catch (const Error& e) {
      fail("{}: {}", p.name, e.what());
    }
  }
  return pairs;
}

void add_noise(const UpscaleModel& model, std::uint64_t key, Tensor& x) {
  if (model.job != RestoreJob::denoise) return;
  Philox random(key);
  change_each(x, [&](std::int64_t, double v) { return v + random.normal() * model.level / 255.0; });
}

RestoreScores score_restored(const UpscaleModel& model, std::span<const RestorePair> pairs) {
  RestoreScores scores{report_of(model, "PSNR"), report_of(model, "SSIM")};
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const Picture out = restored(model, pairs[i], i);
    score(pairs[i], out, psnr, scores.psnr);
    score(pairs[i], out, ssim, scores.ssim);
  }
  return scores;
}

PictureReport psnr_restored(const UpscaleModel& model, std::span<const RestorePair> pairs) {
  PictureReport report = report_of(model, "PSNR");
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    score(pairs[i], restored(model, pairs[i], i), psnr, report);
  }
  return report;
}

PictureReport psnr_given(const UpscaleModel& model, std::span<const RestorePair> pairs) {
  PictureReport report = report_of(model, "PSNR");
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const RestorePair& pair = pairs[i];
    Picture out = resize_bicubic(pair.given, pair.right.height, pair.right.width);
    Tensor x = pixels_of(out, 0, out.height);
    add_noise(model, key_of(hash_name("scored"), i), x);
    put_pixels(x, 0, out);
    score(pair, out, psnr, report);
  }
  return report;
}

}  // namespace qkv

// Training a model that restores pictures: crops of pictures and of what they were made into,
// turned and mirrored; L1 or Charbonnier's loss; judged by PSNR on whole pictures.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "qkv/media/picture_folder.h"
#include "qkv/systems/restore_pairs.h"
#include "qkv/systems/upscale_model.h"
#include "qkv/train/run.h"

namespace qkv {

/// What a model is made from, or which one goes on.
struct UpscaleKind {
  std::string variant = "light";
  RestoreJob job = RestoreJob::upscale;
  std::int64_t scale = 2;
  bool grey = false;
  double level = 0;
  std::string init;

  template <class Self, class Visit>
  static void each(Self& k, Visit&& visit) {
    visit({"variant",
           "xs, light (default), classical, real-m, real-l; to denoise or for jpeg also their own "
           "(denoise-colour, jpeg-grey …)"},
          k.variant);
    visit({"job", "upscale (default), denoise (needs --level) or jpeg (needs --level)"}, k.job);
    visit({"scale", "upscale: how many times as many pixels at a side (2)", between(2, 8)},
          k.scale);
    visit({"grey", "For grey pictures; coloured ones are made grey"}, k.grey);
    visit({"level", "denoise: deviation of the noise, of 255; jpeg: quality, 1 to 100",
           between(0, 255)},
          k.level);
    visit({"init", "A model to go on from: a directory, or published weights as safetensors"},
          k.init);
  }
};

/// Everything that makes a model besides the pictures (docs/models.md).
struct UpscaleRecipe {
  UpscaleKind kind;
  SwinIr::Config network;
  TrainOptions train;
  std::int64_t crop = 24, batch = 8;
  double eps = 0;

  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    visit({"crop", "Pixels at a side of a crop of what the model is given", between(4, 4096)},
          r.crop);
    visit({"batch", "Crops of a batch", between(1, 1e6)}, r.batch);
    visit({"charbonnier",
           "ε of the loss √(d² + ε); 0: |d|. Default: 0 to enlarge, else 1e-9, as published",
           non_negative()},
          r.eps);
  }
  /// Throws Error for what cannot be, before any picture is read.
  void check() const;
};
/// Ours: Adam (.9, .999) from 1e-3 down to 5 % along a cosine, 6,000 updates of 8 crops of 24 × 24,
/// judged every 300. Going on from a model begins at 2e-4. Throws Error for an unknown variant.
UpscaleRecipe upscale_recipe(const UpscaleKind& kind);

/// The whole run on `train`, judged by `valid`; `run` says where and whether it goes on. Throws
/// Error before the first step for what cannot be.
TrainReport train_upscaler(const UpscaleRecipe& recipe, std::span<const NamedPicture> train,
                           std::span<const NamedPicture> valid, TrainingRun& run,
                           const TrainWatch& watch = {});

struct UpscaleTraining {
  std::vector<RestorePair> train, valid;
  std::int64_t crop = 24, batch = 8;
  double eps = 0;
  std::uint64_t seed = 1;
};
/// The task of train() for `model`; both must outlive it. Throws Error for no pictures and for one
/// that is smaller than a crop.
TrainTask upscale_task(UpscaleModel& model, const UpscaleTraining& training);

}  // namespace qkv

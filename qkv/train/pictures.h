// Training a model of pictures from labelled ones: the recipes, what is read, the task for train().
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "qkv/media/media_sets.h"
#include "qkv/systems/picture_model.h"
#include "qkv/train/run.h"

namespace qkv {

/// Where pictures lie: each source is a folder of classes, a list, IDX or CIFAR files
/// (media/media_sets.h).
struct PictureFiles {
  std::vector<std::string> train, valid, test;
  double hold_out = 0.1;  // without `valid`
  std::uint64_t split_seed = 1;
  bool skip_broken = false;

  template <class Self, class Visit>
  static void each(Self& f, Visit&& visit) {
    visit({.name = "train",
           .help = "Pictures: a folder FOLDER/CLASS/*.png (.jpg, .ppm, .pgm), a list of label TAB "
                   "path, IDX (MNIST) or CIFAR files; several become one set",
           .bounds = at_least(1),
           .required = true},
          f.train);
    visit({"valid", "Pictures for validation; default: some of each class held out", at_least(1)},
          f.valid);
    visit({"hold_out",
           "The share of each class held out without --valid",
           {.least = 0, .most = 1, .open_least = true, .open_most = true}},
          f.hold_out);
    visit({"split_seed", "Of the pictures held out"}, f.split_seed);
    visit({"test", "Pictures to score the best model on in the end", at_least(1)}, f.test);
    visit({"skip_broken", "Leave out, and count, pictures that cannot be read"}, f.skip_broken);
  }
};
struct PictureSets {
  PictureSet train, valid, test;
};
/// Throws Error when there is nothing to hold out, and as read_pictures() does.
PictureSets read_picture_sets(const PictureFiles& files);

/// Takes `share` of the pictures of each class (at least one where there are two) away at random.
PictureSet hold_out(PictureSet& set, double share, std::uint64_t seed);

/// Everything that makes a model of pictures besides the pictures (docs/models.md).
struct PictureRecipe : PictureDesign {
  TrainOptions train;
  std::int64_t batch = 100;  // pictures
  double smoothing = 0.1;
  PictureNoise noise;

  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    visit(changeable({"batch", "Pictures of a batch", between(1, 1e6)}), r.batch);
    visit({"smoothing", "Label smoothing (0.1)", share()}, r.smoothing);
    PictureNoise::each(r.noise, visit);
  }
  /// Throws Error for what cannot be, before any picture is read.
  void check() const;
};
/// Sizes of some 140,000 numbers for small pictures; AdamW 1e-3 with decay .05, 100 updates of
/// warm-up, then half a cosine to 0 over 20 passes, label smoothing .1, pictures moved by at most 2
/// pixels.
PictureRecipe picture_recipe(PictureKind kind);

/// The whole run on sets.train, judged by sets.valid; `run` says where and whether it goes on.
/// Throws Error before the first step for what cannot be.
TrainReport train_pictures(const PictureRecipe& recipe, const PictureSets& sets, TrainingRun& run,
                           const TrainWatch& watch = {});

struct PictureTraining {
  const std::vector<Picture>& train;  // fitted to the model
  std::vector<std::int32_t> train_classes;
  const std::vector<Picture>& valid;
  std::vector<std::int32_t> valid_classes;
  std::int64_t batch = 100;
  double smoothing = 0.1;
  PictureNoise noise = {};
  std::uint64_t seed = 1;
};
/// The task of train() for `model`; both must outlive it.
TrainTask picture_task(PictureModel& model, const PictureTraining& training);

}  // namespace qkv
